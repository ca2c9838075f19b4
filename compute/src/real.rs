//! Numbers in single or double precision.

use faer::traits::RealField;

/// Numbers that faer multiplies with vector instructions.
pub(crate) trait Real: RealField + Copy + Default + PartialOrd + Send + Sync {
    /// Rounded from double precision.
    fn of(value: f64) -> Self;

    /// In double precision.
    fn wide(self) -> f64;
}

impl Real for f64 {
    fn of(value: f64) -> f64 {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}

impl Real for f32 {
    fn of(value: f64) -> f32 {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}
