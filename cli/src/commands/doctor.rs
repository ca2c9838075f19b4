//! `neuroflow doctor`: what this machine offers.

use super::Place;
use crate::amounts::bytes;
use crate::exit::{Exit, Failure};

pub(crate) fn doctor(place: &Place) -> Result<Exit, Failure> {
    let settings = place.settings()?;
    println!("neuroflow {} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    println!("cores: {}", std::thread::available_parallelism().map_or(1, usize::from));
    let adapters = neuroflow_compute::gpu::adapters();
    if adapters.is_empty() {
        println!("GPU: none found");
    }
    for adapter in adapters {
        println!("GPU: {adapter}");
    }
    let cache = place.open_cache()?;
    let stats = cache.stats().map_err(Failure::could_not_start)?;
    println!("cache: {} ({}, {} runs)", stats.root.display(), bytes(stats.bytes), stats.runs);
    println!("network: {}", if settings.offline { "switched off" } else { "used when a data set is nowhere else" });
    if settings.mirrors.is_empty() {
        println!("mirrors: none (NEUROFLOW_MIRRORS, or `mirrors` in the configuration file)");
    }
    for mirror in &settings.mirrors {
        println!("mirror: {}{}", mirror.display(), if mirror.is_dir() { "" } else { " (not there)" });
    }
    Ok(Exit::Done)
}
