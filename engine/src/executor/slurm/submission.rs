//! What is known of orders and arrays while they are out.

use super::client::{JobEnd, JobId, Needs};
use super::folder::{ArrayFolder, Begun};
use super::journal::RunFolder;
use crate::executor::{Event, Order};
use crate::task::TaskId;
use neuroflow_cache::Digest;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// An order that is not answered yet.
pub(super) struct Wanted {
    pub(super) order: Order,
    pub(super) listeners: Vec<(TaskId, UnboundedSender<Event>)>,
    /// How often its job was lost.
    pub(super) lost: u32,
    pub(super) alone: bool,
    pub(super) begun: bool,
    /// The array that has it; none while it waits.
    pub(super) tag: Option<String>,
}

/// Where an array is on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// The scheduler is being asked to take it.
    Submitting,
    /// It may have been taken or not.
    Uncertain {
        /// When the attempt failed.
        since: Instant,
        /// Before then it is not tried again.
        again: Instant,
        /// Whether it was looked for since, and is not there.
        absent: bool,
    },
    /// It was taken.
    Submitted { since: Instant },
}

/// One job of an array.
pub(super) struct Element {
    /// All its keys.
    pub(super) all: Vec<Digest>,
    /// Those that we want and that are not answered.
    pub(super) open: BTreeSet<Digest>,
    /// Since when its job is over or not to be found, and how it ended.
    pub(super) gone: Option<(Instant, Option<JobEnd>)>,
    /// How many lists in turn it was not in.
    pub(super) missed: u32,
    /// Whether we have cancelled it.
    pub(super) dropped: bool,
}

/// An array that was submitted, or is about to be.
pub(super) struct Submission {
    pub(super) folder: ArrayFolder,
    pub(super) needs: Needs,
    pub(super) job: Option<JobId>,
    pub(super) phase: Phase,
    pub(super) elements: Vec<Element>,
    pub(super) known: HashSet<OsString>,
    pub(super) begun: HashMap<Digest, Begun>,
    /// Whether another run submitted it.
    pub(super) adopted: bool,
    /// The folder of the run that it belongs to; none when that run may live.
    pub(super) run: Option<Arc<RunFolder>>,
    /// Whether all that was reported is well.
    pub(super) well: bool,
    /// When it was made.
    pub(super) made: Instant,
    /// How often the scheduler was asked to take it.
    pub(super) tries: u32,
}

impl Element {
    /// A job with the orders of these keys; those in `open` are waited for.
    pub(super) fn new(all: Vec<Digest>, open: BTreeSet<Digest>) -> Element {
        Element { all, open, gone: None, missed: 0, dropped: false }
    }
}

impl Submission {
    /// Whether orders of it are not answered yet.
    pub(super) fn is_open(&self) -> bool {
        self.elements.iter().any(|element| !element.open.is_empty())
    }
}
