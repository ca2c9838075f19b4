//! The thread that keeps a cluster's jobs: what waits, what was submitted, what came back, and what was lost.
//!
//! It never waits for the scheduler: each question is asked by a thread of its own, and the answer comes like everything else through the inbox.

use super::adopt::Others;
use super::client::{ClientError, ClusterClient, Detail, ElementId, JobId, Limits, Seen};
use super::folder::News;
use super::journal::{self, Entry, RunFolder};
use super::pace::Pace;
use super::settings::SlurmSettings;
use super::submission::{Phase, Submission, Wanted};
use crate::executor::{Event, Order, Report};
use crate::outcome::{Ending, Usage};
use crate::schedule::WorkerCommand;
use crate::task::TaskId;
use neuroflow_cache::Digest;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// What comes in.
pub(super) enum Inbox {
    Orders(Vec<(TaskId, Order)>, UnboundedSender<Event>),
    Stop,
    Cancel,
    Close,
    Answer(Answer),
}

/// What the scheduler said.
pub(super) enum Answer {
    Limits(Result<Limits, ClientError>),
    Submitted(String, Result<JobId, ClientError>),
    /// With the time at which it was asked.
    Jobs(Instant, Result<Vec<Seen>, ClientError>),
    Details(Vec<ElementId>, Result<BTreeMap<ElementId, Detail>, ClientError>),
    Cancelled(Result<(), ClientError>),
    /// The jobs that were not to begin.
    Dropped(Vec<(String, usize)>, Result<(), ClientError>),
}

/// The jobs of one executor.
pub(super) struct Keeper {
    pub(super) name: String,
    pub(super) settings: SlurmSettings,
    pub(super) worker: WorkerCommand,
    pub(super) client: Arc<dyn ClusterClient>,
    pub(super) pace: Pace,
    pub(super) inbox: Sender<Inbox>,
    pub(super) run: Option<Arc<RunFolder>>,
    pub(super) others: Others,
    pub(super) limits: Option<Limits>,
    pub(super) wanted: HashMap<Digest, Wanted>,
    pub(super) waiting: Vec<Digest>,
    pub(super) submissions: BTreeMap<String, Submission>,
    /// When the first order of those that wait came, and the last.
    pub(super) collecting: Option<(Instant, Instant)>,
    pub(super) count: u64,
    pub(super) asks: Asks,
    pub(super) next_look: Instant,
    pub(super) next_limits: Instant,
    pub(super) next_jobs: Instant,
    pub(super) next_details: Instant,
    pub(super) next_drop: Instant,
    pub(super) pause: Duration,
    pub(super) away: Option<(Instant, String)>,
    pub(super) told: HashSet<String>,
    pub(super) told_away: Option<Instant>,
    pub(super) cancelling: Option<Instant>,
    /// Whether nothing more is to begin.
    pub(super) stopping: bool,
    pub(super) cancelled: bool,
}

/// Questions that are not answered yet.
#[derive(Default)]
pub(super) struct Asks {
    pub(super) limits: bool,
    pub(super) submit: bool,
    pub(super) jobs: bool,
    pub(super) details: bool,
    pub(super) cancel: bool,
}

impl Keeper {
    pub(super) fn new(
        name: &str,
        settings: SlurmSettings,
        worker: WorkerCommand,
        client: Arc<dyn ClusterClient>,
        pace: Pace,
        inbox: Sender<Inbox>,
    ) -> Keeper {
        let now = Instant::now();
        Keeper {
            pause: pace.poll,
            name: name.to_owned(),
            settings,
            worker,
            client,
            pace,
            inbox,
            run: None,
            others: Others::default(),
            limits: None,
            wanted: HashMap::new(),
            waiting: Vec::new(),
            submissions: BTreeMap::new(),
            collecting: None,
            count: 0,
            asks: Asks::default(),
            next_look: now,
            next_limits: now,
            next_jobs: now,
            next_details: now,
            next_drop: now,
            away: None,
            told: HashSet::new(),
            told_away: None,
            cancelling: None,
            stopping: false,
            cancelled: false,
        }
    }

