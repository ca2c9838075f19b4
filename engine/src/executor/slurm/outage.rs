//! A scheduler that does not answer: it is asked again with pauses, a person is told once, and only after long is anything given up.

use super::client::ClientError;
use super::keeper::Keeper;
use crate::outcome::Ending;
use neuroflow_stage::{Dimension, Quantity};
use std::time::{Duration, Instant};

/// How long nothing more is said about a scheduler that does not answer.
const QUIET_ABOUT_AWAY: Duration = Duration::from_secs(600);

impl Keeper {
    /// What the scheduler's silence means, and how long to wait before the next question.
    pub(super) fn trouble(&mut self, error: ClientError) -> Duration {
        let now = Instant::now();
        match error {
            ClientError::Full(words) => {
                self.remark(format!("{} takes no more jobs for now, the run goes on when it does: {words}", self.client.name()));
                self.pace.retry
            }
            ClientError::Refused(words) => {
                // A question that is refused will be refused again.
                self.waiting.clear();
                for key in self.wanted.keys().copied().collect::<Vec<_>>() {
                    self.answer_with(key, Ending::World(format!("{}: {words}", self.client.name())));
                }
                // Their jobs may be there still: not noted as ended.
                self.submissions.clear();
                self.pace.retry
            }
            ClientError::Away(words) => {
                let since = self.away.as_ref().map_or(now, |(since, _)| *since);
                // One that comes and goes is told once.
                if self.told_away.is_none_or(|at| now.duration_since(at) > QUIET_ABOUT_AWAY) {
                    let text = format!("{} does not answer; its jobs go on, and it is asked again and again: {words}", self.client.name());
                    self.told.remove(&text);
                    self.remark(text);
                    self.told_away = Some(now);
                }
                self.away = Some((since, words));
                // As long again as it has been away already, within limits.
                now.duration_since(since).clamp(self.pace.retry, self.pace.most_retry)
            }
        }
    }

    pub(super) fn is_back(&mut self) {
        if self.away.take().is_some() {
            let now = Instant::now();
            (self.next_limits, self.next_jobs, self.next_details) = (now, self.next_jobs.min(now + self.pace.poll), now);
        }
    }

    /// Answers everything when the scheduler has been away for too long.
    pub(super) fn give_up(&mut self, now: Instant) {
        let Some((_, words)) = self.away.as_ref().filter(|(since, _)| now.duration_since(*since) > self.settings.outage) else { return };
        let time = Quantity { value: self.settings.outage.as_secs_f64(), dimension: Dimension::Time };
        let text =
            format!("{} has not answered for {time}: {words}; its jobs go on, and the next run takes what they give", self.client.name());
        self.waiting.clear();
        for key in self.wanted.keys().copied().collect::<Vec<_>>() {
            self.answer_with(key, Ending::World(text.clone()));
        }
        // Its jobs may be there still: not noted as ended.
        self.submissions.clear();
        self.away = None;
    }
}
