//! Orders become arrays: collected for a moment, or given to jobs that an earlier run submitted; noted, submitted, and submitted again when that is safe.

use super::batch::{self, Waiting};
use super::client::{Array, ClientError, JobId, Needs};
use super::folder::ArrayFolder;
use super::journal::{Entry, RunFolder};
use super::keeper::{Answer, Keeper};
use super::submission::{Element, Phase, Submission};
use crate::executor::Order;
use crate::outcome::Ending;
use neuroflow_cache::Digest;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

impl Keeper {
    /// Orders that jobs of other runs will answer are given to those.
    pub(super) fn adopt(&mut self) {
        if !self.others.checked {
            return;
        }
        for key in std::mem::take(&mut self.waiting) {
            if !self.adopt_one(key) {
                self.waiting.push(key);
            }
        }
    }

    pub(super) fn adopt_one(&mut self, key: Digest) -> bool {
        let Some(wanted) = self.wanted.get_mut(&key) else { return true };
        if !wanted.order.task.cached || wanted.lost > 0 || wanted.alone {
            return false;
        }
        let Some((other, index)) = self.others.place(&key) else { return false };
        // A failure that another run has seen is no answer to this one.
        if other.folder.reported(&key).is_some_and(|report| !matches!(report.ending, Ending::Done(_))) {
            return false;
        }
        let tag = other.noted.tag.clone();
        let submission = self.submissions.entry(tag.clone()).or_insert_with(|| Submission {
            folder: other.folder.clone(),
            needs: Needs { cores: 0, memory: None, time: None, gpu: false },
            job: other.job.clone(),
            phase: Phase::Submitted { since: Instant::now() },
            elements: other.keys.iter().map(|keys| Element::new(keys.clone(), BTreeSet::new())).collect(),
            known: HashSet::new(),
            begun: HashMap::new(),
            adopted: true,
            run: other.run.clone(),
            well: true,
            made: Instant::now(),
            tries: 0,
        });
        let Some(element) = submission.elements.get_mut(index).filter(|element| element.gone.is_none()) else { return false };
        element.open.insert(key);
        // What was read before this order was wanted counts now.
        submission.known.clear();
        wanted.tag = Some(tag);
        let job = submission.job.as_ref().map_or_else(String::new, |job| format!(" {}", job.0));
        let text = format!("waiting for jobs that an earlier run submitted: {}{job}", self.client.name());
        self.remark(text);
        true
    }

    /// Makes an array of what waits, when it is time.
    pub(super) fn submit(&mut self, now: Instant) {
        self.submit_again(now);
        if self.waiting.is_empty() {
            self.collecting = None;
            return;
        }
        if self.asks.submit || !self.others.checked && !self.others.is_empty() {
            return;
        }
        let Some(limits) = self.limits else {
            if !self.asks.limits && now >= self.next_limits {
                self.asks.limits = self.ask(|client| Answer::Limits(client.limits()));
            }
            return;
        };
        let (first, last) = self.collecting.unwrap_or((now, now));
        let open = self.submissions.values().filter(|submission| submission.is_open()).count();
        // The more arrays are out, the longer it is worth to collect for the next.
        let window = self.pace.window.saturating_mul(1 << open.min(16)).min(self.pace.most_window);
        let quiet = if open == 0 { self.pace.quiet } else { window };
        if now.duration_since(last) < quiet && now.duration_since(first) < window {
            return;
        }
        let out: usize = self
            .submissions
            .values()
            .filter(|submission| !submission.adopted)
            .flat_map(|submission| &submission.elements)
            .filter(|element| !element.open.is_empty())
            .count();
        let room = self.settings.max_jobs.saturating_sub(out).min(limits.elements);
        // When there is little room it is not filled one by one.
        if room == 0 || out > 0 && room < self.waiting.len().min(self.settings.max_jobs / 4).max(1) {
            return;
        }
        let waiting: Vec<Waiting<'_>> = self
            .waiting
            .iter()
            .filter_map(|key| self.wanted.get(key))
            .map(|wanted| Waiting { order: &wanted.order, alone: wanted.alone })
            .collect();
        let Some(batch) = batch::next(&waiting, &self.settings, room) else { return };
        if let Err(error) = self.make(batch) {
            let path = self.run.as_ref().map_or_else(String::new, |run| run.path().display().to_string());
            for key in std::mem::take(&mut self.waiting) {
                self.answer_with(key, Ending::World(format!("{path}: {error}")));
            }
        }
        self.collecting = (!self.waiting.is_empty()).then_some((first, last));
    }

