//! What a network can do to us: a proxy on loopback between a client and a real server.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "request.rs"]
mod request;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use request::Head;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Pass,
    /// Passed on late.
    DelayBefore(Duration),
    /// Passed on at once; the reply is late.
    DelayAfter(Duration),
    /// The connection ends before the server sees anything.
    ResetBefore,
    /// The server does what it is asked, and its reply is lost.
    LoseReply,
    /// The same, and the last byte of the reply is missing.
    TearReply,
    /// An answer that the server knows nothing of: a status, and headers that each end in `\r\n`.
    Answer(u16, &'static str),
    /// Never answered.
    Hang,
    /// The body is read at so many bytes per second.
    SlowUpload(usize),
    /// The connection ends, for both sides, after so many bytes of the body.
    CutUpload(usize),
}

/// A request as the script sees it.
pub struct Request<'a> {
    /// `runs/log-batch`, `PUT artifact`.
    pub endpoint: &'a str,
    /// How many requests to this endpoint came before.
    pub number: usize,
    pub authorization: &'a str,
}

type Script = Arc<dyn Fn(&Request<'_>) -> Fault + Send + Sync>;

/// Passes HTTP/1.1 requests on to a server, one connection each, with the faults of a script.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    /// Ends, and with it the listener, when `down` is asked for.
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// `HOST:PORT`
    upstream: String,
    script: Mutex<Script>,
    /// Endpoint and time of each request.
    seen: Mutex<Vec<(String, Instant)>>,
    /// Connections of clients, to be cut when the proxy goes down.
    open: Mutex<BTreeMap<usize, TcpStream>>,
    down: AtomicBool,
}

impl Proxy {
    /// `upstream` is `http://HOST:PORT`. Everything passes until there is a script.
    pub fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("http://").to_string(),
            script: Mutex::new(Arc::new(|_: &Request<'_>| Fault::Pass)),
            seen: Mutex::default(),
            open: Mutex::default(),
            down: AtomicBool::new(false),
        });
        let (listener, port) = free_port();
        let listening = Mutex::new(Some(listen(listener, shared.clone())));
        Self { shared, port, listening }
    }

    /// `http://127.0.0.1:PORT`, the same after an outage.
    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks `script` from now on what happens to a request.
    pub fn script(&self, script: impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static) {
        *self.shared.script.lock().expect("a lock") = Arc::new(script);
    }

    /// The same for every request.
    pub fn always(&self, fault: Fault) {
        self.script(move |_| fault);
    }

    /// Cuts all connections and refuses new ones.
    pub fn down(&self) {
        let Some(listening) = self.listening.lock().expect("a lock").take() else { return };
        self.shared.down.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at the flag.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        listening.join().expect("the listener ends");
        for stream in self.shared.open.lock().expect("a lock").values() {
            // One that has ended already cannot be cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Passes everything on; after [`Proxy::down`] it listens again, on the same port.
    pub fn up(&self) {
        self.always(Fault::Pass);
        let mut listening = self.listening.lock().expect("a lock");
        if listening.is_none() {
            self.shared.down.store(false, Ordering::SeqCst);
            let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is still ours");
            *listening = Some(listen(listener, self.shared.clone()));
        }
    }

    /// When requests to this endpoint came.
    pub fn times(&self, endpoint: &str) -> Vec<Instant> {
        let seen = self.shared.seen.lock().expect("a lock");
        seen.iter().filter(|(called, _)| called == endpoint).map(|(_, time)| *time).collect()
    }

    /// How many requests to this endpoint came.
    pub fn count(&self, endpoint: &str) -> usize {
        self.times(endpoint).len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.down();
    }
}

/// A port below those that the system gives to outgoing connections: while the proxy is down, a client that knocks
/// without end could otherwise be given the very port that it knocks at, and talk to itself.
fn free_port() -> (TcpListener, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() * 64 % 12_000) as u16;
    (0..12_000)
        .find_map(|_| {
            let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
            TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| (listener, port))
        })
        .expect("a free port")
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if shared.down.load(Ordering::SeqCst) {
                return;
            }
            let shared = shared.clone();
            thread::spawn(move || serve(&stream, &shared));
        }
    })
}

