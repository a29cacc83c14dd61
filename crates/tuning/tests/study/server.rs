//! A PostgreSQL server for this test program, if there is one on this machine.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use postgres::{Client, NoTls};

/// Address of a database of its own for each call; `None` without a server.
pub fn new_database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let name = format!("study_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Client::connect(&format!("{server}/postgres"), NoTls)
        .unwrap()
        .execute(&format!("CREATE DATABASE {name}"), &[])
        .unwrap();
    Some(format!("{server}/{name}"))
}

/// The certificate of the server, for `localhost`, which nobody vouches for.
pub fn certificate() -> Option<String> {
    let port = server()?.rsplit_once(':').unwrap().1;
    Some(folder(port).join("cert.pem").to_str().unwrap().to_owned())
}

fn folder(port: &str) -> PathBuf {
    env::temp_dir().join(format!("tuning-test-{}-{port}", std::process::id()))
}

fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<(String, Child)>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref().map(|(url, _)| url.as_str())
}

/// The server ends, and its files go, when this program ends however it does: its guard then reads the end of its input.
fn start() -> Option<(String, Child)> {
    let is_there = |tool| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !is_there("initdb") || !is_there("postgres") {
        eprintln!("skipped: PostgreSQL, because `initdb` and `postgres` are not on the PATH");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = folder(&port.to_string());
    fs::create_dir(&dir).unwrap();
    let path = dir.to_str().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(dir.join("cert.pem"), cert.pem()).unwrap();
    fs::write(dir.join("key.pem"), signing_key.serialize_pem()).unwrap();
    let guard = format!(
        "initdb -D {path}/data -A trust -U tester > {path}/log 2>&1 || exit 1
         chmod 600 {path}/key.pem
         postgres -D {path}/data -p {port} -k {path} -c listen_addresses=127.0.0.1 -c fsync=off \
            -c ssl=on -c ssl_cert_file={path}/cert.pem -c ssl_key_file={path}/key.pem -c timezone=Asia/Kolkata >> {path}/log 2>&1 &
         server=$!; cat; kill -INT $server; wait $server; rm -rf {path}"
    );
    // PostgreSQL refuses to run as root.
    let is_root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let mut command = if is_root {
        assert!(Command::new("chown").args(["-R", "postgres", path]).status().unwrap().success(), "no user `postgres`");
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh", "-c", &guard]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", &guard]);
        command
    };
    let child = command.current_dir(&dir).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let url = format!("postgresql://tester:s3cret@127.0.0.1:{port}");
    let begun = Instant::now();
    while let Err(error) = Client::connect(&format!("{url}/postgres"), NoTls) {
        let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {error}\n{}", log());
        thread::sleep(Duration::from_millis(50));
    }
    Some((url, child))
}
