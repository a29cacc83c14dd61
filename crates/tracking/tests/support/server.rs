//! A stock MLflow server for the tests of this crate and of `app`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An `mlflow server` that is killed, with all its processes, when it goes out of scope.
pub struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub uri: String,
}

impl Server {
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
        let database = format!("sqlite:///{}", folder.join("server.db").display());
        let process = Command::new(bin.join("mlflow"))
            .args(["server", "--workers", "1", "--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--backend-store-uri", &database])
            .args(artifacts)
            .env("PATH", path)
            .current_dir(folder)
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("mlflow starts");
        let mut server = Self { process, uri: format!("http://127.0.0.1:{port}") };
        server.wait_until_healthy(port, folder);
        Some(server)
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

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
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
