//! What became of jobs: one list of all of them now and then, and a question about those that ended without a report.

use super::client::{ClientError, Detail, ElementId, JobId, JobState, Seen};
use super::fate::{Death, Fate, fate};
use super::keeper::{Answer, Keeper};
use super::submission::{Phase, Submission};
use crate::outcome::Ending;
use neuroflow_cache::Digest;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

impl Keeper {
    pub(super) fn ask_jobs(&mut self, now: Instant) {
        if self.asks.jobs || now < self.next_jobs || self.wanted.is_empty() {
            return;
        }
        let mut tags: Vec<String> = self.others.tags().collect();
        let asked = |submission: &Submission| submission.is_open() && submission.phase != Phase::Submitting;
        tags.extend(self.submissions.iter().filter(|(_, submission)| asked(submission)).map(|(tag, _)| tag.clone()));
        if tags.is_empty() {
            self.others.checked = true;
            return;
        }
        self.asks.jobs = self.ask(move |client| Answer::Jobs(now, client.jobs(&tags)));
    }

    pub(super) fn hear_jobs(&mut self, asked: Instant, answer: Result<Vec<Seen>, ClientError>) {
        self.asks.jobs = false;
        let seen = match answer {
            Ok(seen) => seen,
            Err(error) => {
                self.next_jobs = Instant::now() + self.trouble(error);
                return;
            }
        };
        self.is_back();
        self.others.see(&seen);
        let now = Instant::now();
        let mut by_tag: HashMap<&str, BTreeMap<usize, &Seen>> = HashMap::new();
        for seen in &seen {
            by_tag.entry(&seen.tag).or_default().insert(seen.element.index, seen);
        }
        let mut found = Vec::new();
        let mut remarks = Vec::new();
        let mut changed = false;
        for (tag, submission) in &mut self.submissions {
            let jobs = by_tag.remove(tag.as_str()).unwrap_or_default();
            match submission.phase {
                Phase::Submitting => continue,
                Phase::Uncertain { since, again, .. } => {
                    match jobs.values().next() {
                        Some(seen) => found.push((tag.clone(), seen.element.job.clone())),
                        None if asked > since => submission.phase = Phase::Uncertain { since, again, absent: true },
                        None => {}
                    }
                    continue;
                }
                Phase::Submitted { since } if since >= asked => continue,
                Phase::Submitted { .. } => {}
            }
            for (index, element) in submission.elements.iter_mut().enumerate().filter(|(_, element)| !element.open.is_empty()) {
                let gone = match jobs.get(&index).map(|seen| &seen.state) {
                    Some(JobState::Ended(end)) => Some(Some(*end)),
                    Some(JobState::Waiting(reason)) => {
                        if lasts(reason)
                            && let Some(job) = &submission.job
                        {
                            remarks.push(format!("job {} of {} waits: {reason}", job.0, self.client.name()));
                        }
                        None
                    }
                    Some(JobState::Running) => None,
                    None => Some(None),
                };
                element.missed = if gone == Some(None) { element.missed + 1 } else { 0 };
                let before = element.gone.is_some();
                element.gone = gone.map(|end| element.gone.map_or((now, end), |(since, _)| (since, end)));
                changed |= before != element.gone.is_some();
            }
        }
        found.into_iter().for_each(|(tag, job)| self.taken(&tag, job));
        remarks.into_iter().for_each(|text| self.remark(text));
        self.pause = if changed { self.pace.poll } else { (self.pause * 3 / 2).min(self.pace.most_poll) };
        self.next_jobs = now + self.pause;
    }

    /// Asks about jobs that are over and have not reported all.
    pub(super) fn ask_details(&mut self, now: Instant) {
        if self.asks.details || now < self.next_details {
            return;
        }
        let mut ripe = Vec::new();
        for submission in self.submissions.values() {
            let Some(job) = &submission.job else { continue };
            for (index, element) in submission.elements.iter().enumerate().filter(|(_, element)| !element.open.is_empty()) {
                let Some((since, end)) = element.gone else { continue };
                // A list without a job may be cut short: a second one must agree.
                if now.duration_since(since) >= self.settings.report_wait && (end.is_some() || element.missed >= 2) {
                    ripe.push(ElementId { job: job.clone(), index });
                }
            }
        }
        if !ripe.is_empty() {
            self.asks.details = self.ask(move |client| {
                let answer = client.details(&ripe);
                Answer::Details(ripe, answer)
            });
        }
    }

