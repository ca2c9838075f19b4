//! Numbers out of bytes in either byte order, and the one loop all binary readers share.

use super::limits::Budget;

/// The order of the bytes of a number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// A plain number that is stored as `SIZE` bytes.
pub trait Stored: Copy + Sized {
    /// Bytes one number takes.
    const SIZE: usize;
    /// The number in `bytes`, which must be `SIZE` long; other lengths read as zero bytes.
    fn from_bytes(bytes: &[u8], order: ByteOrder) -> Self;
}

macro_rules! stored {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            const SIZE: usize = size_of::<$number>();
            #[inline]
            fn from_bytes(bytes: &[u8], order: ByteOrder) -> Self {
                let array = bytes.try_into().unwrap_or([0; size_of::<$number>()]);
                match order {
                    ByteOrder::Little => <$number>::from_le_bytes(array),
                    ByteOrder::Big => <$number>::from_be_bytes(array),
                }
            }
        }
    )*};
}
stored!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// All whole numbers in `bytes`, each turned into `T`; a rest shorter than one number is left out.
pub fn decode<S: Stored, T>(bytes: &[u8], order: ByteOrder, into: impl Fn(S) -> T) -> Vec<T> {
    // The order is decided outside the loop, so that each loop stays a straight copy.
    match order {
        ByteOrder::Little => bytes.chunks_exact(S::SIZE).map(|one| into(S::from_bytes(one, ByteOrder::Little))).collect(),
        ByteOrder::Big => bytes.chunks_exact(S::SIZE).map(|one| into(S::from_bytes(one, ByteOrder::Big))).collect(),
    }
}

/// The number at `offset`, or `None` past the end.
pub fn number_at<S: Stored>(bytes: &[u8], offset: usize, order: ByteOrder) -> Option<S> {
    let one = bytes.get(offset..offset.checked_add(S::SIZE)?)?;
    Some(S::from_bytes(one, order))
}

/// Charges a vector of `count` values of type `T`.
pub fn charge_values<T>(budget: &mut Budget, count: usize) -> Result<(), String> {
    budget.charge((count as u64).saturating_mul(size_of::<T>() as u64))
}
