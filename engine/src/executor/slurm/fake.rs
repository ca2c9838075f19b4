//! A cluster that does what a test says.

use super::client::{Array, ClientError, ClusterClient, Detail, ElementId, Elements, JobEnd, JobId, JobState, Limits, Seen};
use super::folder::{ArrayFolder, Begun};
use crate::executor::{Order, PROTOCOL, Report};
use crate::outcome::{Done, Ending, Output, Usage};
use crate::task::{Task, Work};
use neuroflow_cache::Digest;
use neuroflow_data::Kind;
use neuroflow_stage::GpuPolicy;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// An order that means nothing.
pub(super) fn order(number: u64) -> Order {
    Order {
        protocol: PROTOCOL,
        task: Task {
            label: format!("task {number}"),
            step: "task".into(),
            work: Work::Join { controls: Vec::new(), batches: Vec::new() },
            arguments: Vec::new(),
            outputs: vec![("out".into(), Kind::Table)],
            gpu: GpuPolicy::Never,
            cached: true,
        },
        key: Digest::of(&number.to_le_bytes()),
        contents: Vec::new(),
        run_id: "run".into(),
        attempt: 1,
        cores: 1,
        memory: None,
        time: None,
        expected_ms: None,
        cache: "/nowhere".into(),
        cluster: None,
    }
}

/// A report that the order is done.
pub(super) fn done(order: &Order) -> Report {
    let output = Output { digest: order.key, kind: Kind::Table, size: 1 };
    let done = Done { outputs: vec![output], scores: None, computed: true, remarks: Vec::new() };
    Report { key: order.key, ending: Ending::Done(done), usage: Usage::default() }
}

/// What a call is answered with instead of the truth.
#[derive(Debug, Clone)]
pub(super) enum Trick {
    /// It fails and nothing is done.
    Fail(ClientError),
    /// It fails, and is done all the same.
    DoneButFail(ClientError),
    /// It is answered with nothing, as when a list is cut short.
    Nothing,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) arrays: Vec<(JobId, Array, Vec<JobState>)>,
    pub(super) cancelled: Vec<(JobId, Elements)>,
    pub(super) tricks: BTreeMap<&'static str, VecDeque<Trick>>,
    pub(super) calls: BTreeMap<&'static str, usize>,
    /// Jobs whose end is forgotten.
    pub(super) forgotten: bool,
    /// How ended jobs are described.
    pub(super) words: String,
}

/// A cluster of one test.
#[derive(Default)]
pub(super) struct Fake {
    state: Mutex<State>,
    called: Condvar,
}

impl Fake {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next calls of this name are answered so.
    pub(super) fn trick(&self, call: &'static str, tricks: impl IntoIterator<Item = Trick>) {
        self.state().tricks.entry(call).or_default().extend(tricks);
    }

    /// Waits until something is so.
    #[track_caller]
    pub(super) fn until(&self, so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let end = Instant::now() + Duration::from_secs(30);
        let mut state = self.state();
        while !so(&state) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not come; calls: {:?}", state.calls);
            state = self.called.wait_timeout(state, left).unwrap().0;
        }
        state
    }

    /// Waits for so many arrays; gives their folders.
    #[track_caller]
    pub(super) fn folders(&self, arrays: usize) -> Vec<ArrayFolder> {
        let state = self.until(|state| state.arrays.len() >= arrays);
        state.arrays.iter().map(|(_, array, _)| ArrayFolder::at(array.folder.clone())).collect()
    }

    /// Sets what a job does.
    pub(super) fn set(&self, array: usize, index: usize, state: JobState) {
        self.state().arrays[array].2[index] = state;
    }

    /// Ends a job.
    pub(super) fn end(&self, array: usize, index: usize, end: JobEnd) {
        self.set(array, index, JobState::Ended(end));
    }

    fn call<'a>(&'a self, name: &'static str) -> (MutexGuard<'a, State>, Option<Trick>) {
        let mut state = self.state();
        *state.calls.entry(name).or_default() += 1;
        let trick = state.tricks.get_mut(name).and_then(VecDeque::pop_front);
        self.called.notify_all();
        (state, trick)
    }
}

/// Performs all orders of an element well.
pub(super) fn perform(folder: &ArrayFolder, index: usize) {
    for order in folder.orders(index).unwrap() {
        begin(folder, &order);
        folder.report(&done(&order)).unwrap();
    }
}

pub(super) fn begin(folder: &ArrayFolder, order: &Order) {
    folder.begin(&order.key, &Begun { host: "node".into() }).unwrap();
}

impl ClusterClient for Fake {
    fn name(&self) -> &str {
        "FAKE"
    }

    fn limits(&self) -> Result<Limits, ClientError> {
        match self.call("limits").1 {
            Some(Trick::Fail(error) | Trick::DoneButFail(error)) => Err(error),
            _ => Ok(Limits { elements: 100 }),
        }
    }

    fn submit(&self, array: &Array) -> Result<JobId, ClientError> {
        let (mut state, trick) = self.call("submit");
        if let Some(Trick::Fail(error)) = trick {
            return Err(error);
        }
        let job = JobId((state.arrays.len() + 1).to_string());
        let states = vec![JobState::Waiting("Priority".into()); array.elements];
        state.arrays.push((job.clone(), array.clone(), states));
        match trick {
            Some(Trick::DoneButFail(error)) => Err(error),
            _ => Ok(job),
        }
    }

    fn jobs(&self, tags: &[String]) -> Result<Vec<Seen>, ClientError> {
        let (state, trick) = self.call("jobs");
        match trick {
            Some(Trick::Fail(error) | Trick::DoneButFail(error)) => return Err(error),
            Some(Trick::Nothing) => return Ok(Vec::new()),
            None => {}
        }
        let mut seen = Vec::new();
        for (job, array, states) in state.arrays.iter().filter(|(_, array, _)| tags.contains(&array.tag)) {
            for (index, job_state) in states.iter().enumerate() {
                if state.forgotten && matches!(job_state, JobState::Ended(_)) {
                    continue;
                }
                let element = ElementId { job: job.clone(), index };
                seen.push(Seen { tag: array.tag.clone(), element, state: job_state.clone(), node: "node".into() });
            }
        }
        Ok(seen)
    }

    fn details(&self, elements: &[ElementId]) -> Result<BTreeMap<ElementId, Detail>, ClientError> {
        let (state, trick) = self.call("details");
        match trick {
            Some(Trick::Fail(error) | Trick::DoneButFail(error)) => return Err(error),
            Some(Trick::Nothing) => return Ok(BTreeMap::new()),
            None => {}
        }
        let detail = |element: &ElementId| {
            let (_, _, states) = state.arrays.iter().find(|(job, _, _)| *job == element.job)?;
            let job_state = states.get(element.index)?.clone();
            if state.forgotten && matches!(job_state, JobState::Ended(_)) {
                return None;
            }
            Some((element.clone(), Detail { state: job_state, words: state.words.clone() }))
        };
        Ok(elements.iter().filter_map(detail).collect())
    }

    fn cancel(&self, jobs: &[(JobId, Elements)]) -> Result<(), ClientError> {
        let (mut state, trick) = self.call("cancel");
        if let Some(Trick::Fail(error)) = trick {
            return Err(error);
        }
        state.cancelled.extend(jobs.iter().cloned());
        Ok(())
    }
}
