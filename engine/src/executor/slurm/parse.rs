//! Reading what SLURM's commands print. Lines that are not understood are passed over: sites wrap these commands, and their plugins print what they like.

use super::client::{ClientError, Detail, ElementId, JobEnd, JobId, JobState, Limits, Seen};
use std::collections::BTreeMap;

/// What `squeue` is asked for. The reason comes last because it is free text.
pub(super) const QUEUE_FORMAT: &str = "%F|%K|%T|%N|%j|%k|%r";
/// What `sacct` is asked for.
pub(super) const ACCOUNTING_FORMAT: &str = "JobID,State,ExitCode";
/// The size of arrays that SLURM allows when it does not say otherwise.
const USUAL_ELEMENTS: usize = 1001;

/// The job's number from `sbatch --parsable`: `123` or `123;cluster`, after whatever else was printed.
pub(super) fn submitted(output: &str) -> Option<JobId> {
    output.lines().rev().find_map(|line| job_number(line.split(';').next()?.trim()))
}

fn job_number(text: &str) -> Option<JobId> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| JobId(text.to_owned()))
}

/// The jobs of a list that carry one of the tags.
pub(super) fn queue(output: &str, tags: &[String]) -> Vec<Seen> {
    let seen = |line: &str| {
        let mut fields = line.splitn(7, '|').map(str::trim);
        let (job, index) = (job_number(fields.next()?)?, fields.next()?.parse().ok()?);
        let (state, node, name, comment) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        // Either may have been changed by the site.
        let tag = tags.iter().find(|tag| *tag == name || *tag == comment)?;
        let state = state_of(state, fields.next().unwrap_or_default());
        Some(Seen { tag: tag.clone(), element: ElementId { job, index }, state, node: node.to_owned() })
    };
    output.lines().filter_map(seen).collect()
}

/// A state in SLURM's words. A word that is not known is that of a job that is still there: to wait is safe.
pub(super) fn state_of(word: &str, reason: &str) -> JobState {
    // `CANCELLED by 1000`, `CANCELLED+`
    let word = word.split([' ', '+']).next().unwrap_or_default();
    JobState::Ended(match word {
        "COMPLETED" => JobEnd::Completed,
        "FAILED" | "SPECIAL_EXIT" => JobEnd::Failed,
        "OUT_OF_MEMORY" => JobEnd::OutOfMemory,
        "TIMEOUT" | "DEADLINE" => JobEnd::TimedOut,
        "CANCELLED" | "REVOKED" => JobEnd::Cancelled,
        "NODE_FAIL" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => JobEnd::NodeFailed,
        "PREEMPTED" => JobEnd::Preempted,
        "RUNNING" | "COMPLETING" | "STAGE_OUT" | "SIGNALING" | "STOPPED" | "SUSPENDED" | "RESIZING" => return JobState::Running,
        _ => return JobState::Waiting(reason.to_owned()),
    })
}

/// `3:0` in words.
fn exit_words(code: &str) -> String {
    match code.split_once(':') {
        Some((_, signal)) if signal.parse::<u32>().is_ok_and(|signal| signal > 0) => format!("signal {signal}"),
        Some((code, _)) if code.parse::<u32>().is_ok() => format!("exit code {code}"),
        _ => String::new(),
    }
}

/// What `scontrol show job -o` says of the elements of an array.
pub(super) fn shown(output: &str) -> BTreeMap<ElementId, Detail> {
    let shown = |line: &str| {
        // The first of each key is SLURM's: later ones may stand in comments and paths.
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in line.split_whitespace().filter_map(|field| field.split_once('=')) {
            fields.entry(key).or_insert(value);
        }
        let job = job_number(fields.get("ArrayJobId")?)?;
        let index = fields.get("ArrayTaskId")?.parse().ok()?;
        let reason = fields.get("Reason").copied().unwrap_or_default();
        let state = state_of(fields.get("JobState")?, reason);
        Some((ElementId { job, index }, Detail { state, words: exit_words(fields.get("ExitCode").copied().unwrap_or_default()) }))
    };
    output.lines().filter_map(shown).collect()
}