    pub(super) fn hear_details(&mut self, elements: &[ElementId], answer: Result<BTreeMap<ElementId, Detail>, ClientError>) {
        self.asks.details = false;
        let mut details = match answer {
            Ok(details) => details,
            Err(error) => {
                self.next_details = Instant::now() + self.trouble(error);
                return;
            }
        };
        self.is_back();
        // A last look: what was reported meanwhile is not lost.
        self.read_reports();
        let tags: HashMap<JobId, String> =
            self.submissions.iter().filter_map(|(tag, submission)| Some((submission.job.clone()?, tag.clone()))).collect();
        for id in elements {
            if let Some(tag) = tags.get(&id.job) {
                self.decide(tag, id, details.remove(id));
            }
        }
    }

    /// Decides about the orders of a job that is over.
    pub(super) fn decide(&mut self, tag: &str, id: &ElementId, detail: Option<Detail>) {
        let job = format!("job {}_{} of {}", id.job.0, id.index, self.client.name());
        let Some(submission) = self.submissions.get_mut(tag) else { return };
        let Some(element) = submission.elements.get_mut(id.index) else { return };
        let Some((_, seen)) = element.gone else { return };
        let (end, words) = match detail {
            Some(Detail { state: JobState::Ended(end), words }) => (Some(end), words),
            Some(_) => {
                // It was queued again meanwhile.
                (element.gone, element.missed) = (None, 0);
                return;
            }
            None => (seen, String::new()),
        };
        let log = submission.folder.log_tail(id.index);
        let death = Death {
            end,
            words: &words,
            log: &log,
            job: &job,
            any_begun: element.all.iter().any(|key| submission.begun.contains_key(key)),
            time: submission.needs.time.map(|time| time.as_secs_f64()),
            memory: submission.needs.memory,
            adopted: submission.adopted,
        };
        let alone = element.all.len() == 1;
        let mut fates = Vec::new();
        for key in std::mem::take(&mut element.open) {
            if let Some(wanted) = self.wanted.get(&key) {
                fates.push((key, fate(&death, &wanted.order, submission.begun.contains_key(&key), alone)));
            }
        }
        submission.well = false;
        for (key, fate) in fates {
            match fate {
                Fate::Answer(ending) => self.answer_with(key, ending),
                Fate::Again { counted, alone, reason } => self.again(key, counted, alone, &reason),
            }
        }
    }

    pub(super) fn again(&mut self, key: Digest, counted: bool, alone: bool, reason: &str) {
        let Some(wanted) = self.wanted.get_mut(&key) else { return };
        wanted.lost += u32::from(counted);
        if wanted.lost > self.settings.resubmit {
            let ending = Ending::Lost(match wanted.lost {
                1 => reason.to_owned(),
                lost => format!("{reason} (the {lost}th job that was lost with it)"),
            });
            return self.answer_with(key, ending);
        }
        (wanted.tag, wanted.begun) = (None, false);
        wanted.alone |= alone;
        self.waiting.push(key);
        let now = Instant::now();
        self.collecting = Some((self.collecting.map_or(now, |(first, _)| first), now));
    }
}

/// Whether a job that waits for this reason may wait for ever.
fn lasts(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let signs = [
        "held",
        "badconstraints",
        "partitiontimelimit",
        "partitionnodelimit",
        "partitionconfig",
        "partitiondown",
        "partitioninactive",
        "accountnotallowed",
        "invalidaccount",
        "invalidqos",
        "neversatisfied",
        "nodes required for job are down",
        "perjob",
        "launch failed",
    ];
    signs.iter().any(|sign| reason.contains(sign))
}
