//! The end of a run before its time: its jobs are cancelled by their numbers, or left for the next run.

use super::client::{ClientError, Elements, JobId};
use super::journal::Entry;
use super::keeper::{Answer, Keeper};
use super::settings::OnInterrupt;
use super::submission::Phase;
use crate::outcome::Ending;
use std::collections::BTreeMap;
use std::time::Instant;

impl Keeper {
    pub(super) fn begin_to_cancel(&mut self) {
        if self.cancelled || self.cancelling.is_some() {
            return;
        }
        for key in std::mem::take(&mut self.waiting) {
            self.answer_with(key, Ending::Cancelled);
        }
        if self.settings.on_interrupt == OnInterrupt::Leave {
            self.farewell(false);
        } else {
            self.cancelling = Some(Instant::now());
        }
    }

    /// Cancels what was submitted, by its number.
    pub(super) fn cancel(&mut self, now: Instant) {
        let late = self.cancelling.is_some_and(|since| now.duration_since(since) > self.pace.farewell);
        let is_settling = self.submissions.values().any(|submission| submission.phase == Phase::Submitting);
        let jobs: Vec<(JobId, Elements)> = self
            .submissions
            .values()
            // Jobs of a run that may live are its own.
            .filter(|submission| submission.is_open() && submission.run.is_some())
            .filter_map(|submission| {
                let open = submission.elements.iter().enumerate().filter(|(_, element)| !element.open.is_empty());
                let elements = if submission.adopted { Elements::Some(open.map(|(index, _)| index).collect()) } else { Elements::All };
                Some((submission.job.clone()?, elements))
            })
            .collect();
        if late {
            if !jobs.is_empty() {
                let numbers: Vec<&str> = jobs.iter().map(|(job, _)| job.0.as_str()).collect();
                let name = self.client.name();
                let text = format!("{name} did not answer, so its jobs are not cancelled; `scancel {}` does it", numbers.join(" "));
                self.remark(text);
            }
            return self.farewell(false);
        }
        if is_settling || self.asks.cancel {
            return;
        }
        if jobs.is_empty() {
            return self.farewell(true);
        }
        let pause = self.pace.retry;
        self.asks.cancel = self.ask(move |client| {
            let answer = client.cancel(&jobs);
            if answer.is_err() {
                std::thread::sleep(pause);
            }
            Answer::Cancelled(answer)
        });
    }

    pub(super) fn hear_cancelled(&mut self, answer: Result<(), ClientError>) {
        self.asks.cancel = false;
        if answer.is_ok() && self.cancelling.is_some() {
            self.read_reports();
            self.farewell(true);
        }
    }

    /// Answers what is left as cancelled. What was not cancelled is left for the next run to find.
    pub(super) fn farewell(&mut self, cancelled: bool) {
        for key in self.wanted.keys().copied().collect::<Vec<_>>() {
            self.answer_with(key, Ending::Cancelled);
        }
        for (tag, submission) in std::mem::take(&mut self.submissions) {
            if let Some(run) =
                submission.run.filter(|_| cancelled && !submission.adopted && matches!(submission.phase, Phase::Submitted { .. }))
            {
                // A line that can't be written costs a later run a question.
                let _ = run.note(&Entry::Cancelled { tag });
            }
        }
        (self.cancelling, self.cancelled) = (None, true);
    }

    /// What waits is answered as cancelled; what was submitted and has not begun follows.
    pub(super) fn begin_to_stop(&mut self) {
        for key in std::mem::take(&mut self.waiting) {
            self.answer_with(key, Ending::Cancelled);
        }
        self.stopping = true;
    }

    /// Cancels jobs that have not begun with any of their orders.
    pub(super) fn drop_unbegun(&mut self, now: Instant) {
        // What was lost since does not go again.
        for key in std::mem::take(&mut self.waiting) {
            self.answer_with(key, Ending::Cancelled);
        }
        if self.asks.cancel || now < self.next_drop {
            return;
        }
        let mut jobs: BTreeMap<JobId, Vec<usize>> = BTreeMap::new();
        let mut elements = Vec::new();
        let mut nowhere = Vec::new();
        for (tag, submission) in &self.submissions {
            if matches!(submission.phase, Phase::Uncertain { absent: true, .. }) {
                nowhere.extend(submission.elements.iter().flat_map(|element| element.open.iter().copied()));
            }
            // Jobs of a run that may live are its own; ours goes on without them.
            let Some(job) = submission.job.as_ref().filter(|_| submission.run.is_some()) else { continue };
            for (index, element) in submission.elements.iter().enumerate() {
                if !element.open.is_empty() && !element.dropped && !element.all.iter().any(|key| submission.begun.contains_key(key)) {
                    jobs.entry(job.clone()).or_default().push(index);
                    elements.push((tag.clone(), index));
                }
            }
        }
        nowhere.into_iter().for_each(|key| self.answer_with(key, Ending::Cancelled));
        if elements.is_empty() {
            return;
        }
        let jobs: Vec<(JobId, Elements)> = jobs.into_iter().map(|(job, indices)| (job, Elements::Some(indices))).collect();
        self.asks.cancel = self.ask(move |client| {
            let answer = client.cancel(&jobs);
            Answer::Dropped(elements, answer)
        });
    }

    pub(super) fn hear_dropped(&mut self, elements: &[(String, usize)], answer: Result<(), ClientError>) {
        self.asks.cancel = false;
        if let Err(error) = answer {
            self.next_drop = Instant::now() + self.trouble(error);
            return;
        }
        self.read_reports();
        for (tag, index) in elements {
            let Some(element) = self.submissions.get_mut(tag).and_then(|submission| submission.elements.get_mut(*index)) else { continue };
            element.dropped = true;
            for key in std::mem::take(&mut element.open) {
                self.answer_with(key, Ending::Cancelled);
            }
        }
    }
}
