//! Inflating with a leash: the output grows as bytes arrive, never on the word of a header.

use std::io::{BufRead, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use libdeflater::{Crc, Decompressor};

use super::limits::{Budget, Limits};

/// Fewer compressed bytes than this are a stream: there is nothing to win.
const SMALL: usize = 4 << 10;

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

/// What a gzip file holds: its members one after another, and nothing of the zeros that fill up a block behind the last, as archives and tapes leave them.
#[derive(Debug)]
pub struct GzipMembers<R> {
    /// None when the last member is at its end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipMembers<R> {
    /// The members of a file from its begin.
    pub fn new(file: R) -> GzipMembers<R> {
        GzipMembers { member: Some(GzDecoder::new(file)) }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let Some(member) = self.member.as_mut() else { return Ok(0) };
            let read = member.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { return Ok(0) };
            // No member begins with zeros: they end the file, and what would follow them is damage, which the decoder tells.
            loop {
                let held = rest.fill_buf()?;
                let zeros = held.iter().take_while(|byte| **byte == 0).count();
                let (all, empty) = (zeros == held.len(), held.is_empty());
                rest.consume(zeros);
                if empty {
                    return Ok(0);
                }
                if !all {
                    break;
                }
            }
            self.member = Some(GzDecoder::new(rest));
        }
    }
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
    let likely = declared.or_else(|| (wrapping == Wrapping::Gzip).then(|| stated(compressed)).flatten());
    if let Some(out) = likely.and_then(|likely| at_once(wrapping, compressed, likely, most)).filter(|out| {
        // What a stream would find wrong, it is to tell.
        declared.is_none_or(|declared| declared == out.len() as u64)
    }) {
        budget.charge(out.len() as u64)?;
        return Ok(out);
    }
    let mut decoder: Box<dyn Read + '_> = match wrapping {
        Wrapping::Zlib => Box::new(ZlibDecoder::new(compressed)),
        Wrapping::Raw => Box::new(DeflateDecoder::new(compressed)),
        Wrapping::Gzip => Box::new(GzipMembers::new(compressed)),
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

/// As [`inflate`], of data that probably hold `likely` bytes, and at most as many as the budget allows: then they are inflated faster.
pub fn inflate_likely(wrapping: Wrapping, compressed: &[u8], likely: u64, limits: &Limits, budget: &mut Budget) -> Result<Vec<u8>, String> {
    let most = (compressed.len() as u64).saturating_mul(limits.max_inflation).min(budget.left());
    match at_once(wrapping, compressed, likely, most) {
        Some(out) => {
            budget.charge(out.len() as u64)?;
            Ok(out)
        }
        None => inflate(wrapping, compressed, None, limits, budget),
    }
}

/// A gzip file of one member, inflated at once; none when it is no such file, not whole, or holds more than four times its size and 64 MiB: then it is read as
/// a stream, which tells what is wrong.
pub fn gzip_at_once(compressed: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let most = (compressed.len() as u64).saturating_mul(limits.max_inflation).min(limits.max_total_bytes);
    at_once(Wrapping::Gzip, compressed, stated(compressed)?, most)
}

/// The size that the end of a gzip file states, of a file below 4 GiB with one member.
fn stated(compressed: &[u8]) -> Option<u64> {
    compressed.last_chunk::<4>().map(|size| u64::from(u32::from_le_bytes(*size)))
}

/// All of it into memory of the likely size, as long as that is no more than four times what is there and 64 MiB. None when it is anything else than whole data
/// of at most that size: then a stream tells what is wrong, or finds more.
fn at_once(wrapping: Wrapping, compressed: &[u8], likely: u64, most: u64) -> Option<Vec<u8>> {
    let modest = (compressed.len() as u64).saturating_mul(4).saturating_add(64 << 20);
    if compressed.len() < SMALL || likely > most.min(modest) {
        return None;
    }
    let mut out = vec![0u8; usize::try_from(likely).ok()?];
    let mut decompressor = Decompressor::new();
    let length = match wrapping {
        Wrapping::Zlib => decompressor.zlib_decompress(compressed, &mut out).ok()?,
        Wrapping::Raw => decompressor.deflate_decompress(compressed, &mut out).ok()?,
        Wrapping::Gzip => decompressor.gzip_decompress(compressed, &mut out).ok()?,
    };
    out.truncate(length);
    if wrapping == Wrapping::Gzip && !is_one_member(compressed, &out) {
        return None;
    }
    Some(out)
}

/// Whether nothing comes behind the member that `out` was: its checksum and size are the last of the file, and stand nowhere before.
fn is_one_member(compressed: &[u8], out: &[u8]) -> bool {
    let mut sum = Crc::new();
    sum.update(out);
    let mut end = [0u8; 8];
    let (crc, size) = end.split_at_mut(4);
    crc.copy_from_slice(&sum.sum().to_le_bytes());
    size.copy_from_slice(&(out.len() as u32).to_le_bytes());
    memchr::memmem::find(compressed, &end).is_some_and(|at| at + end.len() == compressed.len())
}

/// The first bytes of what a gzip file holds, at most `most`, from the first bytes of the file. As many as can be had; none when it is damaged at once.
pub fn begin_of_gzip(compressed: &[u8], most: usize) -> Vec<u8> {
    begin(GzipMembers::new(compressed), most)
}

/// As [`begin_of_gzip`], of zlib data.
pub(crate) fn begin_of_zlib(compressed: &[u8], most: usize) -> Vec<u8> {
    begin(ZlibDecoder::new(compressed), most)
}

fn begin(mut decoder: impl Read, most: usize) -> Vec<u8> {
    let (mut out, mut filled) = (vec![0; most], 0);
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

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Bytes that deflate can't make much smaller.
    fn noise(count: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8 & 0x3f
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn at_once_and_as_a_stream_are_the_same() {
        let (limits, plain) = (Limits::default(), noise(100_000, 1));
        let fresh = || Budget::new(1 << 30);
        for likely in [99_999, 100_000, 100_001, 1 << 50] {
            let mut budget = fresh();
            assert_eq!(inflate_likely(Wrapping::Zlib, &zlib(&plain), likely, &limits, &mut budget).unwrap(), plain, "{likely}");
            assert_eq!(budget.left(), (1 << 30) - 100_000);
        }
        assert!(at_once(Wrapping::Zlib, &zlib(&plain), 100_000, 1 << 30).is_some(), "the fast way is taken");
        assert!(at_once(Wrapping::Gzip, &gzip(&plain), 100_000, 1 << 30).is_some(), "the fast way is taken");
        // A flipped bit is found either way.
        let mut flipped = zlib(&plain);
        flipped[20_000] ^= 4;
        let told = inflate_likely(Wrapping::Zlib, &flipped, 100_000, &limits, &mut fresh()).unwrap_err();
        assert!(told.contains("damaged"), "{told}");
        // Members behind the first are no rest, also when they are the same again, and neither is what is no member.
        let (one, two) = (gzip(&plain), gzip(&noise(50_000, 2)));
        for (parts, whole) in [(vec![&one, &one], 200_000), (vec![&two, &one], 150_000), (vec![&one, &two], 150_000)] {
            let joined: Vec<u8> = parts.into_iter().flatten().copied().collect();
            assert_eq!(inflate(Wrapping::Gzip, &joined, None, &limits, &mut fresh()).unwrap().len(), whole);
        }
        assert_eq!(inflate(Wrapping::Gzip, &one, None, &limits, &mut fresh()).unwrap(), plain);
    }

    #[test]
    fn zeros_behind_the_last_member_are_no_damage() {
        let (limits, plain) = (Limits::default(), noise(100_000, 1));
        let inflated = |bytes: &[u8]| inflate(Wrapping::Gzip, bytes, None, &limits, &mut Budget::new(1 << 30));
        for zeros in [1, 8, 512, 100_000] {
            let mut padded = gzip(&plain);
            padded.resize(padded.len() + zeros, 0);
            assert_eq!(inflated(&padded).unwrap(), plain, "{zeros}");
            assert_eq!(gzip_at_once(&padded, &limits), None);
            let mut byte_by_byte = Vec::new();
            GzipMembers::new(std::io::BufReader::with_capacity(1, padded.as_slice())).read_to_end(&mut byte_by_byte).unwrap();
            assert_eq!(byte_by_byte, plain);
            padded.push(7);
            assert!(inflated(&padded).unwrap_err().contains("damaged after 100000 bytes"));
        }
        assert_eq!(inflated(&[gzip(b"one "), gzip(b""), gzip(b"two")].concat()).unwrap(), b"one two");
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
