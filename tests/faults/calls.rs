//! Every call of the disk that a run makes fails once: an error each time, never a wrong result, and the next run finishes.

use super::{MIXED, UNITS, knob};
use neuroflow_cache::faulty::{Fault, FaultyDisk};
use neuroflow_cache::{Cache, Disk, OpenOptions, OsDisk};
use neuroflow_dsl::Catalogue;
use neuroflow_engine::fetch::Sources;
use neuroflow_engine::outcome::{Failure, State};
use neuroflow_engine::ready::Machine;
use neuroflow_engine::record::{Results, results};
use neuroflow_engine::schedule::{Observer, RunOptions};
use neuroflow_engine::session::{Clock, Purpose, RunInfo, Session};
use neuroflow_engine::{dataset::DataRegistry, readers};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

struct Silent;

impl Observer for Silent {}

/// Runs the mixed pipeline in this process; gives its results, or what went wrong in words.
fn run(folder: &Path, disk: Arc<dyn Disk>) -> Result<Results, String> {
    let options = OpenOptions { background: false, ..OpenOptions::default() };
    let cache = Cache::open_with(&folder.join("cache"), disk, options).map_err(|error| error.to_string())?;
    let session = Session {
        cache: Arc::new(cache),
        registry: Arc::new(neuroflow_cli::stages::registry()),
        data: DataRegistry::parse("").map_err(|error| error.to_string())?,
        sources: Sources { mirrors: Vec::new(), offline: true },
    };
    let readers = readers::catalogue();
    let checked = neuroflow_dsl::check(MIXED, &[], &Catalogue { stages: &session.registry, readers: &readers });
    assert!(checked.diagnostics.is_empty(), "{:?}", checked.diagnostics);
    let (clock, run_id) = Clock::start();
    let options = RunOptions::here(Machine { cores: 1, memory: 4 << 30, gpus: 0, pools: BTreeMap::new() }, run_id);
    let info = RunInfo {
        file: folder.join("mixed.nf"),
        text: MIXED.into(),
        used: Vec::new(),
        command: Vec::new(),
        set: Vec::new(),
        version: "test".into(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let prepared = session.prepare(checked.pipeline.clone(), (folder, folder), Purpose::Run, true, &|_, _, _| {}).await;
        let mut prepared = prepared.map_err(|error| error.to_string())?;
        let outcome = session.run(&mut prepared, &options, &(Arc::new(Silent) as Arc<dyn Observer>)).await;
        for task in &outcome.tasks {
            match &task.state {
                State::Failed(failure) => match failure.as_ref() {
                    Failure::Refused { message, .. } | Failure::World(message) => return Err(message.clone()),
                    Failure::Bug(message) => panic!("told as a mistake of neuroflow: {message}"),
                },
                State::Cached { .. } | State::Ran => {}
                other => return Err(format!("not run: {other:?}")),
            }
        }
        if !outcome.is_complete() {
            return Err(format!("not complete: {:?} {:?}", outcome.mistakes, outcome.remarks));
        }
        let record = session.record(&prepared, &outcome, &info, &options, &clock).map_err(|error| error.to_string())?;
        session.write(&record).map_err(|error| error.to_string())?;
        Ok(results(&session.rows(&record).map_err(|error| error.to_string())?))
    })
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("units.csv"), UNITS).unwrap();
    folder
}

fn os() -> Arc<dyn Disk> {
    Arc::new(OsDisk::new())
}

#[test]
fn whichever_call_fails_there_is_an_error_and_never_a_wrong_result() {
    let first = folder();
    let counting = Arc::new(FaultyDisk::new(os(), Fault::Killed, u64::MAX));
    let expected = run(first.path(), counting.clone()).unwrap();
    let calls = counting.operations();
    assert!(calls > 100, "{calls}");
    let asked = knob("NEUROFLOW_FAULT_CALLS", 12).clamp(1, calls);
    let mut failed = 0;
    for (number, fault) in [Fault::DiskFull, Fault::BadSector, Fault::Denied, Fault::Killed].into_iter().enumerate() {
        for nth in 0..asked {
            // Spread over the run, at other calls for each fault.
            let at = (nth * calls + number as u64 * calls / 4) / asked % calls;
            let place = folder();
            match run(place.path(), Arc::new(FaultyDisk::new(os(), fault, at))) {
                Ok(results) => assert_eq!(results, expected, "{fault:?} at {at}"),
                Err(message) => {
                    failed += 1;
                    assert!(!message.trim().is_empty(), "{fault:?} at {at}: no message");
                }
            }
            let after = run(place.path(), os()).unwrap_or_else(|error| panic!("after {fault:?} at {at}: {error}"));
            assert_eq!(after, expected, "after {fault:?} at {at}");
            let report = Cache::open(&place.path().join("cache"), os()).unwrap().verify().unwrap();
            assert!(report.damaged.is_empty(), "after {fault:?} at {at}: {:?}", report.damaged);
        }
    }
    assert!(failed > asked, "only {failed} of {} faults were told", asked * 4);
}
