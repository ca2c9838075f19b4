//! Fletcher's checksum, of chunks; that of structures is [`crate::lookup3`].

/// Fletcher's checksum of 32 bits over words of two bytes, the first byte the greater one, as the filter `fletcher32` has it.
pub(crate) fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (0u64, 0u64);
    // Sums of 360 words can't pass 32 bits, and 64 bits leave room for far more before folding.
    for block in bytes.chunks(2 * 32_768) {
        for pair in block.chunks(2) {
            let word = match pair {
                [first, second] => (u64::from(*first) << 8) | u64::from(*second),
                [only] => u64::from(*only) << 8,
                _ => 0,
            };
            low += word;
            high += low;
        }
        low %= 65_535;
        high %= 65_535;
    }
    // Folding leaves 65535 where a remainder is 0 and something was added.
    let folded = |sum: u64| if sum == 0 && bytes.iter().any(|byte| *byte != 0) { 65_535 } else { sum as u32 };
    (folded(high) << 16) | folded(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        assert_eq!(fletcher32(&[0, 1, 0, 2]), (4 << 16) | 3);
        assert_eq!(fletcher32(&[7]), (0x700 << 16) | 0x700);
        assert_eq!(fletcher32(&[0; 64]), 0);
    }
}
