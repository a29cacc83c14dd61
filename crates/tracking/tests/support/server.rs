//! A stock MLflow server for the tests of this crate and of `app`.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Starts what its arguments say, and kills it, its children and itself when its standard input ends: when the test drops
/// the server, and also when the test itself is killed. Ends as well when the server ends by itself.
const GUARD: &str = r#"("$@" </dev/null; kill -KILL 0) & read -r line; kill -KILL 0"#;

/// An `mlflow server` that is killed, with all its processes, when it goes out of scope or the test ends.
pub struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub uri: String,
    /// With the database and the log.
    pub folder: PathBuf,
}

impl Server {
    /// One server of `MLFLOW_PYTHON` for all tests of a binary, with artifacts of its own: a start takes many seconds.
    pub fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        let start = || {
            let folder = scratch_folder();
            fs::create_dir_all(&folder).expect("a folder");
            let artifacts = folder.join("artifacts");
            let arguments = ["--artifacts-destination", artifacts.to_str().expect("UTF-8")];
            Self::start("MLFLOW_PYTHON", &folder, &arguments)
        };
        SERVER.get_or_init(start).as_ref()
    }

    /// `None`, with a line that says so, when the variable is not set.
    pub fn start(variable: &str, folder: &Path, artifacts: &[&str]) -> Option<Self> {
        let Ok(python) = std::env::var(variable) else {
            eprintln!("skipped: {variable} is not set");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let bin = Path::new(&python).parent().expect("a folder");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let log = fs::File::create(folder.join("server.log")).expect("a log");
        let process = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(bin.join("mlflow"))
            .args(["server", "--workers", "1", "--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--backend-store-uri", &format!("sqlite:///{}", folder.join("server.db").display())])
            .args(artifacts)
            .env("PATH", path)
            // No process for background jobs: they have nothing to do with tracking.
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("mlflow starts");
        let mut server = Self { process, uri: format!("http://127.0.0.1:{port}"), folder: folder.into() };
        server.wait_until_healthy(port, folder);
        Some(server)
    }

    /// The SQLite file behind it.
    pub fn database(&self) -> PathBuf {
        self.folder.join("server.db")
    }

    fn wait_until_healthy(&mut self, port: u16, folder: &Path) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(180) {
            let exited = self.process.try_wait().expect("a state");
            assert!(exited.is_none(), "{}", fs::read_to_string(folder.join("server.log")).unwrap_or_default());
            if healthy(port) {
                println!("server answers after {:.1} s", start.elapsed().as_secs_f32());
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("no server after 180 s");
    }
}

/// A folder of this process. Not a temporary one: a value that lives as long as the process is never dropped. So each process
/// deletes what those before it have left.
fn scratch_folder() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers");
    for entry in fs::read_dir(&scratch).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            // Another process may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    scratch.join(std::process::id().to_string())
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard sees the end of its input; one that is gone already needs no wait.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    let request = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
