//! Room for many numbers.
//!
//! Large arrays take memory of the system in large pages where it offers them: with pages of 4 KiB, asking for the pages takes longer than writing
//! them.

use arrow::buffer::{Buffer, ScalarBuffer};
use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};

/// From here on large pages are worth it.
const LARGE: usize = 8 << 20;

/// Numbers that are filled in and then shared.
#[derive(Debug)]
pub(crate) enum Floats {
    Small(Vec<f64>),
    Large(MmapMut),
}

impl Floats {
    /// So many zeros.
    pub fn zeros(count: usize) -> Floats {
        let bytes = count.saturating_mul(size_of::<f64>());
        if cfg!(target_os = "linux")
            && bytes >= LARGE
            && let Ok(map) = MmapMut::map_anon(bytes)
        {
            #[cfg(target_os = "linux")]
            // Small pages do as well, only slower.
            let _ = map.advise(memmap2::Advice::HugePage);
            return Floats::Large(map);
        }
        Floats::Small(vec![0.0; count])
    }
}

impl Deref for Floats {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        match self {
            Floats::Small(values) => values,
            Floats::Large(map) => bytemuck::try_cast_slice(map).unwrap_or_default(),
        }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f64] {
        match self {
            Floats::Small(values) => values,
            Floats::Large(map) => bytemuck::try_cast_slice_mut(map).unwrap_or_default(),
        }
    }
}

impl From<Vec<f64>> for Floats {
    fn from(values: Vec<f64>) -> Floats {
        Floats::Small(values)
    }
}

impl From<Floats> for ScalarBuffer<f64> {
    fn from(values: Floats) -> ScalarBuffer<f64> {
        match values {
            Floats::Small(values) => values.into(),
            Floats::Large(map) => {
                let count = map.len() / size_of::<f64>();
                ScalarBuffer::new(Buffer::from(bytes::Bytes::from_owner(map)), 0, count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_numbers_are_shared_as_they_were_written() {
        for count in [0, 3, (LARGE / 8) + 5] {
            let mut own = Floats::zeros(count);
            assert_eq!((own.len(), own.iter().sum::<f64>()), (count, 0.0));
            own.iter_mut().enumerate().for_each(|(place, value)| *value = place as f64);
            let shared: ScalarBuffer<f64> = own.into();
            assert_eq!(shared.len(), count);
            assert!(shared.iter().enumerate().all(|(place, value)| *value == place as f64));
        }
    }
}
