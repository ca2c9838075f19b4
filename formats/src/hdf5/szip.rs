//! The filter `szip`: samples as differences to the one before, in blocks that are coded by Rice's codes, each with the best of several.
//!
//! Coding: "Lossless Data Compression", CCSDS 121.0-B-3. How HDF5 uses it (rows of pixels, planes of bytes of wide numbers) is that of its library with
//! libaec's `sz_compat`, whose chunks were compared.

/// The longest code of two small differences that is allowed.
const MOST_PAIRS: u64 = 90;
/// A run of zero blocks of this code reaches to the end of a segment.
const TO_THE_END: u64 = 5;
/// Blocks of a segment.
const SEGMENT: u64 = 64;

/// How the samples of a chunk are coded.
struct Coding {
    /// Bits of a sample.
    bits: u32,
    /// Bits of the number that says how a block is coded.
    id_bits: u32,
    /// Samples of a block.
    block: usize,
    /// Blocks between samples that stand as they are.
    blocks: usize,
    /// Whether differences are coded.
    differences: bool,
}

/// The bytes of a chunk. The values of the filter are options, pixels of a block, bits of a pixel, pixels of a row.
pub(super) fn undo(values: &[u32], bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    const DIFFERENCES: u32 = 32;
    const GREATEST_FIRST: u32 = 16;
    let value = |place: usize| values.get(place).copied().ok_or_else(|| format!("szip needs its parameter {place}"));
    let (options, block, bits, row) = (value(0)?, value(1)? as usize, value(2)?, value(3)? as usize);
    if !(1..=64).contains(&block) || !block.is_multiple_of(2) || !(block..=4096).contains(&row.max(block)) || row == 0 {
        return Err(format!("szip has blocks of {block} pixels in rows of {row}"));
    }
    if !(1..=24).contains(&bits) && bits != 32 && bits != 64 {
        return Err(format!("szip has pixels of {bits} bits"));
    }
    let (length, packed) = bytes.split_first_chunk::<4>().ok_or("a chunk of szip has no length")?;
    let length = u64::from(u32::from_le_bytes(*length));
    // A bit makes no more than a segment of zeros.
    let possible = (packed.len() as u64).saturating_mul(8 * SEGMENT * 64 * 4).saturating_add(64);
    if length > most || length > possible {
        return Err(format!("a chunk of szip of {} bytes claims to hold {length}", bytes.len()));
    }
    // The bytes of wide pixels are coded plane by plane.
    let wide = if bits > 24 { bits as usize / 8 } else { 1 };
    let bits = if wide > 1 { 8 } else { bits };
    let size = match bits {
        ..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let id_bits = match bits {
        ..=8 => 3,
        9..=16 => 4,
        _ => 5,
    };
    let coding = Coding { bits, id_bits, block, blocks: row.div_ceil(block), differences: options & DIFFERENCES != 0 };
    let count = (length as usize).div_ceil(size);
    let mut out = Vec::with_capacity(count * size);
    let mut bits = Bits { bytes: packed, at: 0, held: 0, count: 0 };
    let mut samples = Vec::with_capacity(coding.block * coding.blocks);
    let mut left = count;
    while left > 0 {
        samples.clear();
        // The last row may be shorter; what fills blocks up is dropped.
        let own = row.min(left);
        coding.row(&mut bits, own.div_ceil(block), &mut samples)?;
        for sample in samples.iter().take(own) {
            let sample = sample.to_le_bytes();
            let sample = sample.get(..size).unwrap_or_default();
            if options & GREATEST_FIRST != 0 {
                out.extend(sample.iter().rev());
            } else {
                out.extend_from_slice(sample);
            }
        }
        left -= own;
    }
    out.truncate(length as usize);
    Ok(if wide > 1 { crate::codecs::shuffle::unshuffled(&out, wide) } else { out })
}

impl Coding {
    /// The samples of `wanted` blocks of a row.
    fn row(&self, bits: &mut Bits<'_>, wanted: usize, samples: &mut Vec<u32>) -> Result<(), String> {
        while samples.len() < wanted * self.block {
            let first = samples.is_empty() && self.differences;
            let id = bits.take(self.id_bits)?;
            let start = samples.len();
            if id == (1 << self.id_bits) - 1 {
                for _ in 0..self.block {
                    samples.push(bits.take(self.bits)? as u32);
                }
                continue;
            }
            let pairs = if id == 0 { Some(bits.take(1)? == 1) } else { None };
            if first {
                samples.push(bits.take(self.bits)? as u32);
            }
            match pairs {
                Some(false) => {
                    let done = (start / self.block) as u64;
                    let blocks = match bits.zeros()? + 1 {
                        TO_THE_END => (self.blocks as u64 - done).min(SEGMENT - done % SEGMENT),
                        more if more > TO_THE_END => more - 1,
                        few => few,
                    };
                    let end = start as u64 + blocks.saturating_mul(self.block as u64);
                    if end > (self.blocks * self.block) as u64 {
                        return Err("zero blocks of szip reach past a row".into());
                    }
                    samples.resize(end as usize, 0);
                }
                Some(true) => {
                    while samples.len() < start + self.block {
                        let code = bits.zeros()?;
                        if code > MOST_PAIRS {
                            return Err(format!("a pair of szip has the code {code}"));
                        }
                        let sum = (0..).find(|sum| (sum + 1) * (sum + 2) / 2 > code).unwrap_or_default();
                        let second = code - sum * (sum + 1) / 2;
                        // The first of a row stands there already.
                        if (samples.len() - start).is_multiple_of(2) {
                            samples.push((sum - second) as u32);
                        }
                        samples.push(second as u32);
                    }
                }
                None => {
                    let low = id as u32 - 1;
                    let from = samples.len();
                    for _ in from..start + self.block {
                        let high = bits.zeros()?;
                        if high >> self.bits > 0 {
                            return Err(format!("a sample of szip of more than {} bits", self.bits));
                        }
                        samples.push((high << low) as u32);
                    }
                    for sample in samples.iter_mut().skip(from) {
                        *sample |= bits.take(low)? as u32;
                    }
                }
            }
        }
        if self.differences {
            self.add_up(samples);
        }
        Ok(())
    }

    /// Differences become samples: small ones go to both sides, by turns; where one side ends, only to the other.
    fn add_up(&self, samples: &mut [u32]) {
        let most = (1u32 << self.bits) - 1;
        let middle = most / 2 + 1;
        let Some((first, rest)) = samples.split_first_mut() else { return };
        let mut last = *first;
        for sample in rest {
            let code = *sample;
            let mirror = if last & middle == 0 { 0 } else { most };
            let half = (code >> 1) + (code & 1);
            last = if half > mirror ^ last {
                mirror ^ code
            } else if code & 1 == 0 {
                last.wrapping_add(code >> 1)
            } else {
                last.wrapping_sub(half)
            } & most;
            *sample = last;
        }
    }
}

/// Bits, the greatest of each byte first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Bits that were taken out of the bytes, the next one the highest.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 56
            && let Some(byte) = self.bytes.get(self.at)
        {
            self.held |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
            self.at += 1;
        }
    }

    /// The next `count` bits, at most 32.
    fn take(&mut self, count: u32) -> Result<u64, String> {
        if count == 0 {
            return Ok(0);
        }
        self.fill();
        if self.count < count {
            return Err("a chunk of szip ends too early".into());
        }
        let taken = self.held >> (64 - count);
        self.held <<= count;
        self.count -= count;
        Ok(taken)
    }

    /// The number of zeros before the next one, which is passed over.
    fn zeros(&mut self) -> Result<u64, String> {
        let mut zeros = 0u64;
        loop {
            self.fill();
            let own = self.held.leading_zeros();
            if own < self.count {
                self.held = self.held << own << 1;
                self.count -= own + 1;
                return Ok(zeros + u64::from(own));
            }
            if self.count == 0 {
                return Err("a chunk of szip ends too early".into());
            }
            zeros += u64::from(self.count);
            (self.held, self.count) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits in words, spaces left out.
    fn packed(length: u32, words: &str) -> Vec<u8> {
        let bits: Vec<u8> = words.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let byte = |bits: &[u8]| bits.iter().enumerate().fold(0u8, |byte, (place, bit)| byte | bit << (7 - place));
        [&length.to_le_bytes()[..], &bits.chunks(8).map(byte).collect::<Vec<u8>>()].concat()
    }

    #[test]
    fn each_way_to_code_a_block_is_undone() {
        // Differences of samples of eight bits, blocks of four in rows of 24: as they are, one bit beside unary numbers, pairs, zeros.
        let raw = "111 00000101 00000010 00000001 00000000";
        let split = "010 1 01 1 001  0 1 0 1";
        let pairs = "000 1  0001 00001";
        let zeros = "000 0 001";
        let bytes = packed(24, &format!("{raw}{split}{pairs}{zeros}"));
        // 5, 1 up, 1 down, 0; 0, 2 down, 0, 3 down; the pairs 3 = (2, 0) and 4 = (1, 1): at zero there is only up, so 2 means 2 up, then 0, and 1 down
        // twice; three blocks of zeros.
        let expected = [&[5u8, 6, 5, 5, 5, 3, 3, 0, 2, 2, 1, 0][..], &[0; 12]].concat();
        assert_eq!(undo(&[32, 4, 8, 24], &bytes, 100).unwrap(), expected);
        // Without differences codes are samples.
        let bytes = packed(8, "111 00000101 00000010 00000001 00000000  010 1 01 1 001 0 1 0 1");
        assert_eq!(undo(&[4, 4, 8, 24], &bytes, 100).unwrap(), [5, 2, 1, 0, 0, 3, 0, 5]);
    }

    #[test]
    fn lies_are_told() {
        let of = |values: &[u32], bytes: &[u8]| undo(values, bytes, 100).unwrap_err();
        assert!(of(&[32, 4, 8], &[0; 9]).contains("needs its parameter 3"));
        assert!(of(&[32, 0, 8, 24], &[0; 9]).contains("blocks of 0 pixels"));
        assert!(of(&[32, 4, 8, 0], &[0; 9]).contains("rows of 0"));
        assert!(of(&[32, 4, 33, 24], &[0; 9]).contains("pixels of 33 bits"));
        assert!(of(&[32, 4, 8, 24], &[1]).contains("no length"));
        assert!(of(&[32, 4, 8, 24], &packed(101, "0")).contains("claims to hold 101"));
        assert!(of(&[32, 4, 8, 24], &packed(24, "111 0000")).contains("ends too early"));
        assert!(of(&[32, 4, 8, 24], &packed(24, &format!("000 0 00000000 {}1", "0".repeat(90)))).contains("reach past a row"));
        assert!(of(&[4, 4, 8, 24], &packed(24, &format!("000 1 {}1", "0".repeat(91)))).contains("a pair of szip has the code 91"));
        assert!(of(&[4, 4, 8, 24], &packed(24, &format!("001 {}1", "0".repeat(256)))).contains("more than 8 bits"));
    }
}
