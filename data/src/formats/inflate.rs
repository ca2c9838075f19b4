//! Inflating with a leash: the output grows as bytes arrive, never on the word of a header.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::limits::{Budget, Limits};

/// The wrapping around the deflate data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// zlib, in MATLAB files.
    Zlib,
    /// None, in zip archives.
    Raw,
    /// gzip, one or more members.
    Gzip,
}

/// Inflates `compressed`, stopping with an error when it yields more than the ratio or the budget allows, or more than `declared` bytes.
///
/// Every byte held is charged to `budget`. The reason is returned as text, the caller knows the place.
pub fn inflate(
    wrapping: Wrapping,
    compressed: &[u8],
    declared: Option<u64>,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Vec<u8>, String> {
    let justified = (compressed.len() as u64).saturating_mul(limits.max_inflation);
    if let Some(declared) = declared {
        if declared > justified {
            return Err(format!("{} compressed bytes claim to hold {declared}, which deflate can't do", compressed.len()));
        }
        if declared > budget.left() {
            budget.charge(declared)?;
        }
    }
    let most = justified.min(declared.unwrap_or(u64::MAX)).min(budget.left());
    let mut decoder: Box<dyn Read + '_> = match wrapping {
        Wrapping::Zlib => Box::new(ZlibDecoder::new(compressed)),
        Wrapping::Raw => Box::new(DeflateDecoder::new(compressed)),
        Wrapping::Gzip => Box::new(MultiGzDecoder::new(compressed)),
    };
    // Four times the compressed bytes is a usual ratio and a modest promise; the vector doubles from there as data arrives.
    let first = most.min((compressed.len() as u64).saturating_mul(4)).min(usize::MAX as u64) as usize;
    let mut out = Vec::with_capacity(first);
    let taken = decoder.by_ref().take(most).read_to_end(&mut out);
    if let Err(error) = taken {
        return Err(format!("the compressed data break off or are damaged after {} bytes ({error})", out.len()));
    }
    if out.len() as u64 == most {
        let mut one_more = [0u8; 1];
        match decoder.read(&mut one_more) {
            Ok(0) => {}
            Ok(_) if declared == Some(most) => return Err(format!("the compressed data hold more than the {most} bytes they declare")),
            Ok(_) => return Err(format!("{} compressed bytes inflate to more than the {most} allowed", compressed.len())),
            Err(error) => return Err(format!("the compressed data end badly after {most} bytes ({error})")),
        }
    }
    if let Some(declared) = declared
        && (out.len() as u64) < declared
    {
        return Err(format!("the compressed data hold {} bytes, {declared} were declared", out.len()));
    }
    budget.charge(out.len() as u64)?;
    Ok(out)
}

/// The first bytes of what a gzip file holds, at most `most`, from the first bytes of the file. As many as can be had; none when it is damaged at once.
pub fn begin_of_gzip(compressed: &[u8], most: usize) -> Vec<u8> {
    let mut out = vec![0; most];
    let (mut decoder, mut filled) = (MultiGzDecoder::new(compressed), 0);
    while let Some(free) = out.get_mut(filled..).filter(|free| !free.is_empty()) {
        match decoder.read(free) {
            Ok(read @ 1..) => filled += read,
            // The end of what was looked at is no end of the file.
            Ok(0) | Err(_) => break,
        }
    }
    out.truncate(filled);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_deflated_comes_back_and_is_charged() {
        let plain: Vec<u8> = (0..10_000u32).map(|value| (value * value % 251) as u8).collect();
        let limits = Limits::default();
        let mut budget = Budget::new(20_000);
        assert_eq!(inflate(Wrapping::Zlib, &zlib(&plain), None, &limits, &mut budget).unwrap(), plain);
        assert_eq!(budget.left(), 10_000);
    }

    #[test]
    fn a_bomb_is_refused_by_ratio_by_budget_and_by_its_own_declaration() {
        let bomb = zlib(&vec![0u8; 1 << 20]);
        let strict = Limits { max_inflation: 100, ..Limits::default() };
        assert!(inflate(Wrapping::Zlib, &bomb, None, &strict, &mut Budget::new(1 << 30)).unwrap_err().contains("inflate to more than"));
        let limits = Limits::default();
        assert!(inflate(Wrapping::Zlib, &bomb, None, &limits, &mut Budget::new(1000)).unwrap_err().contains("more than the 1000 allowed"));
        assert!(
            inflate(Wrapping::Zlib, &bomb, Some(10), &limits, &mut Budget::new(1 << 30)).unwrap_err().contains("10 bytes they declare")
        );
        assert!(inflate(Wrapping::Zlib, &bomb, Some(1 << 40), &limits, &mut Budget::new(1 << 62)).unwrap_err().contains("claim to hold"));
        assert!(inflate(Wrapping::Zlib, &bomb, Some((1 << 20) + 1), &limits, &mut Budget::new(1 << 30)).unwrap_err().contains("declared"));
    }
}