fn serve(client: &TcpStream, shared: &Shared) {
    static NEXT: Mutex<usize> = Mutex::new(0);
    let Ok(handle) = client.try_clone() else { return };
    let id = {
        let mut next = NEXT.lock().expect("a lock");
        *next += 1;
        *next
    };
    shared.open.lock().expect("a lock").insert(id, handle);
    if !shared.down.load(Ordering::SeqCst) {
        // `None` is a connection that broke, by our script or not.
        let _ = answer(client, shared);
    }
    shared.open.lock().expect("a lock").remove(&id);
}

fn answer(mut client: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(client);
    let head = Head::read(&mut reader)?;
    match shared.fault(&head) {
        Fault::Pass => pass(&head, reader, client, shared),
        Fault::DelayBefore(delay) => {
            thread::sleep(delay);
            pass(&head, reader, client, shared)
        }
        Fault::DelayAfter(delay) => {
            let mut server = forward(&head, reader, usize::MAX, shared)?;
            thread::sleep(delay);
            io::copy(&mut server, &mut client).ok().map(drop)
        }
        Fault::ResetBefore => None,
        Fault::LoseReply => read_all(forward(&head, reader, usize::MAX, shared)?).map(drop),
        Fault::TearReply => {
            let reply = read_all(forward(&head, reader, usize::MAX, shared)?)?;
            client.write_all(&reply[..reply.len().checked_sub(1)?]).ok()
        }
        Fault::Answer(status, headers) => {
            // Read first: a client that is still sending would see a reset instead of the answer.
            io::copy(&mut reader.take(head.length as u64), &mut io::sink()).ok()?;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\nConnection: close\r\n{headers}\r\nbusy");
            client.write_all(answer.as_bytes()).ok()
        }
        // Until the client has had enough.
        Fault::Hang => io::copy(&mut reader, &mut io::sink()).ok().map(drop),
        Fault::SlowUpload(bytes_per_second) => {
            let mut server = forward(&head, reader, bytes_per_second, shared)?;
            io::copy(&mut server, &mut client).ok().map(drop)
        }
        Fault::CutUpload(bytes) => forward(&head, reader.take(bytes as u64), usize::MAX, shared).map(drop),
    }
}

fn pass(head: &Head, reader: impl Read, mut client: &TcpStream, shared: &Shared) -> Option<()> {
    let mut server = forward(head, reader, usize::MAX, shared)?;
    io::copy(&mut server, &mut client).ok().map(drop)
}

/// Sends the request on; what the server replies can then be read up to its end.
fn forward(head: &Head, mut body: impl Read, bytes_per_second: usize, shared: &Shared) -> Option<TcpStream> {
    let mut server = TcpStream::connect(&shared.upstream).ok()?;
    let text = head.text.trim_end();
    server.write_all(format!("{text}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut piece = vec![0; (64 << 10).min(bytes_per_second)];
    let mut left = head.length;
    while left > 0 {
        let end = left.min(piece.len());
        let read = body.read(&mut piece[..end]).ok().filter(|read| *read > 0)?;
        server.write_all(&piece[..read]).ok()?;
        left -= read;
        if bytes_per_second != usize::MAX {
            thread::sleep(Duration::from_secs_f64(read as f64 / bytes_per_second as f64));
        }
    }
    Some(server)
}

fn read_all(mut stream: TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

impl Shared {
    fn fault(&self, head: &Head) -> Fault {
        let endpoint = head.endpoint();
        let number = {
            let mut seen = self.seen.lock().expect("a lock");
            let number = seen.iter().filter(|(called, _)| *called == endpoint).count();
            seen.push((endpoint.clone(), Instant::now()));
            number
        };
        let script = self.script.lock().expect("a lock").clone();
        script(&Request { endpoint: &endpoint, number, authorization: &head.authorization })
    }
}
