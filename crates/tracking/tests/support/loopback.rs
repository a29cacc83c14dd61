//! A small HTTP server, with TLS where wanted. It lives as long as the test binary.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// One request as it came.
pub struct Request {
    /// First line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The address, as in the first line.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Last part of the path: `log-batch`, `create`.
    pub fn call(&self) -> &str {
        let path = self.target().split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }
}

/// A whole answer.
pub fn reply(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

/// What a well server says.
pub fn healthy(request: &Request) -> String {
    let info = json!({
        "run_id": "r1", "experiment_id": "0", "run_name": "n", "status": "RUNNING", "start_time": "1",
        "artifact_uri": "mlflow-artifacts:/0/r1/artifacts", "lifecycle_stage": "active",
    });
    let experiment = json!({"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"});
    let body: Value = match request.call() {
        "get-by-name" => json!({"experiment": experiment}),
        "create" | "get" => json!({"run": {"info": info}, "experiment": experiment, "experiment_id": "0"}),
        "update" => json!({"run_info": info}),
        _ => json!({}),
    };
    reply(200, "", &body.to_string())
}

pub trait Script: Fn(&Request) -> String + Send + Sync + 'static {}
impl<F: Fn(&Request) -> String + Send + Sync + 'static> Script for F {}

/// Starts a server that answers as `script` says.
pub fn serve(script: impl Script) -> SocketAddr {
    let script = Arc::new(script);
    accept(move |stream| answer(stream, script.as_ref()))
}

/// The same over TLS.
pub fn serve_tls(config: ServerConfig, script: impl Script) -> SocketAddr {
    let (config, script) = (Arc::new(config), Arc::new(script));
    accept(move |stream| {
        let connection = ServerConnection::new(config.clone()).expect("a connection");
        answer(StreamOwned::new(connection, stream), script.as_ref())
    })
}

/// Does `work` with every connection. `None` says that the other side has gone, which some tests are about.
pub fn accept(work: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let work = Arc::new(work);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let work = work.clone();
            thread::spawn(move || work(stream));
        }
    });
    address
}

pub fn read_request(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let mut request = Request { head, body: Vec::new() };
    let length: u64 = request.header("content-length").parse().unwrap_or(0);
    stream.take(length).read_to_end(&mut request.body).ok()?;
    Some(request)
}

fn answer(stream: impl Read + Write, script: &impl Script) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = read_request(&mut stream)?;
    stream.get_mut().write_all(script(&request).as_bytes()).ok()?;
    stream.get_mut().flush().ok()
}
