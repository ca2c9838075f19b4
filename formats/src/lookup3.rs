//! The checksum of HDF5's newer structures: Bob Jenkins' `lookup3`, as the specification asks ("Disk Format: Level 2A2" and superblock version
//! 2).

/// The checksum of `bytes`, begun with `seed` (0 everywhere in HDF5).
pub(crate) fn lookup3(bytes: &[u8], seed: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    // The last block, of 1 to 12 bytes, is mixed in another way.
    while let Some((block, more)) = rest.split_first_chunk::<12>()
        && !more.is_empty()
    {
        add(block, &mut a, &mut b, &mut c);
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
        rest = more;
    }
    if rest.is_empty() {
        return c;
    }
    let mut block = [0u8; 12];
    for (place, byte) in block.iter_mut().zip(rest) {
        *place = *byte;
    }
    add(&block, &mut a, &mut b, &mut c);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

fn add(block: &[u8; 12], a: &mut u32, b: &mut u32, c: &mut u32) {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *block;
    *a = a.wrapping_add(u32::from_le_bytes([a0, a1, a2, a3]));
    *b = b.wrapping_add(u32::from_le_bytes([b0, b1, b2, b3]));
    *c = c.wrapping_add(u32::from_le_bytes([c0, c1, c2, c3]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_values_that_its_author_published() {
        assert_eq!(lookup3(b"", 0), 0xdead_beef);
        assert_eq!(lookup3(b"", 0xdead_beef), 0xbd5b_7dde);
        assert_eq!(lookup3(b"Four score and seven years ago", 0), 0x1777_0551);
        assert_eq!(lookup3(b"Four score and seven years ago", 1), 0xcd62_8161);
    }
}
