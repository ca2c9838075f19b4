//! What becomes of an order whose job ended without a report: a pure decision from how the job ended.

use super::client::JobEnd;
use crate::executor::Order;
use crate::outcome::Ending;

/// What is known of a job that ended without reporting all of its orders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death<'a> {
    /// How it ended; none when nobody remembers it.
    pub(super) end: Option<JobEnd>,
    /// In the scheduler's words; may be empty.
    pub(super) words: &'a str,
    /// What it printed at last.
    pub(super) log: &'a str,
    /// What it is called: `job 12_3 of SLURM`.
    pub(super) job: &'a str,
    /// Whether any order of it had begun.
    pub(super) any_begun: bool,
    /// The seconds that it might take, when they were set.
    pub(super) time: Option<f64>,
    /// The bytes of memory that it might hold, when they were set.
    pub(super) memory: Option<u64>,
    /// Whether another run submitted it.
    pub(super) adopted: bool,
}

/// What becomes of an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It is answered.
    Answer(Ending),
    /// It is submitted again.
    Again {
        /// Whether this counts as one of the times that it may be lost.
        counted: bool,
        /// Whether it must not share a job with others this time.
        alone: bool,
        /// Why, when it was lost for the last time.
        reason: String,
    },
}

/// Signs in a job's log that it held more memory than it might.
const OUT_OF_MEMORY: &[&str] =
    &["exceeded memory limit", "exceeded job memory limit", "oom-kill", "oom_kill", "out-of-memory handler", "out of memory"];

/// Decides about one unreported order; `begun` says whether the job had begun with it, `alone` whether the job had no other.
pub(super) fn fate(death: &Death<'_>, order: &Order, begun: bool, alone: bool) -> Fate {
    let again = |counted, alone, what: &str| Fate::Again { counted, alone, reason: format!("{} {what}", death.job) };
    let log = death.log.to_lowercase();
    let end = match death.end {
        Some(JobEnd::Failed | JobEnd::Cancelled) if OUT_OF_MEMORY.iter().any(|sign| log.contains(sign)) => Some(JobEnd::OutOfMemory),
        // Seen as cancelled for a moment, before it is known why.
        Some(JobEnd::Cancelled) if log.contains("due to preemption") => Some(JobEnd::Preempted),
        Some(JobEnd::Cancelled) if log.contains("due to node failure") => Some(JobEnd::NodeFailed),
        Some(JobEnd::Cancelled) if log.contains("due to time limit") => Some(JobEnd::TimedOut),
        end => end,
    };
    // What another run submitted may have been ended by its owner. Our own try is not yet spent.
    if death.adopted {
        return again(false, false, "was submitted by another run and gave no report");
    }
    // Others of the same job had begun and are to blame; this one was only in their company.
    let bystander = !begun && death.any_begun;
    let help = || {
        Some("see whether the nodes find the program and the cache at the same paths as this machine; `setup` and `program` of the profile help".into())
    };
    match end {
        Some(JobEnd::Completed) => again(true, false, "ended well but gave no report here: is the cache on a disk that all nodes share?"),
        Some(JobEnd::NodeFailed) => again(!bystander, false, "was lost because its node failed"),
        Some(JobEnd::Preempted) => again(!bystander, false, "had to make room for another"),
        None => again(!bystander, false, "is gone, and nobody remembers how it ended"),
        Some(JobEnd::Cancelled) => {
            let by = if death.words.starts_with("cancelled by") {
                format!("was {}", death.words)
            } else {
                "was cancelled from outside of this run".into()
            };
            Fate::Answer(Ending::Refused {
                message: format!("{} {by}", death.job),
                help: Some("run again to submit it again".into()),
                again: false,
            })
        }
        _ if bystander => again(false, false, "ended before it began with this task"),
        Some(JobEnd::OutOfMemory) if begun => Fate::Answer(Ending::OutOfMemory { limit: order.memory.or(death.memory), peak: None }),
        Some(JobEnd::TimedOut) if begun && alone => Fate::Answer(Ending::TimedOut { limit: order.time.or(death.time).unwrap_or_default() }),
        // The job's time was over, not necessarily the task's.
        Some(JobEnd::TimedOut) if begun => again(true, true, "ran out of time with several tasks"),
        Some(JobEnd::TimedOut | JobEnd::OutOfMemory | JobEnd::Failed) if !begun => Fate::Answer(Ending::Refused {
            message: format!("{} {} before its task began{}", death.job, ended(end, death.words), printed(death.log)),
            help: help(),
            again: false,
        }),
        _ => Fate::Answer(Ending::Lost(format!("{} {} while it worked on it{}", death.job, ended(end, death.words), printed(death.log)))),
    }
}

