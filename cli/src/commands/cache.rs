//! `neuroflow cache`.

use super::{Place, bytes};
use crate::arguments::CacheCommand;
use crate::exit::{Exit, Failure};
use neuroflow_stage::{Dimension, Quantity};

pub(crate) fn cache(place: &Place, command: &CacheCommand) -> Result<Exit, Failure> {
    let cache = place.open_cache()?;
    match command {
        CacheCommand::Stats => {
            let stats = cache.stats().map_err(Failure::could_not_start)?;
            println!("{}: {} objects, {}", stats.root.display(), stats.objects, bytes(stats.bytes));
            println!("{} answered keys, {} runs, {} objects in quarantine", stats.actions, stats.runs, stats.quarantined);
        }
        CacheCommand::Verify => {
            let report = cache.verify().map_err(Failure::could_not_start)?;
            println!("{} objects are what they should be", report.good);
            for digest in &report.damaged {
                println!("damaged, now in quarantine: {digest}");
            }
            if !report.damaged.is_empty() {
                println!("what needs them is computed again by the next run");
                return Ok(Exit::StepFailed);
            }
        }
        CacheCommand::Gc { keep, dry_run } => {
            let size = parse_size(keep).ok_or_else(|| {
                Failure::could_not_start(format!("`--keep {keep}`: a size is expected")).with_help("write it as `50GB` or `512MiB`")
            })?;
            let report = cache.gc(size, &[], *dry_run).map_err(Failure::could_not_start)?;
            let verb = if *dry_run { "would remove" } else { "removed" };
            println!("{verb} {} objects, {}; {} left", report.removed, bytes(report.freed), bytes(report.kept));
        }
    }
    Ok(Exit::Done)
}

/// `50GB`, `50 GB` or plain bytes.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = if unit.trim().is_empty() { "B" } else { unit.trim() };
    let quantity = Quantity::parse(number, unit).filter(|quantity| quantity.dimension == Dimension::Memory)?;
    Some(quantity.value as u64)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_size("50GB"), Some(50_000_000_000));
        assert_eq!(parse_size("1.5 MiB"), Some(1_572_864));
        assert_eq!((parse_size("0"), parse_size("5 Hz"), parse_size("much")), (Some(0), None, None));
    }
}
