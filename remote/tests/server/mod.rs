//! A server on this machine that speaks just enough HTTP, and misbehaves when told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a file is sent.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub bytes: Vec<u8>,
    pub tag: Option<String>,
    /// Sent instead of the entity tag.
    pub modified: Option<String>,
    pub odd: Odd,
}

/// What a file's answers have that they should not.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Odd {
    #[default]
    Nothing,
    /// Parts are never sent.
    NoRanges,
    /// The part is said to lie elsewhere.
    WrongRange,
    /// The body is half as long as promised; so often, then right.
    Short(usize),
    /// This status first, so often, with these headers.
    Status(u16, usize, String),
    /// Elsewhere.
    Redirect(String),
    /// Nothing comes for so long.
    Slow(Duration),
    /// More bytes than promised, without a length.
    Endless,
    /// Compressed, it says.
    Coded,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub files: BTreeMap<String, File>,
    /// The request lines with the ranges that were asked for.
    pub asked: Vec<(String, Option<String>)>,
    /// The bytes of bodies that were sent.
    pub sent: u64,
}

/// A server.
#[derive(Debug, Clone)]
pub struct Server {
    pub inner: Arc<Mutex<Inner>>,
    pub port: u16,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server { inner: Arc::default(), port: listener.local_addr().unwrap().port() };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || while own.answer(&stream).is_some() {});
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn put(&self, path: &str, file: File) {
        self.inner.lock().unwrap().files.insert(path.to_owned(), file);
    }

    /// The requests so far, and the bytes sent, forgotten thereafter.
    pub fn taken(&self) -> (Vec<(String, Option<String>)>, u64) {
        let mut inner = self.inner.lock().unwrap();
        (std::mem::take(&mut inner.asked), std::mem::take(&mut inner.sent))
    }

    /// Answers one request of a connection; none when it is over.
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?);
        let mut first = String::new();
        lines.read_line(&mut first).ok().filter(|read| *read > 0)?;
        let path = first.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).ok()?;
            let Some((key, value)) = line.trim().split_once(':') else { break };
            headers.insert(key.to_lowercase(), value.trim().to_owned());
        }
        let range = headers.get("range").cloned();
        let mut file = {
            let mut inner = self.inner.lock().unwrap();
            inner.asked.push((path.clone(), range.clone()));
            let found = inner.files.get(&path).or_else(|| inner.files.get(path.split('?').next().unwrap())).cloned();
            if let Some(Odd::Status(_, left, _) | Odd::Short(left)) = inner.files.get_mut(&path).map(|file| &mut file.odd) {
                *left = left.saturating_sub(1);
            }
            found
        };
        let mut stream = stream;
        let mut plain = |status: u16, more: &str| write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}\r\n").ok();
        let Some(file) = file.as_mut() else { return plain(404, "") };
        match &file.odd {
            Odd::Status(status, left, more) if *left > 0 => return plain(*status, more),
            Odd::Redirect(target) => return plain(302, &format!("Location: {target}\r\n")),
            Odd::Slow(time) => std::thread::sleep(*time),
            _ => {}
        }
        if headers.get("if-match").is_some_and(|wanted| Some(wanted) != file.tag.as_ref()) {
            return plain(412, "");
        }
        let length = file.bytes.len();
        let asked = range.filter(|_| file.odd != Odd::NoRanges).map(|range| {
            let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (start.parse::<usize>().unwrap(), end.parse::<usize>().unwrap().saturating_add(1).min(length))
        });
        let mut head = String::new();
        let body = match asked {
            Some((start, _)) if start >= length => return plain(416, &format!("Content-Range: bytes */{length}\r\n")),
            Some((start, end)) => {
                let told = if file.odd == Odd::WrongRange { start + 1 } else { start };
                head += &format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {told}-{}/{length}\r\n", end - 1);
                &file.bytes[start..end]
            }
            None => {
                head += "HTTP/1.1 200 OK\r\n";
                &file.bytes[..]
            }
        };
        if let Some(tag) = &file.tag {
            head += &format!("ETag: {tag}\r\n");
        }
        // Stores that speak S3 always tell the time.
        let modified = file.modified.clone().or_else(|| file.tag.as_ref().map(|_| "Wed, 21 Oct 2015 07:28:00 GMT".into()));
        if let Some(time) = modified {
            head += &format!("Last-Modified: {time}\r\n");
        }
        if file.odd == Odd::Coded {
            head += "Content-Encoding: gzip\r\n";
        }
        if file.odd == Odd::Endless {
            write!(stream, "{head}Connection: close\r\n\r\n").ok()?;
            for _ in 0..1 << 16 {
                stream.write_all(&[0; 1 << 16]).ok()?;
            }
            return None;
        }
        write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).ok()?;
        let half = matches!(file.odd, Odd::Short(left) if left > 0);
        let body = if half { &body[..body.len() / 2] } else { body };
        for part in body.chunks(1 << 16) {
            // Counted first: whoever has read the last part may ask at once.
            self.inner.lock().unwrap().sent += part.len() as u64;
            stream.write_all(part).ok()?;
        }
        if half { None } else { Some(()) }
    }
}
