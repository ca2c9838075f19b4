//! The two checksums of HDF5: Jenkins' lookup3 for its structures, Fletcher's for chunks.

/// `hashlittle` of Bob Jenkins' lookup3 (public domain) with an initial value of 0, as HDF5's specification names it for metadata.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let first = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let (mut a, mut b, mut c) = (first, first, first);
    let word = |block: &[u8], place: usize| -> u32 {
        let mut four = [0u8; 4];
        for (slot, byte) in four.iter_mut().zip(block.iter().skip(place)) {
            *slot = *byte;
        }
        u32::from_le_bytes(four)
    };
    let mut rest = bytes;
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        a = a.wrapping_add(word(block, 0));
        b = b.wrapping_add(word(block, 4));
        c = c.wrapping_add(word(block, 8));
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        rest = after;
    }
    if rest.is_empty() {
        return c;
    }
    a = a.wrapping_add(word(rest, 0));
    b = b.wrapping_add(word(rest, 4));
    c = c.wrapping_add(word(rest, 8));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// Fletcher's checksum of 32 bits over words of two bytes, the first byte the greater one, as the filter `fletcher32` has it.
pub(super) fn fletcher32(bytes: &[u8]) -> u32 {
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
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
        assert_eq!(fletcher32(&[0, 1, 0, 2]), (4 << 16) | 3);
        assert_eq!(fletcher32(&[7]), (0x700 << 16) | 0x700);
        assert_eq!(fletcher32(&[0; 64]), 0);
    }
}
