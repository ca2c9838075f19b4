//! LZF, the filter 32000 that h5py brings.
//!
//! Layout: the format of LibLZF: a byte below 32 begins a run of plain bytes, any other one a copy from what came before.

/// The plain bytes, at most `most`.
pub(super) fn undo(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let mut out: Vec<u8> = Vec::with_capacity((bytes.len() as u64).saturating_mul(2).min(most) as usize);
    let short = || "a chunk of LZF ends too early".to_owned();
    let mut rest = bytes;
    while let Some((&control, after)) = rest.split_first() {
        rest = after;
        let control = usize::from(control);
        if control < 32 {
            let (plain, after) = rest.split_at_checked(control + 1).ok_or_else(short)?;
            out.extend_from_slice(plain);
            rest = after;
        } else {
            let mut length = control >> 5;
            if length == 7 {
                let (&more, after) = rest.split_first().ok_or_else(short)?;
                length += usize::from(more);
                rest = after;
            }
            let (&low, after) = rest.split_first().ok_or_else(short)?;
            rest = after;
            let back = ((control & 0x1f) << 8) + usize::from(low) + 1;
            let start = out.len().checked_sub(back).ok_or("a chunk of LZF copies from before its begin")?;
            // What is copied may be longer than the way back: then it repeats itself.
            for place in start..start + length + 2 {
                let byte = out.get(place).copied().unwrap_or(0);
                out.push(byte);
            }
        }
        if out.len() as u64 > most {
            return Err(format!("a chunk of LZF holds more than {most} bytes"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_copies() {
        // "abc", then five bytes from three back.
        assert_eq!(undo(&[2, b'a', b'b', b'c', 3 << 5, 2], 100).unwrap(), b"abcabcab");
        // A long copy: 7 + 4 + 2 bytes from one back.
        assert_eq!(undo(&[0, b'x', 7 << 5, 4, 0], 100).unwrap(), b"xxxxxxxxxxxxxx");
        assert_eq!(undo(&[3, b'a'], 100).unwrap_err(), "a chunk of LZF ends too early");
        assert_eq!(undo(&[0, b'x', 1 << 5, 9], 100).unwrap_err(), "a chunk of LZF copies from before its begin");
        assert_eq!(undo(&[0, b'x', 7 << 5, 255, 0], 10).unwrap_err(), "a chunk of LZF holds more than 10 bytes");
    }
}
