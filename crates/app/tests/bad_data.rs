//! Bad input through the program: one clear error, a non-zero exit code, and a run that says FAILED where one was begun.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use sha2::{Digest, Sha256};
use support::{SHORT, Workdir, assert_contains};
use tracking::RunStatus;

/// Two numeric columns and a class that depends on them.
fn csv(rows: usize) -> String {
    let row = |i: usize| format!("{},{},{}\n", i % 17, i * 7 % 13, if i % 17 > 8 { "yes" } else { "no" });
    std::iter::once("a,b,y\n".to_owned()).chain((0..rows).map(row)).collect()
}

/// Runs on `data.csv` with the given content and target; gives the error.
fn error_of(content: &[u8], more: &[&str]) -> String {
    let dir = Workdir::new();
    dir.write("data.csv", content);
    let args = ["--csv-path", "data.csv", "--target-column", "y"];
    let finished = dir.run(&[&args[..], &SHORT, more].concat());
    assert_eq!(finished.code, 1, "stdout: {}\nstderr: {}", finished.stdout, finished.stderr);
    assert_eq!(finished.stdout, "", "results are for successful runs");
    let runs = dir.runs();
    assert_eq!((runs.len(), runs[0].info.status), (1, RunStatus::Failed));
    let error = finished.stderr[finished.stderr.find("error: ").unwrap()..].to_owned();
    assert!(!error.contains("panicked"), "{error}");
    let logged = &runs[0].tags["error"];
    assert!(error.contains(logged.lines().next().unwrap()), "the run's tag `error` is {logged}");
    error
}

#[test]
fn a_good_file_trains() {
    let dir = Workdir::new();
    dir.write("data.csv", csv(200));
    let args = ["--csv-path", "data.csv", "--target-column", "y"];
    dir.run(&[&args[..], &SHORT].concat()).ok();
}

/// The README's line for one's own data, with a number to predict.
#[test]
fn a_number_to_predict_needs_no_other_flag() {
    let dir = Workdir::new();
    let rows: String =
        (0..200).map(|i| format!("{},{},{}\n", i % 17, i * 7 % 13, (i * 31 % 97) as f64 / 3.0)).collect();
    dir.write("mine.csv", format!("a,b,price\n{rows}"));
    let args = ["--csv-path", "mine.csv", "--target-column", "price", "--no-mlflow", "--json"];
    let json = dir.run(&[&args[..], &SHORT].concat()).ok().json();
    assert!(json["metrics"]["test_rmse"].as_f64().unwrap() > 0.0);
}

#[test]
fn missing_file_names_the_places_looked_at() {
    let dir = Workdir::new();
    let finished = dir.run(&["--csv-path", "nowhere.csv", "--target-column", "y"]);
    assert_eq!(finished.code, 1);
    let below = fs::canonicalize(dir.folder.path()).unwrap().join("data/nowhere.csv").display().to_string();
    assert_contains(&finished.stderr, &["no data file `nowhere.csv`", &below, "hint: check `data.path`"]);
}

#[test]
fn a_path_is_also_looked_for_below_the_data_folder() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("data")).unwrap();
    dir.write("data/mine.csv", csv(200));
    let args = ["--csv-path", "mine.csv", "--target-column", "y", "--no-mlflow"];
    dir.run(&[&args[..], &SHORT].concat()).ok();
}

#[test]
fn empty_file() {
    assert_contains(&error_of(b"", &[]), &["data.csv", "is empty"]);
}

#[test]
fn header_only() {
    assert_contains(&error_of(b"a,b,y\n", &[]), &["data.csv", "has a header but no rows"]);
}

#[test]
fn ragged_row() {
    let error = error_of(format!("{}1,2\n", csv(50)).as_bytes(), &[]);
    assert_contains(&error, &["row 51", "has 2 values, but there are 3 columns"]);
}

#[test]
fn wrong_delimiter() {
    let error = error_of(csv(50).replace(',', ";").as_bytes(), &[]);
    assert_contains(&error, &["it looks like `;` separates the columns", "data.delimiter"]);
}

#[test]
fn target_missing() {
    let error = error_of(csv(50).replace("a,b,y", "a,b,Y1").as_bytes(), &[]);
    assert_contains(&error, &["no column `y`", "`data.target`"]);
}

#[test]
fn not_utf8() {
    assert_contains(&error_of(b"a,b,y\n1,2,caf\xe9\n3,4,no\n", &[]), &["not UTF-8"]);
}

#[test]
fn one_class_only() {
    assert_contains(&error_of(csv(50).replace("yes", "no").as_bytes(), &[]), &["every row has the same target"]);
}

