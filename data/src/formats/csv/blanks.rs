//! Text whose columns are aligned by several blanks, as movement parameters of fMRI are written.

/// The text with one space for each run of spaces and tabs, and none at the ends of a line; lines stay lines, and what is quoted stays as it is.
pub(super) fn single(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut quoted, mut waiting, mut begun) = (false, false, false);
    for &byte in text {
        match byte {
            b' ' | b'\t' if !quoted => waiting = begun,
            b'\n' | b'\r' if !quoted => {
                (waiting, begun) = (false, false);
                out.push(byte);
            }
            _ => {
                if std::mem::take(&mut waiting) {
                    out.push(b' ');
                }
                begun = true;
                quoted ^= byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_one_space_and_lines_stay() {
        assert_eq!(single(b"  a   b\tc  \r\n\n \t\n\"x  y\"  1 \n z"), b"a b c\r\n\n\n\"x  y\" 1\nz");
        assert_eq!(single(b""), b"");
        assert_eq!(single(b"a b\nc d"), b"a b\nc d");
    }
}
