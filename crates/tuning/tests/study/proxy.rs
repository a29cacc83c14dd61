//! A connection to a server that breaks on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to connections.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Works,
    /// New ones are closed at once.
    Refuses,
    /// The next COMMIT reaches the server, but its answer does not come back; then it works again.
    BreaksAtCommit,
}

struct State {
    mode: Mode,
    open: Vec<TcpStream>,
}

/// Listens on a port of its own until the program ends.
pub struct Proxy {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub fn new(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { mode: Mode::Works, open: vec![] }));
        let (shared, target) = (state.clone(), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                if shared.lock().unwrap().mode != Mode::Refuses {
                    connect(client, TcpStream::connect(&target).unwrap(), &shared);
                }
            }
        });
        Self { port, state }
    }

    pub fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    /// Breaks all connections.
    pub fn cut(&self) {
        for stream in self.state.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether what was to break has broken.
    pub fn works(&self) -> bool {
        self.state.lock().unwrap().mode == Mode::Works
    }
}

fn connect(client: TcpStream, server: TcpStream, state: &Arc<Mutex<State>>) {
    state.lock().unwrap().open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    let broken = Arc::new(Mutex::new(false));
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (is_broken, state) = (broken.clone(), state.clone());
    thread::spawn(move || {
        copy(&mut from_client, &mut to_server, |bytes| {
            let mut state = state.lock().unwrap();
            if state.mode == Mode::BreaksAtCommit && bytes.windows(6).any(|text| text == b"COMMIT") {
                state.mode = Mode::Works;
                *is_broken.lock().unwrap() = true;
            }
            true
        });
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || copy(&mut from_server, &mut to_client, |_| !*broken.lock().unwrap()));
}

/// Until one side closes, or `passes` says no.
fn copy(from: &mut TcpStream, to: &mut TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !passes(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
