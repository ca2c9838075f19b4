//! The headers: 348 bytes of NIfTI-1 (`nifti1.h`) and 540 of NIfTI-2 (`nifti2.h`), least byte first.

use super::space::Space;

/// What a header says.
pub(super) struct Header<'h> {
    /// The length of each axis, the fastest first.
    pub(super) dims: &'h [u64],
    /// Which number a value is, and its bits.
    pub(super) datatype: (i16, i16),
    /// What a stored number has added to it; its slope is 1.
    pub(super) inter: f64,
    pub(super) space: &'h Space,
    pub(super) description: &'h str,
    /// Bytes of the extensions after the header.
    pub(super) extension: u64,
}

/// The greatest length of an axis that NIfTI-1 can say.
pub(super) const MOST: u64 = i16::MAX as u64;

impl Header<'_> {
    /// Whether this needs NIfTI-2.
    pub(super) fn is_second(&self) -> bool {
        self.dims.iter().any(|&length| length > MOST)
    }

    /// The header's bytes, with the four that say whether extensions follow.
    pub(super) fn encode(&self) -> Vec<u8> {
        if self.is_second() { self.second() } else { self.first() }
    }

    /// Eight lengths: how many axes, their lengths, and 1 for those that are not there.
    fn lengths(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.dims.len() as u64).chain(self.dims.iter().copied()).chain(std::iter::repeat(1)).take(8)
    }

    fn first(&self) -> Vec<u8> {
        let mut bytes = 348i32.to_le_bytes().to_vec();
        // data_type, db_name, extents, session_error: unused since ANALYZE 7.5, and `regular`, which some readers still want.
        bytes.extend([0; 34]);
        bytes.extend([b'r', 0]);
        self.lengths().for_each(|length| bytes.extend((length as i16).to_le_bytes()));
        bytes.extend([0; 14]); // intent
        bytes.extend(self.datatype.0.to_le_bytes());
        bytes.extend(self.datatype.1.to_le_bytes());
        bytes.extend([0; 2]); // slice_start
        self.space.steps().into_iter().for_each(|step| bytes.extend((step as f32).to_le_bytes()));
        bytes.extend(((352 + self.extension) as f32).to_le_bytes());
        bytes.extend(1f32.to_le_bytes());
        bytes.extend((self.inter as f32).to_le_bytes());
        bytes.extend([0; 3]); // slice_end, slice_code
        bytes.push(self.space.units());
        bytes.extend([0; 12]); // cal_max, cal_min, slice_duration
        bytes.extend((self.space.start as f32).to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed::<80>(self.description));
        bytes.extend([0; 24]); // aux_file
        bytes.extend(self.space.q_code.to_le_bytes());
        bytes.extend(self.space.code.to_le_bytes());
        self.space.quaternion.iter().for_each(|part| bytes.extend((*part as f32).to_le_bytes()));
        self.space.origin().into_iter().for_each(|part| bytes.extend((part as f32).to_le_bytes()));
        self.space.affine.as_flattened().iter().for_each(|part| bytes.extend((*part as f32).to_le_bytes()));
        bytes.extend([0; 16]); // intent_name
        bytes.extend(b"n+1\0");
        bytes.extend([u8::from(self.extension > 0), 0, 0, 0]);
        bytes
    }

    fn second(&self) -> Vec<u8> {
        let mut bytes = 540i32.to_le_bytes().to_vec();
        bytes.extend(b"n+2\0\r\n\x1a\n");
        bytes.extend(self.datatype.0.to_le_bytes());
        bytes.extend(self.datatype.1.to_le_bytes());
        self.lengths().for_each(|length| bytes.extend((length as i64).to_le_bytes()));
        bytes.extend([0; 24]); // intent
        self.space.steps().into_iter().for_each(|step| bytes.extend(step.to_le_bytes()));
        bytes.extend(((544 + self.extension) as i64).to_le_bytes());
        bytes.extend(1f64.to_le_bytes());
        bytes.extend(self.inter.to_le_bytes());
        bytes.extend([0; 24]); // cal_max, cal_min, slice_duration
        bytes.extend(self.space.start.to_le_bytes());
        bytes.extend([0; 16]); // slice_start, slice_end
        bytes.extend(fixed::<80>(self.description));
        bytes.extend([0; 24]); // aux_file
        bytes.extend(i32::from(self.space.q_code).to_le_bytes());
        bytes.extend(i32::from(self.space.code).to_le_bytes());
        self.space.quaternion.iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        self.space.origin().into_iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        self.space.affine.as_flattened().iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        bytes.extend([0; 4]); // slice_code
        bytes.extend(i32::from(self.space.units()).to_le_bytes());
        bytes.extend([0; 16 + 4 + 1 + 15]); // intent_name, intent_code, dim_info, unused
        bytes.extend([u8::from(self.extension > 0), 0, 0, 0]);
        bytes
    }
}

/// A text in so many bytes, the last of them zero, cut between letters.
fn fixed<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let end = (0..N).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    let kept = if text.len() < N { text } else { text.get(..end).unwrap_or_default() };
    bytes.iter_mut().zip(kept.bytes()).for_each(|(place, byte)| *place = byte);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!(&fixed::<4>("abcd"), b"abc\0");
        assert_eq!(&fixed::<4>("abµ"), b"ab\0\0");
        assert_eq!(&fixed::<4>("a"), b"a\0\0\0");
    }
}