#[test]
fn text_where_a_number_is_to_be_predicted() {
    let error = error_of(csv(50).as_bytes(), &["--problem-type", "regression"]);
    assert_contains(&error, &["column `y`, row 1: `no` is not a number"]);
}

/// Runs on `data.csv` with the given content, which has something odd that is no error; gives what was said.
fn said_about(content: impl AsRef<[u8]>, more: &[&str]) -> String {
    let dir = Workdir::new();
    dir.write("data.csv", content);
    let args = ["--csv-path", "data.csv", "--target-column", "y", "--no-mlflow"];
    dir.run(&[&args[..], &SHORT, more].concat()).ok().stderr
}

/// `csv` with one more column.
fn with_column(name: &str, rows: usize, value: impl Fn(usize) -> String) -> String {
    let text = csv(rows);
    let mut lines = text.lines();
    let header = format!("{name},{}\n", lines.next().unwrap());
    lines.enumerate().fold(header, |all, (i, line)| all + &format!("{},{line}\n", value(i)))
}

#[test]
fn a_class_that_no_train_row_has() {
    let part = |i: usize| ["train", "train", "val", "test"][i % 4].to_owned();
    let mut text = with_column("part", 80, part);
    text.push_str("test,1,2,maybe\n");
    let error = error_of(text.as_bytes(), &["--set", "data.split.column=part"]);
    assert_contains(&error, &["row 81: class `maybe` occurs in test but in no train row"]);
}

#[test]
fn columns_without_values_or_with_one_are_dropped() {
    let empty = said_about(with_column("void", 200, |_| String::new()), &[]);
    assert_contains(&empty, &["column `void` is dropped: it has no values", "2 columns -> `y`"]);
    let constant = said_about(with_column("same", 200, |_| "7.5".to_owned()), &[]);
    assert_contains(&constant, &["column `same` is dropped: it has a single value", "2 columns -> `y`"]);
    let all = error_of(b"a,b,y\n,1,u\n,1,v\n,1,u\n,1,v\n,1,u\n,1,v\n,1,u\n,1,v\n,1,u\n,1,v\n", &[]);
    assert_contains(&all, &["no feature is left beside the target `y`", "column `a` is dropped"]);
}

#[test]
fn not_a_number_is_missing_and_infinities_are_errors() {
    let some =
        |text: &'static str| with_column("c", 200, move |i| if i % 9 == 3 { text.into() } else { i.to_string() });
    assert_contains(&said_about(some("NaN"), &["--set", "features.missing_indicator=true"]), &["3 columns -> `y`"]);
    for text in ["inf", "-inf", "Infinity", "1e39"] {
        let error = error_of(some(text).as_bytes(), &["--set", "data.types={c: numeric}"]);
        assert_contains(&error, &["column `c`, row ", &format!("`{text}` is not a number (or one beyond 3.4e38)")]);
    }
    let few = with_column("c", 200, |i| if i == 150 { "inf".into() } else { i.to_string() });
    assert_contains(&error_of(few.as_bytes(), &[]), &["199 of 200 values are numbers, but row 151 holds `inf`"]);
    let target: String =
        (0..60).map(|i| format!("{i},{}\n", if i == 9 { "inf".into() } else { i.to_string() })).collect();
    let error = error_of(format!("a,y\n{target}").as_bytes(), &["--problem-type", "regression"]);
    assert_contains(&error, &["column `y`, row 10: `inf` is not a number"]);
}

#[test]
fn duplicate_column_names() {
    let error = error_of(csv(50).replace("a,b,y", "a,a,y").as_bytes(), &[]);
    assert_contains(&error, &["two columns are named `a`"]);
}

#[test]
fn the_target_in_another_role() {
    for key in ["data.id_columns", "data.ignore_columns"] {
        let error = error_of(csv(50).as_bytes(), &["--set", &format!("{key}=[y]")]);
        assert_contains(&error, &["column `y` is the target", key]);
    }
    for key in ["data.split.column", "data.split.group"] {
        let error = error_of(csv(50).as_bytes(), &["--set", &format!("{key}=y")]);
        assert_contains(&error, &["column `y` is the target", key]);
    }
    let error = error_of(csv(50).as_bytes(), &["--set", "features.columns={y: {scaling: none}}"]);
    assert_contains(&error, &["column `y` is the target", "features.columns"]);
    let said = said_about(csv(200), &["--set", "data.types={y: categorical}"]);
    assert_contains(&said, &["2 columns -> `y`"]);
}

#[test]
fn a_hundred_thousand_levels() {
    let text = with_column("word", 100_000, |i| format!("w{i}"));
    let error = error_of(text.as_bytes(), &[]);
    assert_contains(&error, &["do not fit into memory", "`features.max_categories`", "`word` (60000 levels)"]);
    let few = ["--set", "features.max_categories=50", "--set", "training.batch_size=4096"];
    assert_contains(&said_about(&text, &few), &["3 columns -> `y`"]);
    let embedding = ["--set", "features.categorical=embedding", "--set", "training.batch_size=4096"];
    assert_contains(&said_about(&text, &embedding), &["column `word` has 60000 levels"]);
}

