//! `neuroflow cache`.

use super::Place;
use crate::amounts::{bytes, duration, parse_age, parse_size};
use crate::arguments::CacheCommand;
use crate::exit::{Exit, Failure};
use neuroflow_cache::{Cache, GcWish, Locks};
use neuroflow_engine::git;
use neuroflow_engine::latest::{LATEST, find_run};
use std::path::Path;

pub(crate) fn cache(place: &Place, command: &CacheCommand) -> Result<Exit, Failure> {
    let cache = place.open_cache()?;
    let done = match command {
        CacheCommand::Stats => stats(&cache),
        CacheCommand::Verify => verify(&cache),
        CacheCommand::Gc { keep, older_than, dry_run } => collect(&cache, keep.as_deref(), older_than.as_deref(), *dry_run),
        CacheCommand::Pin { run } => {
            let fresh = cache.pin(&meant(&cache, run)?).map_err(Failure::could_not_start)?;
            println!("{}", if fresh { "pinned: `cache gc` keeps what it names" } else { "it was pinned already" });
            Ok(Exit::Done)
        }
        CacheCommand::Unpin { run } => {
            let was = cache.unpin(&meant(&cache, run)?).map_err(Failure::could_not_start)?;
            println!("{}", if was { "no longer pinned" } else { "it was not pinned" });
            Ok(Exit::Done)
        }
        CacheCommand::Pins => {
            let pins = cache.pins().map_err(Failure::could_not_start)?;
            pins.iter().for_each(|run| println!("{run}"));
            Ok(Exit::Done)
        }
        CacheCommand::Export { run, out } => {
            let moved = cache.export(&meant(&cache, run)?, out).map_err(Failure::could_not_start)?;
            println!(
                "run {}: {} objects, {}, and {} answers in {}",
                moved.run,
                moved.objects,
                bytes(moved.bytes),
                moved.records,
                out.display()
            );
            if moved.missing > 0 {
                println!(
                    "{} objects that it names are not in this cache any more; run the pipeline again for a whole export",
                    moved.missing
                );
            }
            Ok(Exit::Done)
        }
        CacheCommand::Import { file } => {
            let moved = cache.import(file).map_err(Failure::could_not_start)?;
            println!(
                "run {}: {} objects, {}, and {} answers are in this cache",
                moved.run,
                moved.objects,
                bytes(moved.bytes),
                moved.records
            );
            Ok(Exit::Done)
        }
    };
    for warning in cache.take_warnings() {
        eprintln!("warning: {warning}");
    }
    done
}

/// A run as the cache knows it: what the latest one is, it can't tell.
fn meant(cache: &Cache, word: &str) -> Result<String, Failure> {
    match word {
        LATEST => find_run(cache, word).map_err(Failure::could_not_start),
        id => Ok(id.to_owned()),
    }
}

fn stats(cache: &Cache) -> Result<Exit, Failure> {
    let stats = cache.stats().map_err(Failure::could_not_start)?;
    println!("{}: {} objects, {}", stats.root.display(), stats.objects, bytes(stats.bytes));
    println!("{} answered keys, {} runs, {} objects in quarantine", stats.actions, stats.runs, stats.quarantined);
    if cache.locks() == Locks::Lease {
        println!("locks of this file system are not relied on: processes use leases");
    }
    Ok(Exit::Done)
}

fn verify(cache: &Cache) -> Result<Exit, Failure> {
    let report = cache.verify().map_err(Failure::could_not_start)?;
    println!("{} objects and {} records are what they should be", report.good, report.good_records);
    for digest in &report.damaged {
        println!("damaged, now in quarantine: {digest}");
    }
    if report.damaged_records > 0 {
        println!("{} damaged records were taken out", report.damaged_records);
    }
    for run in &report.damaged_runs {
        println!(
            "the record of run {run} was damaged, and is in quarantine as run-{run}.json: this run is known no more, run its pipeline again"
        );
    }
    if report.mended_indexes > 0 {
        println!("{} damaged indexes were made anew", report.mended_indexes);
    }
    if report.is_whole() {
        return Ok(Exit::Done);
    }
    if !report.damaged.is_empty() || report.damaged_records > 0 {
        println!("what needs them is computed again by the next run");
    }
    Ok(Exit::StepFailed)
}

fn collect(cache: &Cache, keep: Option<&str>, older_than: Option<&str>, dry_run: bool) -> Result<Exit, Failure> {
    let keep = keep.map(|text| {
        parse_size(text).ok_or_else(|| {
            Failure::could_not_start(format!("`--keep {text}`: a size is expected")).with_help("write it as `50GB` or `512MiB`")
        })
    });
    let older_than = older_than.map(|text| {
        parse_age(text).ok_or_else(|| {
            Failure::could_not_start(format!("`--older-than {text}`: an age is expected")).with_help("write it as `30d`, `12h` or `90min`")
        })
    });
    let pinned = runs_of_tags(cache)?;
    if !pinned.is_empty() {
        println!("runs of tagged commits keep what they name: {}", pinned.join(", "));
    }
    let wish = GcWish { keep: keep.transpose()?, older_than: older_than.transpose()?, pinned, dry_run };
    let report = cache.collect(&wish).map_err(Failure::could_not_start)?;
    let verb = if dry_run { "would remove" } else { "removed" };
    println!("{verb} {} objects, {}; {} left", report.removed, bytes(report.freed), bytes(report.kept));
    if report.cost_ms > 0.0 {
        println!("computing what they hold took {}", duration(report.cost_ms));
    }
    if report.pinned > 0 {
        println!("{} should go and stay, because runs are pinned: `neuroflow cache pins`", bytes(report.pinned));
    }
    if report.in_use > 0 {
        println!("{} should go and stay, because running processes use them", bytes(report.in_use));
    }
    Ok(Exit::Done)
}

/// What a run's record says of its commit.
#[derive(serde::Deserialize)]
struct Committed {
    revision: Option<git::Revision>,
}

/// Runs of a commit that has a tag in the repository of the working folder, made from a tree without changes: a paper's numbers stay.
fn runs_of_tags(cache: &Cache) -> Result<Vec<String>, Failure> {
    let tagged = git::tagged(Path::new("."));
    if tagged.is_empty() {
        return Ok(Vec::new());
    }
    let runs = cache.runs().map_err(Failure::could_not_start)?;
    let is_tagged = |run: &String| {
        // A record that can't be read keeps nothing.
        let revision = cache.run(run).ok().and_then(|record: Committed| record.revision);
        revision.is_some_and(|revision| !revision.dirty && tagged.contains_key(&revision.commit))
    };
    Ok(runs.into_iter().filter(is_tagged).collect())
}
