//! Bad input through the program: one clear error, a non-zero exit code, and a run that says FAILED where one was begun.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use sha2::{Digest, Sha256};
use support::{SHORT, Workdir};
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

fn assert_contains(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no `{part}` in\n{error}");
    }
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
    let uri = format!("http://user:planted-secret@127.0.0.1:{port}");
    let dir = Workdir::new();
    let finished = Workdir::run(&dir, &[&["--set", &format!("mlflow.tracking_uri={uri}")], &SHORT[..]].concat());
    assert_eq!(finished.code, 1);
    assert_contains(&finished.stderr, &[&format!("127.0.0.1:{port}"), "hint: "]);
    assert!(!finished.stderr.contains("planted-secret"), "{}", finished.stderr);
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