#[test]
fn one_row() {
    assert_contains(&error_of(csv(1).as_bytes(), &[]), &["every row has the same target"]);
    assert_contains(&error_of(b"a,y\n1,2.5\n", &["--problem-type", "regression"]), &["gets none of the 1 rows"]);
}

#[test]
fn files_per_part() {
    let dir = Workdir::new();
    fs::create_dir(dir.path("data")).unwrap();
    for (name, rows) in [("train", 200), ("valid", 50), ("test", 60)] {
        dir.write(&format!("data/{name}.csv"), csv(rows));
    }
    let settings = ["source=null", "target_bins=null", "target=y", "train_path=train.csv", "test_path=test.csv"];
    let mut args: Vec<String> = settings.iter().flat_map(|set| ["--set".to_owned(), format!("data.{set}")]).collect();
    args.extend(SHORT.map(str::to_owned));
    let run = |args: &[String]| dir.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_contains(&run(&args).ok().stderr, &["data: train, 260 rows (160 train, 40 valid, 60 test)"]);
    args.extend(["--set".to_owned(), "data.valid_path=valid.csv".to_owned()]);
    assert_contains(&run(&args).ok().stderr, &["data: train, 310 rows (200 train, 50 valid, 60 test)"]);
    let tags = &dir.runs()[0].tags;
    let sha256 = ["train", "valid", "test"].map(|part| tags[&format!("dataset_file_sha256.{part}")].clone());
    assert_eq!(sha256, [200, 50, 60].map(|rows| self::sha256(csv(rows).as_bytes())));
    dir.write("data/test.csv", csv(60).replace("a,b,y", "a,c,y"));
    let finished = run(&args);
    assert_eq!(finished.code, 1);
    assert_contains(
        &finished.stderr,
        &["error: `data/test.csv` has a column `c`, which `data/train.csv` does not have"],
    );
    fs::remove_file(dir.path("data/test.csv")).unwrap();
    assert_contains(&run(&args).stderr, &["no data file `test.csv`", "hint: check `data.test_path`\n"]);
}

/// A small file system of its own, unmounted in the end.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// `None`, with a printed line, where this user may not mount.
    fn mount(folder: PathBuf, kilobytes: usize) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let size = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&folder).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        println!("SKIPPED: cannot mount a small file system (it takes root)");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.folder).status();
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Whether a file ends as its kind does.
fn is_whole(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => {
            let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header: serde_json::Value = serde_json::from_slice(&bytes[8..data]).unwrap();
            let end_of = |tensor: &serde_json::Value| tensor["data_offsets"][1].as_u64();
            bytes.len() as u64 == data as u64 + header.as_object().unwrap().values().filter_map(end_of).max().unwrap()
        }
        Some("json") => serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(),
        Some("png") => bytes.ends_with(b"IEND\xAE\x42\x60\x82"),
        Some("svg") => bytes.trim_ascii_end().ends_with(b"</svg>"),
        // The checkpoint of `training`.
        Some("bin") => training::Checkpoint::from_bytes(&bytes).is_ok(),
        _ => bytes.ends_with(b"\n"),
    }
}

#[test]
fn a_full_disk() {
    for kilobytes in [4, 40, 80, 160, 280, 400] {
        let dir = Workdir::new();
        let Some(disk) = SmallDisk::mount(dir.path("small"), kilobytes) else { return };
        let finished = dir.run(&[&["--set", "paths.models_dir=small/models"], &SHORT[..]].concat());
        assert_eq!(finished.code, 1, "{kilobytes} kB: {}", finished.stderr);
        let error = &finished.stderr[finished.stderr.find("error: ").unwrap()..];
        assert_contains(error, &["small/models", "No space left on device"]);
        let mut files = Vec::new();
        files_below(&disk.folder, &mut files);
        for file in &files {
            assert!(is_whole(file), "{kilobytes} kB: `{}` is half-written", file.display());
        }
        println!("{kilobytes} kB: {} whole files, then {}", files.len(), error.lines().next().unwrap());
        assert_eq!(dir.runs()[0].info.status, RunStatus::Failed);
    }
}

