//! Sizes and times as people write and read them.

use neuroflow_stage::{Dimension, Quantity};
use std::time::Duration;

/// A size for people.
pub(crate) fn bytes(size: u64) -> String {
    match size as f64 {
        size if size < 1e3 => format!("{size} B"),
        size if size < 1e6 => format!("{:.1} kB", size / 1e3),
        size if size < 1e9 => format!("{:.1} MB", size / 1e6),
        size => format!("{:.2} GB", size / 1e9),
    }
}

/// Milliseconds for people.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 1e3 => format!("{ms:.0} ms"),
        ms if ms < 6e4 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.0} min {:.0} s", (ms / 6e4).floor(), (ms % 6e4) / 1e3),
    }
}

/// A time: `30d`, `12h`, `90min`, `45s`.
pub(crate) fn parse_age(text: &str) -> Option<Duration> {
    let quantity = Quantity::read(text).filter(|quantity| quantity.dimension == Dimension::Time)?;
    Duration::try_from_secs_f64(quantity.value).ok()
}

/// A size: `50GB`, `1.5 GiB` or plain bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.trim().parse() {
        return Some(bytes);
    }
    Quantity::read(text).filter(|quantity| quantity.dimension == Dimension::Memory).map(|quantity| quantity.value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_size("50GB"), Some(50_000_000_000));
        assert_eq!(parse_size("1.5 MiB"), Some(1_572_864));
        assert_eq!((parse_size("0"), parse_size("5 Hz"), parse_size("much")), (Some(0), None, None));
    }

    #[test]
    fn ages_are_read_with_units() {
        assert_eq!(parse_age("30d"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!((parse_age("1.5 h"), parse_age("2min")), (Some(Duration::from_secs(5400)), Some(Duration::from_secs(120))));
        assert_eq!((parse_age("30"), parse_age("d"), parse_age("3 weeks"), parse_age("1e300d")), (None, None, None, None));
    }
}