    /// Keeps jobs until it is told to close.
    pub(super) fn run(mut self, messages: &Receiver<Inbox>) {
        loop {
            let message = if self.wanted.is_empty() && self.cancelling.is_none() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(self.pace.look)
            };
            match message {
                Ok(Inbox::Close) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.hear(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // All that has come meanwhile, before anything is decided.
            while let Ok(message) = messages.try_recv() {
                if matches!(message, Inbox::Close) {
                    return;
                }
                self.hear(message);
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let now = Instant::now();
        if now >= self.next_look {
            self.read_reports();
            // A folder of many reports on a slow disk is not read all the time.
            self.next_look = Instant::now() + now.elapsed().saturating_mul(10).max(self.pace.look);
        }
        self.give_up(now);
        if self.cancelling.is_some() {
            self.cancel(now);
        } else if self.stopping {
            self.drop_unbegun(now);
        } else {
            self.adopt();
            self.submit(now);
        }
        self.ask_jobs(now);
        self.ask_details(now);
        self.finish();
    }

    fn hear(&mut self, message: Inbox) {
        match message {
            Inbox::Orders(orders, events) => self.take(orders, &events),
            Inbox::Stop => self.begin_to_stop(),
            Inbox::Cancel => self.begin_to_cancel(),
            Inbox::Close => {}
            Inbox::Answer(Answer::Limits(answer)) => {
                self.asks.limits = false;
                match answer {
                    Ok(limits) => {
                        self.limits = Some(limits);
                        self.is_back();
                    }
                    Err(error) => self.next_limits = Instant::now() + self.trouble(error),
                }
            }
            Inbox::Answer(Answer::Submitted(tag, answer)) => self.hear_submitted(&tag, answer),
            Inbox::Answer(Answer::Jobs(asked, answer)) => self.hear_jobs(asked, answer),
            Inbox::Answer(Answer::Details(elements, answer)) => self.hear_details(&elements, answer),
            Inbox::Answer(Answer::Cancelled(answer)) => self.hear_cancelled(answer),
            Inbox::Answer(Answer::Dropped(elements, answer)) => self.hear_dropped(&elements, answer),
        }
    }

    /// Asks the scheduler something on a thread of its own.
    pub(super) fn ask(&self, question: impl FnOnce(&dyn ClusterClient) -> Answer + Send + 'static) -> bool {
        let (client, inbox) = (Arc::clone(&self.client), self.inbox.clone());
        let asked = std::thread::Builder::new().name("slurm-ask".into()).spawn(move || {
            // Nobody listens any more when the run has ended.
            let _ = inbox.send(Inbox::Answer(question(client.as_ref())));
        });
        asked.is_ok()
    }

    fn take(&mut self, orders: Vec<(TaskId, Order)>, events: &UnboundedSender<Event>) {
        let now = Instant::now();
        // All that was stopped is answered: this is another run.
        self.stopping &= !self.wanted.is_empty();
        for (task, order) in orders {
            if self.cancelled || self.stopping || self.cancelling.is_some() {
                let ended = Report { key: order.key, ending: Ending::Cancelled, usage: Usage::default() };
                let _ = events.send(Event::Ended(task, Box::new(ended)));
                continue;
            }
            if self.run.is_none()
                && let Err(error) = self.open(&order)
            {
                let path = order.cache.join(journal::SLURM);
                let ending = Ending::World(format!("{}: {error}", path.display()));
                let ended = Report { key: order.key, ending, usage: Usage::default() };
                let _ = events.send(Event::Ended(task, Box::new(ended)));
                continue;
            }
            let key = order.key;
            let wanted = self.wanted.entry(key).or_insert_with(|| {
                self.waiting.push(key);
                Wanted { order, listeners: Vec::new(), lost: 0, alone: false, begun: false, tag: None }
            });
            if wanted.begun {
                let _ = events.send(Event::Started(task));
            }
            wanted.listeners.push((task, events.clone()));
            self.collecting = Some((self.collecting.map_or(now, |(first, _)| first), now));
        }
    }

    /// Finds what other runs left, and makes a folder for this one.
    fn open(&mut self, order: &Order) -> std::io::Result<()> {
        self.others = Others::find(&order.cache);
        self.run = Some(Arc::new(RunFolder::create(&order.cache, &order.run_id)?));
        self.next_jobs = Instant::now();
        Ok(())
    }

    /// Answers an order.
    pub(super) fn answer(&mut self, mut report: Report) {
        let Some(wanted) = self.wanted.remove(&report.key) else { return };
        if let Some(submission) = wanted.tag.as_ref().and_then(|tag| self.submissions.get_mut(tag)) {
            submission.elements.iter_mut().for_each(|element| {
                element.open.remove(&report.key);
            });
            submission.well &= matches!(report.ending, Ending::Done(_));
        } else {
            self.waiting.retain(|key| *key != report.key);
        }
        report.usage.executor.clone_from(&self.name);
        for (task, events) in wanted.listeners {
            // Nobody listens any more when the run has ended.
            let _ = events.send(Event::Ended(task, Box::new(report.clone())));
        }
    }

    pub(super) fn answer_with(&mut self, key: Digest, ending: Ending) {
        self.answer(Report { key, ending, usage: Usage::default() });
    }

    /// Tells a person something, once.
    pub(super) fn remark(&mut self, text: String) {
        if !self.told.contains(&text)
            && let Some((_, events)) = self.wanted.values().find_map(|wanted| wanted.listeners.first())
        {
            let _ = events.send(Event::Remark(text.clone()));
            self.told.insert(text);
        }
    }

    pub(super) fn read_reports(&mut self) {
        let tags: Vec<String> =
            self.submissions.iter().filter(|(_, submission)| submission.is_open()).map(|(tag, _)| tag.clone()).collect();
        tags.iter().for_each(|tag| self.read_folder(tag));
    }

    pub(super) fn read_folder(&mut self, tag: &str) {
        let Some(submission) = self.submissions.get_mut(tag) else { return };
        // A disk that does not answer now may answer later; a folder that is gone shows when its jobs have ended.
        let Ok(news) = submission.folder.news(&mut submission.known) else { return };
        let mut changed = false;
        for news in news {
            match news {
                News::Begun(key, begun) => {
                    if let Some(submission) = self.submissions.get_mut(tag) {
                        submission.begun.insert(key, begun);
                    }
                    if let Some(wanted) = self.wanted.get_mut(&key).filter(|wanted| wanted.tag.as_deref() == Some(tag) && !wanted.begun) {
                        wanted.begun = true;
                        for (task, events) in &wanted.listeners {
                            let _ = events.send(Event::Started(*task));
                        }
                        changed = true;
                    }
                }
                News::Reported(report) => {
                    // What is done is done, also when its job was believed to be lost.
                    let is_done = matches!(report.ending, Ending::Done(_));
                    if self.wanted.get(&report.key).is_some_and(|wanted| is_done || wanted.tag.as_deref() == Some(tag)) {
                        self.answer(*report);
                        changed = true;
                    }
                }
            }
        }
        if changed {
            self.pause = self.pace.poll;
        }
    }

    /// Notes arrays whose orders are all answered.
    fn finish(&mut self) {
        let done = |submission: &Submission| !submission.is_open() && submission.phase != Phase::Submitting;
        let tags: Vec<String> = self.submissions.iter().filter(|(_, submission)| done(submission)).map(|(tag, _)| tag.clone()).collect();
        for tag in tags {
            let Some(submission) = self.submissions.remove(&tag) else { continue };
            // Of an adopted array there may be elements that this run does not want and another will.
            if submission.adopted {
                continue;
            }
            if let Some(run) = &submission.run
                && run.note(&Entry::Ended { tag }).is_ok()
                && submission.well
            {
                submission.folder.remove();
            }
        }
    }
}