#[test]
fn unwritable_folders() {
    for (key, made) in [("paths.models_dir", "models"), ("paths.logs_dir", "logs")] {
        let dir = Workdir::new();
        // A file where a folder is needed stops root too, which a read-only folder would not.
        dir.write("blocked", "");
        let folder = format!("{key}=blocked/{made}");
        let finished = dir.run(&[&["--set", &folder, "--no-mlflow"], &SHORT[..]].concat());
        assert_eq!(finished.code, 1);
        assert_contains(&finished.stderr, &["error: cannot create folder `blocked/", "Not a directory"]);
    }
    let dir = Workdir::new();
    dir.write("blocked", "");
    let finished = dir.run(&[&["--set", "mlflow.tracking_uri=sqlite:///blocked/mlflow.db"], &SHORT[..]].concat());
    assert_eq!(finished.code, 1);
    assert_contains(&finished.stderr, &["error: cannot create", "/blocked`: File exists"]);
}

#[test]
fn a_server_that_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let uri = format!("mlflow.tracking_uri=http://user:planted-secret@127.0.0.1:{port}");
    for (strict, code, hint) in [("true", 1, "hint: start it with `mlflow server`"), ("false", 0, "sync_runs")] {
        let dir = Workdir::new();
        let strict = format!("mlflow.strict={strict}");
        let finished = Workdir::run(&dir, &[&["--set", &uri, "--set", &strict], &SHORT[..]].concat());
        assert_eq!(finished.code, code);
        assert_contains(&finished.stderr, &[&format!("127.0.0.1:{port}"), hint]);
        let written = [finished.stdout, finished.stderr].concat() + &all_text(dir.folder.path());
        assert!(!written.contains("planted-secret") && !written.contains("cGxhbnRlZC1zZWNyZXQ"), "{written}");
    }
}

/// All files below a folder, as text.
fn all_text(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.is_dir() {
        true => all_text(&path),
        false => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
    };
    entries.map(text).collect()
}

#[test]
fn an_unknown_monitor_lists_the_metrics() {
    let dir = Workdir::new();
    let finished = dir.run(&["--set", "training.early_stopping.monitor=val_rmse"]);
    assert_contains(&finished.stderr, &["no metric `rmse` for this problem type", "auc, accuracy"]);
    assert_eq!(finished.code, 2);
    assert_eq!(dir.runs()[0].info.status, RunStatus::Failed);
    let dir = Workdir::new();
    let finished = dir.run(&["--set", "training.early_stopping.monitor=val_acuracy"]);
    assert_contains(&finished.stderr, &["`training.early_stopping.monitor`: no metric `acuracy`", "accuracy"]);
    assert_eq!(finished.code, 2);
    assert!(!dir.path("mlflow.db").exists(), "known to be wrong before anything runs");
}

/// Serves `body` once per connection, promising `length` bytes.
fn serve(body: Vec<u8>, length: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&body);
        }
    });
    format!("http://{address}/data.csv")
}

fn download(dir: &Workdir, url: &str, sha256: &str) -> support::Finished {
    let settings = ["data.source=null", "data.path=data/remote.csv", "data.target=y", "data.target_bins=null"];
    let mut args: Vec<String> = settings.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect();
    args.extend(["--set".to_owned(), format!("data.url={url}"), "--set".to_owned(), format!("data.sha256={sha256}")]);
    args.extend(SHORT.iter().map(|&arg| arg.to_owned()));
    dir.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_url_is_downloaded_once_and_checked() {
    let body = csv(200).into_bytes();
    let url = serve(body.clone(), body.len());
    let dir = Workdir::new();
    let first = download(&dir, &url, &sha256(&body)).ok();
    assert_contains(&first.stderr, &["downloading"]);
    assert_eq!(fs::read(dir.path("data/remote.csv")).unwrap(), body);
    let second = download(&dir, "http://127.0.0.1:1/gone.csv", &sha256(&body)).ok();
    assert!(!second.stderr.contains("downloading"), "{}", second.stderr);
    dir.write("data/remote.csv", csv(201));
    let changed = download(&dir, &url, &sha256(&body));
    assert_contains(&changed.stderr, &["has sha256", "the file changed since"]);
    assert_eq!(changed.code, 1);
}

#[test]
fn a_broken_download_leaves_no_file() {
    let body = csv(200).into_bytes();
    let cases = [
        (serve(body.clone(), body.len()), "0".repeat(64), "the file there has sha256"),
        (serve(body[..100].to_vec(), body.len()), sha256(&body), "broke off"),
        ("http://127.0.0.1:1/x.csv".to_owned(), sha256(&body), "cannot download"),
    ];
    for (url, sha256, message) in cases {
        let dir = Workdir::new();
        let finished = download(&dir, &url, &sha256);
        assert_eq!(finished.code, 1);
        assert_contains(&finished.stderr, &[message, "hint: download it by hand"]);
        assert_eq!(fs::read_dir(dir.path("data")).unwrap().count(), 0, "{message}");
    }
}
