//! As much of HTTP/1.1 as a test needs.

use serde_json::Value;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::net::TcpStream;

/// The largest body that is taken.
const BODY_BYTES: usize = 64 << 20;

/// A request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The first line: method, path, version.
    pub line: String,
    /// The headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The header of a name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Everything as one text, to look for what must not be in it.
    #[must_use]
    pub fn whole(&self) -> String {
        let headers: Vec<String> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n{}\n\n{}", self.line, headers.join("\n"), String::from_utf8_lossy(&self.body))
    }
}

/// Reads one request.
pub(crate) fn read(stream: &TcpStream) -> std::io::Result<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if line.is_empty() {
        return Err(Error::from(ErrorKind::UnexpectedEof));
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    if length > BODY_BYTES {
        return Err(Error::from(ErrorKind::InvalidData));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Received { line: line.trim_end().to_owned(), headers, body })
}