    /// Writes an array's folder, notes it and submits it.
    pub(super) fn make(&mut self, batch: batch::Batch) -> std::io::Result<()> {
        let Some(run) = self.run.clone() else { return Ok(()) };
        let tag = self.new_tag(&run);
        let folder = ArrayFolder::at(run.path().join(&tag));
        let orders = |keys: &Vec<Digest>| keys.iter().filter_map(|key| Some(&self.wanted.get(key)?.order)).collect::<Vec<&Order>>();
        folder.create(&batch.elements.iter().map(orders).collect::<Vec<_>>())?;
        let keys: HashSet<Digest> = batch.elements.iter().flatten().copied().collect();
        run.note(&Entry::Intent { tag: tag.clone(), elements: batch.elements.len(), orders: keys.len() })?;
        for key in &keys {
            if let Some(wanted) = self.wanted.get_mut(key) {
                wanted.tag = Some(tag.clone());
            }
        }
        self.waiting.retain(|key| !keys.contains(key));
        let elements = batch.elements.into_iter().map(|all| {
            let open = all.iter().copied().collect();
            Element::new(all, open)
        });
        let submission = Submission {
            folder,
            needs: batch.needs,
            job: None,
            phase: Phase::Submitting,
            elements: elements.collect(),
            known: HashSet::new(),
            begun: HashMap::new(),
            adopted: false,
            run: Some(run),
            well: true,
            made: Instant::now(),
            tries: 0,
        };
        self.submissions.insert(tag.clone(), submission);
        self.send(&tag);
        Ok(())
    }

    /// A name that no array had before.
    pub(super) fn new_tag(&mut self, run: &RunFolder) -> String {
        self.count += 1;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let text = format!("{} {} {since} {}", run.path().display(), self.count, std::process::id());
        format!("nf-{}", Digest::of(text.as_bytes()).short())
    }

    pub(super) fn send(&mut self, tag: &str) {
        let Some(submission) = self.submissions.get_mut(tag) else { return };
        submission.phase = Phase::Submitting;
        submission.tries = submission.tries.saturating_add(1);
        let mut command = self.worker.command.clone();
        command.push("--manifest".into());
        command.push(submission.folder.manifest().into());
        let array = Array {
            tag: tag.to_owned(),
            elements: submission.elements.len(),
            at_once: self.settings.max_running.unwrap_or(usize::MAX),
            needs: submission.needs.clone(),
            folder: submission.folder.path().to_path_buf(),
            command,
        };
        let named = tag.to_owned();
        self.asks.submit = self.ask(move |client| Answer::Submitted(named, client.submit(&array)));
        if !self.asks.submit {
            self.hear_submitted(tag, Err(ClientError::Away("no thread can be started".into())));
        }
    }

    pub(super) fn hear_submitted(&mut self, tag: &str, answer: Result<JobId, ClientError>) {
        self.asks.submit = false;
        let Some(submission) = self.submissions.get_mut(tag) else { return };
        match answer {
            Ok(job) => {
                self.is_back();
                self.taken(tag, job);
            }
            Err(ClientError::Refused(words)) => {
                let open: Vec<Digest> = submission.elements.iter().flat_map(|element| element.open.iter().copied()).collect();
                if let Some(run) = &submission.run {
                    // A line that can't be written costs a later run a question.
                    let _ = run.note(&Entry::Refused { tag: tag.to_owned(), reason: words.clone() });
                }
                let message = format!("{} refused the job: {words}", self.client.name());
                let help = "see what the profile says: partition, account, qos, time, extra".to_owned();
                for key in open {
                    self.answer_with(key, Ending::Refused { message: message.clone(), help: Some(help.clone()), again: false });
                }
                // The folder holds nothing that a person could look at.
                if let Some(submission) = self.submissions.get_mut(tag) {
                    submission.well = true;
                }
            }
            Err(ClientError::Away(words)) if submission.made.elapsed() > self.settings.outage => {
                // Its questions are answered, its submissions are not.
                let open: Vec<Digest> = submission.elements.iter().flat_map(|element| element.open.iter().copied()).collect();
                self.submissions.remove(tag);
                let text = format!("{} could not be made to take the job: {words}", self.client.name());
                open.into_iter().for_each(|key| self.answer_with(key, Ending::World(text.clone())));
            }
            Err(error) => {
                let now = Instant::now();
                let tries = submission.tries.saturating_sub(1).min(16);
                let pause = match error {
                    ClientError::Full(_) => self.pace.most_retry / 2,
                    _ => self.pace.retry.saturating_mul(1 << tries).min(self.pace.most_retry),
                };
                submission.phase = Phase::Uncertain { since: now, again: now + pause, absent: false };
                self.next_jobs = self.next_jobs.min(now + self.pace.retry);
                self.trouble(error);
            }
        }
    }

    /// The scheduler has an array.
    pub(super) fn taken(&mut self, tag: &str, job: JobId) {
        let now = Instant::now();
        if let Some(submission) = self.submissions.get_mut(tag) {
            if let Some(run) = &submission.run {
                // A line that can't be written costs a later run a question.
                let _ = run.note(&Entry::Submitted { tag: tag.to_owned(), job: job.0.clone() });
            }
            submission.job = Some(job);
            submission.phase = Phase::Submitted { since: now };
        }
        self.pause = self.pace.poll;
        self.next_jobs = self.next_jobs.min(now + self.pause);
    }

    /// Submits again what was not found under its tag.
    pub(super) fn submit_again(&mut self, now: Instant) {
        if self.asks.submit {
            return;
        }
        let due = self.submissions.iter_mut().find_map(|(tag, submission)| match submission.phase {
            Phase::Uncertain { again, absent: true, .. } if now >= again => Some(tag.clone()),
            _ => None,
        });
        if let Some(tag) = due {
            self.send(&tag);
        }
    }
}
