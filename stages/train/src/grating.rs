//! Drifting sinusoidal gratings as short films.

use std::f64::consts::TAU;

/// How a grating is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grating {
    /// Pixels along each side.
    pub(crate) size: usize,
    /// Frames.
    pub(crate) frames: usize,
    /// Cycles across the picture.
    pub(crate) cycles: f64,
    /// Cycles over all frames.
    pub(crate) turns: f64,
}

impl Grating {
    /// The film of a grating that drifts towards `direction` (degrees, counter-clockwise from the right), `[frame × row × column]`, between −1 and 1.
    pub(crate) fn film(&self, direction: f64, phase: f64) -> Vec<f64> {
        let (sin, cos) = direction.to_radians().sin_cos();
        let centre = (self.size as f64 - 1.0) / 2.0;
        let mut film = Vec::with_capacity(self.frames * self.size * self.size);
        for frame in 0..self.frames {
            let shift = self.turns * frame as f64 / self.frames as f64;
            for row in 0..self.size {
                for column in 0..self.size {
                    // Rows grow downwards, directions turn upwards.
                    let along = (column as f64 - centre) * cos - (row as f64 - centre) * sin;
                    film.push((TAU * (self.cycles * along / self.size as f64 - shift) + phase).cos());
                }
            }
        }
        film
    }
}
