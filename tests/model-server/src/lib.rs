//! A server for tests that speaks like a model's endpoint, well or badly.
//!
//! It is a real one, on a port of 127.0.0.1, with threads and plain sockets, and shares no code with the client that it tests. A script, which is a function from the
//! request to an [`Answer`], decides what is said: a proper reply, as events or as one document, whatever was asked for, or bytes of any kind.

mod answer;
mod http;

pub use answer::{Answer, Call, Piece};
pub use http::Received;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is answered to a request and its number, counted from 0.
type Script = dyn Fn(&Received, usize) -> Answer + Send + Sync;

/// A running server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    stopped: AtomicBool,
}

impl Server {
    /// Starts one with a script.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(script: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Box::new(script),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                serving.connections.fetch_add(1, Ordering::SeqCst);
                serving.open.fetch_add(1, Ordering::SeqCst);
                let serving = serving.clone();
                std::thread::spawn(move || {
                    // A client that goes away is none of our business.
                    let _ = serving.serve(stream);
                    serving.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { address, shared })
    }

    /// Starts one that gives these answers, one after the other, and then 500.
    ///
    /// # Errors
    /// When no port is free.
    pub fn list(answers: Vec<Answer>) -> std::io::Result<Self> {
        Self::start(move |_, number| answers.get(number).cloned().unwrap_or_else(|| Answer::status(500, "the script has ended")))
    }

    /// The address up to `/chat/completions`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, whole.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were made so far, also those on which nothing was asked.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are being served.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

impl Shared {
    /// One request on one connection.
    fn serve(&self, stream: std::net::TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let request = http::read(&stream)?;
        let number = {
            let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            received.push(request.clone());
            received.len() - 1
        };
        (self.script)(&request, number).write(&request, &stream, &self.stopped)
    }
}
