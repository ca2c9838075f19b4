//! Tasks as jobs of a SLURM cluster: thousands of orders as a few job arrays.
//!
//! Coordinator and nodes share the cache's folder and nothing else. Orders are written into a manifest, an array is submitted, each element performs the
//! orders of its line and writes a report for each, and the coordinator watches the reports appear. The scheduler is only asked what became of jobs that
//! gave none. What is about to be submitted is noted first, so that a run that comes after a killed one waits for its jobs instead of submitting them
//! again; see `docs/adr/20261125-job-arrays.md`.
//!
//! Only [`commands`](SlurmCommands) and the job script know SLURM. Another scheduler is another [`ClusterClient`].

mod adopt;
mod batch;
mod cancel;
mod client;
mod commands;
#[cfg(test)]
mod fake;
mod fate;
mod folder;
mod journal;
mod keeper;
mod node;
mod outage;
mod pace;
mod parse;
mod script;
mod settings;
mod submission;
mod submit;
#[cfg(test)]
mod tests;
mod watch;

pub use client::{Array, ClientError, ClusterClient, Detail, ElementId, Elements, JobEnd, JobId, JobState, Limits, Needs, Seen};
pub use commands::SlurmCommands;
pub use node::perform_element;
pub use settings::{OnInterrupt, SlurmSettings};

use super::{Capacity, Event, Executor, Order, Report};
use crate::outcome::{Ending, Usage};
use crate::schedule::WorkerCommand;
use crate::task::TaskId;
use keeper::{Inbox, Keeper};
use pace::Pace;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc::UnboundedSender;

/// The most orders that are taken at once. Each holds a claim, and so an open file.
const MOST_ORDERS: usize = 20_000;
/// Open files that are left for everything else.
const OTHER_FILES: u64 = 256;

/// A SLURM cluster as an executor.
pub struct Slurm {
    name: String,
    orders: usize,
    inbox: Sender<Inbox>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl Slurm {
    /// A cluster under a profile's name. `worker` is how the nodes start this program as a worker; a manifest and an index are added to it.
    pub fn new(name: &str, settings: SlurmSettings, worker: WorkerCommand) -> Slurm {
        let client = Arc::new(SlurmCommands::new(settings.clone()));
        Slurm::with_client(name, settings, worker, client)
    }

    /// The same with another way to speak to the scheduler.
    pub fn with_client(name: &str, settings: SlurmSettings, worker: WorkerCommand, client: Arc<dyn ClusterClient>) -> Slurm {
        Slurm::paced(name, settings, worker, client, Pace::default())
    }

    fn paced(name: &str, settings: SlurmSettings, worker: WorkerCommand, client: Arc<dyn ClusterClient>, pace: Pace) -> Slurm {
        let (inbox, messages) = channel();
        let keeper = Keeper::new(name, settings, worker, client, pace, inbox.clone());
        let thread = std::thread::Builder::new().name("slurm".into()).spawn(move || keeper.run(&messages)).ok();
        Slurm { name: name.to_owned(), orders: room_for_claims().min(MOST_ORDERS), inbox, keeper: Mutex::new(thread) }
    }
}

/// How many files may be open at once, after asking for as many as are allowed.
fn room_for_claims() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Refused by some systems where there is no upper limit; then what there is must do.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1)
    }
    #[cfg(not(unix))]
    {
        usize::try_from(OTHER_FILES).unwrap_or(1)
    }
}

impl Executor for Slurm {
    fn name(&self) -> &str {
        &self.name
    }

    fn capacity(&self) -> Capacity {
        Capacity::Orders(self.orders)
    }

    fn start(&self, orders: Vec<(TaskId, Order)>, events: UnboundedSender<Event>) {
        if let Err(refused) = self.inbox.send(Inbox::Orders(orders, events))
            && let Inbox::Orders(orders, events) = refused.0
        {
            for (task, order) in orders {
                let ending = Ending::Bug("the thread that speaks to the cluster is gone".into());
                let _ = events.send(Event::Ended(task, Box::new(Report { key: order.key, ending, usage: Usage::default() })));
            }
        }
    }

    fn stop(&self) {
        let _ = self.inbox.send(Inbox::Stop);
    }

    fn cancel(&self) {
        let _ = self.inbox.send(Inbox::Cancel);
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let _ = self.inbox.send(Inbox::Close);
        // What it notes last must be on the disk; calls that are under way are not waited for.
        if let Some(keeper) = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = keeper.join();
        }
    }
}