fn ended(end: Option<JobEnd>, words: &str) -> String {
    match end {
        Some(JobEnd::TimedOut) => "ran out of time".into(),
        Some(JobEnd::OutOfMemory) => "ran out of memory".into(),
        _ if words.is_empty() => "failed".into(),
        _ => format!("failed with {words}"),
    }
}

fn printed(log: &str) -> String {
    if log.is_empty() { "; it printed nothing".into() } else { format!("; it printed at last:\n    {}", log.replace('\n', "\n    ")) }
}

#[cfg(test)]
mod tests {
    use super::super::fake::order;
    use super::*;

    const DEATH: Death<'static> = Death {
        end: None,
        words: "",
        log: "",
        job: "job 12_3 of SLURM",
        any_begun: true,
        time: Some(3600.0),
        memory: Some(1 << 30),
        adopted: false,
    };

    fn of(end: JobEnd) -> Death<'static> {
        Death { end: Some(end), ..DEATH }
    }

    fn answer(death: &Death<'_>, begun: bool) -> Ending {
        match fate(death, &order(1), begun, true) {
            Fate::Answer(ending) => ending,
            again => panic!("{again:?}"),
        }
    }

    fn again(death: &Death<'_>, begun: bool, alone: bool) -> (bool, bool) {
        match fate(death, &order(1), begun, alone) {
            Fate::Again { counted, alone, .. } => (counted, alone),
            Fate::Answer(ending) => panic!("{ending:?}"),
        }
    }

    #[test]
    fn the_one_that_ran_is_to_blame_and_the_others_go_again_uncounted() {
        assert_eq!(answer(&of(JobEnd::OutOfMemory), true), Ending::OutOfMemory { limit: Some(1 << 30), peak: None });
        assert_eq!(again(&of(JobEnd::OutOfMemory), false, false), (false, false));
        assert_eq!(answer(&of(JobEnd::TimedOut), true), Ending::TimedOut { limit: 3600.0 });
        assert_eq!(again(&of(JobEnd::TimedOut), true, false), (true, true), "it gets a job of its own");
        assert_eq!(again(&of(JobEnd::NodeFailed), true, true), (true, false));
        assert_eq!(again(&of(JobEnd::NodeFailed), false, false), (false, false));
        assert_eq!(again(&of(JobEnd::Preempted), true, true), (true, false));
        assert_eq!(again(&of(JobEnd::Failed), false, false), (false, false));
        assert_eq!(again(&DEATH, true, true), (true, false));
        assert_eq!(again(&of(JobEnd::Completed), false, false), (true, false), "a job that never reports is not tried for ever");
    }

    #[test]
    fn a_job_that_fails_before_it_begins_says_what_to_look_at() {
        let death = Death { any_begun: false, words: "exit code 127", log: "neuroflow: not found", ..of(JobEnd::Failed) };
        let Ending::Refused { message, help, again } = answer(&death, false) else { panic!() };
        assert_eq!(
            message,
            "job 12_3 of SLURM failed with exit code 127 before its task began; it printed at last:\n    neuroflow: not found"
        );
        assert!(help.unwrap().contains("same paths") && !again);
    }

    #[test]
    fn a_cancelled_job_names_who_did_it() {
        let Ending::Refused { message, .. } = answer(&Death { words: "cancelled by user 1000", ..of(JobEnd::Cancelled) }, true) else {
            panic!()
        };
        assert_eq!(message, "job 12_3 of SLURM was cancelled by user 1000");
        let Ending::Refused { message, .. } = answer(&Death { words: "signal 15", ..of(JobEnd::Cancelled) }, false) else { panic!() };
        assert_eq!(message, "job 12_3 of SLURM was cancelled from outside of this run");
        let preempted =
            Death { log: "slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-25 DUE TO PREEMPTION ***", ..of(JobEnd::Cancelled) };
        assert_eq!(again(&preempted, true, true), (true, false));
        assert_eq!(again(&Death { adopted: true, ..of(JobEnd::Cancelled) }, true, true), (false, false));
    }

    #[test]
    fn a_log_tells_of_memory_where_the_state_does_not() {
        let death =
            Death { log: "slurmstepd: error: StepId=7.batch exceeded memory limit (329 > 104), being killed", ..of(JobEnd::Failed) };
        assert!(matches!(answer(&death, true), Ending::OutOfMemory { .. }));
        let death = Death { words: "signal 11", log: "so far", ..of(JobEnd::Failed) };
        assert_eq!(
            answer(&death, true),
            Ending::Lost("job 12_3 of SLURM failed with signal 11 while it worked on it; it printed at last:\n    so far".into())
        );
    }
}