/// What `sacct` says of jobs.
pub(super) fn accounted(output: &str) -> BTreeMap<ElementId, Detail> {
    let accounted = |line: &str| {
        let mut fields = line.split('|').map(str::trim);
        let (job, index) = fields.next()?.split_once('_')?;
        let element = ElementId { job: job_number(job)?, index: index.parse().ok()? };
        let state = fields.next()?;
        let by = state.strip_prefix("CANCELLED by ").map(|user| format!("cancelled by user {user}"));
        let words = by.unwrap_or_else(|| exit_words(fields.next().unwrap_or_default()));
        Some((element, Detail { state: state_of(state, ""), words }))
    };
    output.lines().filter_map(accounted).collect()
}

/// What `scontrol show config` allows.
pub(super) fn limits(output: &str) -> Limits {
    let value = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='))?;
        line.trim().parse::<usize>().ok()
    };
    // It is the first index that is not allowed.
    Limits { elements: value("MaxArraySize").filter(|size| *size > 0).unwrap_or(USUAL_ELEMENTS) }
}

/// Signs that a command failed because nobody answered, not because it was wrong.
const AWAY: &[&str] = &[
    "unable to contact slurm controller",
    "socket timed out",
    "connection refused",
    "connection reset",
    "connection timed out",
    "communication connection failure",
    "zero bytes were transmitted",
    "transport endpoint",
    "temporarily unable",
    "temporarily unavailable",
    "standby mode",
    "unexpected message received",
    "insane message length",
    "munge encode failed",
    "munge decode failed",
    "protocol authentication error",
    "unable to establish a configuration source",
    "message receive failure",
    "message send failure",
    "no route to host",
    "network is unreachable",
];
/// Signs that the user has as many jobs as the cluster lets him have.
const FULL: &[&str] = &["maxsubmitjob", "grpsubmitjob", "maxjobsperuser", "job count limit"];

/// What a command that failed means.
pub(super) fn failure(command: &str, said: &str) -> ClientError {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The last lines say what it was, the first ones how often it tried.
    let words = lines[lines.len().saturating_sub(3)..].join("; ");
    let words = if words.is_empty() { format!("`{command}` failed and said nothing") } else { words };
    let lower = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if has(FULL) {
        ClientError::Full(words)
    } else if has(AWAY) {
        ClientError::Away(words)
    } else {
        ClientError::Refused(words)
    }
}

