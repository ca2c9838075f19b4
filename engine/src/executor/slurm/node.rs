//! The node's side of an array: one element's orders, one after the other, each in a worker process of its own kind.

use super::folder::{ArrayFolder, Begun};
use crate::cached::lookup;
use crate::executor::{Event, Executor, Order, Report, Workers};
use crate::outcome::{Done, Ending, State, Usage};
use crate::schedule::WorkerCommand;
use neuroflow_cache::Cache;
use std::path::Path;

/// Performs the orders of one element of a manifest. `worker` starts this program as a worker that takes orders from its standard input, so that one
/// that crashes, or takes more memory or time than it may, ends alone.
///
/// What was reported before is passed over, so a job that is started again goes on where it was.
///
/// # Errors
/// When the manifest can't be read or a report can't be written, in words.
pub fn perform_element(manifest: &Path, index: usize, cache: &Cache, worker: WorkerCommand) -> Result<(), String> {
    let folder = ArrayFolder::of_manifest(manifest);
    let orders = folder.orders(index)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| error.to_string())?;
    let said = |error: std::io::Error| format!("{}: {error}", folder.path().display());
    runtime.block_on(async {
        let workers = Workers::new(worker);
        for order in orders {
            if folder.reported(&order.key).is_some() {
                continue;
            }
            folder.begin(&order.key, &Begun { host: host() }).map_err(said)?;
            let mut report = match performed_before(cache, &order) {
                Some(report) => report,
                None => perform(&workers, &order).await,
            };
            report.usage.host = host();
            folder.report(&report).map_err(said)?;
        }
        Ok(())
    })
}

/// What this run has published for the order already: the job was lost between publishing and reporting.
fn performed_before(cache: &Cache, order: &Order) -> Option<Report> {
    let found = lookup(cache, &order.key, &order.task).ok()??;
    // What another run published does not count: a person may have asked for the step to be computed again.
    let ours = order.task.cached && matches!(&found.state, State::Cached { run } if **run == order.run_id);
    let usage = Usage { wall_ms: f64::from(found.wall_ms), ..Usage::default() };
    let done = Done { outputs: found.outputs.into_vec(), scores: found.scores.map(Vec::from), computed: true, remarks: Vec::new() };
    ours.then_some(Report { key: order.key, ending: Ending::Done(done), usage })
}

async fn perform(workers: &Workers, order: &Order) -> Report {
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    workers.start(vec![(0, order.clone())], sender);
    while let Some(event) = events.recv().await {
        if let Event::Ended(_, report) = event {
            return *report;
        }
    }
    Report { key: order.key, ending: Ending::Bug("a worker process gave no answer".into()), usage: Usage::default() }
}

/// The name of this machine.
pub(super) fn host() -> String {
    #[cfg(unix)]
    {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(unix))]
    {
        std::env::var("COMPUTERNAME").unwrap_or_default()
    }
}
