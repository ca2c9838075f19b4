//! Server-sent events: a stream of bytes into whole events, in time linear in the bytes, whatever they are.
//!
//! Lines end with LF or CR LF. Fields other than `data` are left out, and so are comments, which servers send to keep a connection alive.
//! Bytes are cut at line ends only, so that a character that arrives in two pieces stays whole.

/// Takes pieces of a stream and gives the data of each event.
#[derive(Debug)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    first: bool,
    limit: usize,
}

/// An event is larger than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Events of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { line: Vec::new(), data: Vec::new(), has_data: false, first: true, limit }
    }

    /// Adds bytes; what is whole by now is pushed to `out`.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            self.end_line(out);
        }
        self.add(bytes)
    }

    /// Ends the stream: an event that lacks only its last blank line counts as whole. Otherwise what is left over is given as the error.
    pub(super) fn finish(mut self, is_whole: impl Fn(&[u8]) -> bool, out: &mut Vec<Vec<u8>>) -> Result<(), Vec<u8>> {
        let mut rest = Vec::new();
        if !self.line.is_empty() {
            self.end_line(&mut rest);
        }
        self.end_line(&mut rest);
        match rest.pop() {
            Some(event) if !is_whole(&event) => Err(event),
            event => {
                out.extend(event);
                Ok(())
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() + bytes.len() > self.limit {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<Vec<u8>>) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.strip_suffix(b"\r").unwrap_or(&line);
        if std::mem::take(&mut self.first) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                out.push(std::mem::take(&mut self.data));
            }
            return;
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::new(1000);
        let mut out = Vec::new();
        for piece in pieces {
            events.push(piece, &mut out).unwrap();
        }
        let _ = events.finish(|_| true, &mut out);
        out.into_iter().map(|event| String::from_utf8(event).unwrap()).collect()
    }

    #[test]
    fn fields_comments_and_line_ends_are_read_as_the_standard_says() {
        let text = "\u{feff}: hello\r\nevent: x\r\ndata: {\"a\":1}\r\n\r\nid: 3\n\ndata:one\ndata: two\n\n: keep-alive\n\ndata: [DONE]\n\n";
        assert_eq!(events(&[text.as_bytes()]), ["{\"a\":1}", "one\ntwo", "[DONE]"]);
    }

    #[test]
    fn a_character_in_two_pieces_stays_whole() {
        let text = "data: größe 🧠\n\n".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(events(&[&text[..cut], &text[cut..]]), ["größe 🧠"]);
        }
    }

    #[test]
    fn the_end_may_lack_a_blank_line_but_not_half_an_event() {
        let mut out = Vec::new();
        let mut whole = Events::new(100);
        whole.push(b"data: {}", &mut out).unwrap();
        assert_eq!(whole.finish(|event| event == b"{}", &mut out), Ok(()));
        assert_eq!(out, [b"{}"]);
        let mut half = Events::new(100);
        half.push(b"data: {\"a\":", &mut out).unwrap();
        assert_eq!(half.finish(|event| event == b"{}", &mut out), Err(b"{\"a\":".to_vec()));
    }

    #[test]
    fn an_endless_line_is_refused_at_the_limit() {
        let mut events = Events::new(1000);
        let mut out = Vec::new();
        let taken = (0..).find(|_| events.push(&[b'a'; 64], &mut out) == Err(TooLong)).unwrap();
        assert_eq!((taken, out.len()), (15, 0));
    }

    proptest! {
        /// However the bytes are cut, the events are the same.
        #[test]
        fn pieces_do_not_matter(text in "[a:d\r\n é]{0,80}|(data: [a-zé]{0,5}\r?\n\n?){0,10}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let bytes = text.as_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&pieces), events(&[bytes]));
        }
    }
}