/// Whether a query failed only because what it asked for is forgotten.
pub(super) fn is_forgotten(said: &str) -> bool {
    said.to_lowercase().contains("invalid job id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(job: &str, index: usize) -> ElementId {
        ElementId { job: JobId(job.into()), index }
    }

    #[test]
    fn the_number_of_a_job_is_found_after_whatever_a_site_prints() {
        assert_eq!(submitted("123\n"), Some(JobId("123".into())));
        assert_eq!(submitted("123;alps\n"), Some(JobId("123".into())));
        assert_eq!(submitted("Welcome! 3 nodes are down\nbudget: 12\n\n4567;x\n"), Some(JobId("4567".into())));
        assert_eq!(submitted("Submitted batch job 12\n"), None);
        assert_eq!(submitted("-1\n"), None);
        assert_eq!(submitted(""), None);
    }

    #[test]
    fn jobs_are_told_by_their_tag() {
        let output = "CLUSTER: x\n12|3|RUNNING|node7|nf-a|nf-a|None\n12|4|PENDING||nf-a|(null)|Resources\n12|5|TIMEOUT|n|renamed|nf-a|a|b\n\
                      13|N/A|RUNNING|n|mine|(null)|None\n14|1|RUNNING|n|nf-b|nf-b|None\n12|6-9%2|PENDING||nf-a|nf-a|x\ngarbage\n|||||||\n";
        let seen = queue(output, &["nf-a".to_owned()]);
        let states: Vec<_> = seen.iter().map(|seen| (seen.element.index, seen.state.clone())).collect();
        let expected = [(3, JobState::Running), (4, JobState::Waiting("Resources".into())), (5, JobState::Ended(JobEnd::TimedOut))];
        assert_eq!(states, expected);
        assert_eq!(seen[0].node, "node7");
    }

    #[test]
    fn the_end_of_a_job_is_told_with_its_exit_code() {
        let output = "JobId=4 ArrayJobId=2 ArrayTaskId=1 JobName=nf-a JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 Comment=JobState=COMPLETED ExitCode=0:0\n\
                      JobId=7 ArrayJobId=2 ArrayTaskId=4 JobState=FAILED Reason=JobLaunchFailure ExitCode=0:9\nJobId=2 ArrayJobId=2 ArrayTaskId=5-9%4 JobState=PENDING\n";
        let shown = shown(output);
        assert_eq!(shown[&element("2", 1)], Detail { state: JobState::Ended(JobEnd::Failed), words: "exit code 3".into() });
        assert_eq!(shown[&element("2", 4)].words, "signal 9");
        assert_eq!(shown.len(), 2);
        let accounted = accounted("2_1|CANCELLED by 1000|0:15\n2_[5-9]|PENDING|0:0\n3|FAILED|1:0\n2_2|OUT_OF_MEMORY|0:125|\n");
        assert_eq!(accounted[&element("2", 1)].words, "cancelled by user 1000");
        assert_eq!(accounted[&element("2", 2)].state, JobState::Ended(JobEnd::OutOfMemory));
        assert_eq!(accounted.len(), 2);
    }

    #[test]
    fn the_size_of_arrays_is_the_clusters() {
        assert_eq!(limits("Configuration data\nMaxArraySize            = 4001\nMaxJobCount = 1\n").elements, 4001);
        assert_eq!(limits("").elements, USUAL_ELEMENTS);
        assert_eq!(limits("MaxArraySize = 0").elements, USUAL_ELEMENTS);
    }

    #[test]
    fn what_is_away_is_not_what_is_refused() {
        let away = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)";
        assert!(matches!(failure("sbatch", away), ClientError::Away(_)));
        let refused = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified";
        assert!(matches!(failure("sbatch", refused), ClientError::Refused(words) if words.contains("invalid partition specified: nope")));
        let full =
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy";
        assert!(matches!(failure("sbatch", full), ClientError::Full(_)));
        assert!(matches!(failure("sbatch", " \n"), ClientError::Refused(words) if words.contains("said nothing")));
    }

    proptest! {
        #[test]
        fn no_output_is_a_panic(output in "(?s).{0,200}", tag in "[a-z|]{0,3}") {
            let _ = (submitted(&output), queue(&output, &[tag]), shown(&output), accounted(&output), limits(&output), failure("x", &output));
        }

        #[test]
        fn nearly_right_output_is_no_panic(lines in proptest::collection::vec("([0-9_%N/A\\[\\]-]{0,20}[|= ]){0,9}(RUNNING|CANCELLED by|JobState=|ArrayJobId=)?", 0..20)) {
            let output = lines.join("\n");
            let _ = (submitted(&output), queue(&output, &["nf".to_owned()]), shown(&output), accounted(&output), limits(&output));
        }

        #[test]
        fn what_squeue_prints_is_read_back(job in 1u64..1_000_000_000, index in 0usize..100_000, reason in "[A-Za-z ,()|]{0,30}") {
            let seen = queue(&format!("{job}|{index}|PENDING||nf-x|nf-x|{reason}"), &["nf-x".to_owned()]);
            prop_assert_eq!(seen.len(), 1);
            prop_assert_eq!(&seen[0].element, &element(&job.to_string(), index));
            prop_assert_eq!(&seen[0].state, &JobState::Waiting(reason.trim().to_owned()));
        }
    }
}
