//! Numbers with a unit. Inside, every quantity is in the base unit of its dimension.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dimension {
    /// Seconds.
    Time,
    /// Hertz.
    Frequency,
    /// Volts.
    Voltage,
    /// Degrees.
    Angle,
    /// Bytes.
    Memory,
    /// A share; `10 %` is 0.1.
    Ratio,
    /// Metres.
    Length,
}

impl Dimension {
    /// The word for it in messages: `duration`, `frequency`, ….
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Time => "duration",
            Dimension::Frequency => "frequency",
            Dimension::Voltage => "voltage",
            Dimension::Angle => "angle",
            Dimension::Memory => "amount of memory",
            Dimension::Ratio => "share",
            Dimension::Length => "length",
        }
    }

    /// The base unit's symbol.
    pub fn base_unit(self) -> &'static str {
        match self {
            Dimension::Time => "s",
            Dimension::Frequency => "Hz",
            Dimension::Voltage => "V",
            Dimension::Angle => "deg",
            Dimension::Memory => "B",
            Dimension::Ratio => "%",
            Dimension::Length => "m",
        }
    }

    /// Unit symbols of this dimension, for suggestions.
    pub fn units(self) -> Vec<&'static str> {
        UNITS.iter().filter(|unit| unit.1 == self).map(|unit| unit.0).collect()
    }
}

/// Symbol, dimension, size in base units.
const UNITS: &[(&str, Dimension, f64)] = &[
    ("s", Dimension::Time, 1.0),
    ("ms", Dimension::Time, 1e-3),
    ("us", Dimension::Time, 1e-6),
    ("µs", Dimension::Time, 1e-6),
    ("ns", Dimension::Time, 1e-9),
    ("min", Dimension::Time, 60.0),
    ("h", Dimension::Time, 3600.0),
    ("d", Dimension::Time, 86400.0),
    ("Hz", Dimension::Frequency, 1.0),
    ("mHz", Dimension::Frequency, 1e-3),
    ("kHz", Dimension::Frequency, 1e3),
    ("MHz", Dimension::Frequency, 1e6),
    ("V", Dimension::Voltage, 1.0),
    ("mV", Dimension::Voltage, 1e-3),
    ("uV", Dimension::Voltage, 1e-6),
    ("µV", Dimension::Voltage, 1e-6),
    ("nV", Dimension::Voltage, 1e-9),
    ("deg", Dimension::Angle, 1.0),
    ("rad", Dimension::Angle, 180.0 / std::f64::consts::PI),
    ("B", Dimension::Memory, 1.0),
    ("kB", Dimension::Memory, 1e3),
    ("MB", Dimension::Memory, 1e6),
    ("GB", Dimension::Memory, 1e9),
    ("TB", Dimension::Memory, 1e12),
    ("KiB", Dimension::Memory, 1024.0),
    ("MiB", Dimension::Memory, 1048576.0),
    ("GiB", Dimension::Memory, 1073741824.0),
    ("TiB", Dimension::Memory, 1099511627776.0),
    ("%", Dimension::Ratio, 0.01),
    ("m", Dimension::Length, 1.0),
    ("cm", Dimension::Length, 1e-2),
    ("mm", Dimension::Length, 1e-3),
    ("um", Dimension::Length, 1e-6),
    ("µm", Dimension::Length, 1e-6),
];

/// A number in the base unit of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number, in the dimension's base unit (seconds, hertz, volts, degrees, bytes, share of one, metres).
    pub value: f64,
    /// What is measured.
    pub dimension: Dimension,
}

impl Quantity {
    /// A number with a unit as written, such as `50` and `ms`; none when the unit is unknown.
    ///
    /// Sizes below one are divided by, not multiplied with, so that `50 ms` and `0.05 s` are the same number.
    pub fn parse(number: f64, unit: &str) -> Option<Quantity> {
        let (_, dimension, size) = UNITS.iter().find(|candidate| candidate.0 == unit)?;
        let value = if *size < 1.0 { number / (1.0 / size).round() } else { number * size };
        Some(Quantity { value, dimension: *dimension })
    }

    /// A number with its unit as people write it, such as `90 min` or `1.5GiB`; none when it is not that, is negative or without an end.
    pub fn read(text: &str) -> Option<Quantity> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = text.split_at_checked(end)?;
        let quantity = Quantity::parse(number.parse().ok()?, unit.trim())?;
        (quantity.value.is_finite() && quantity.value >= 0.0).then_some(quantity)
    }

    /// Every unit symbol that can be written.
    pub fn all_units() -> impl Iterator<Item = &'static str> {
        UNITS.iter().map(|unit| unit.0)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.dimension {
            Dimension::Time if self.value != 0.0 && self.value.abs() < 1.0 => (self.value * 1e3, "ms"),
            Dimension::Ratio => (self.value * 100.0, "%"),
            Dimension::Voltage if self.value != 0.0 && self.value.abs() < 1e-3 => (self.value * 1e6, "uV"),
            dimension => (self.value, dimension.base_unit()),
        };
        // Rounding to 12 digits hides the last-bit noise of unit conversion in what a person reads.
        let rounded: f64 = format!("{value:.12e}").parse().unwrap_or(value);
        write!(f, "{rounded} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_milliseconds_are_a_twentieth_of_a_second() {
        assert_eq!(Quantity::parse(50.0, "ms"), Some(Quantity { value: 0.05, dimension: Dimension::Time }));
        assert_eq!(Quantity::parse(0.05, "s"), Quantity::parse(50.0, "ms"));
        assert_eq!(Quantity::parse(1.5, "uV").map(|q| q.to_string()), Some("1.5 uV".to_owned()));
        assert_eq!(Quantity::parse(1.0, "parsec"), None);
    }
}
