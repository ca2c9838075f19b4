//! What a profile says about a cluster: `[profiles.NAME] kind = "slurm"` in `neuroflow.toml`.

use neuroflow_stage::{Dimension, Quantity};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// What becomes of jobs when the run is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInterrupt {
    /// They are cancelled.
    #[default]
    Cancel,
    /// They go on; the next run of the same pipeline waits for them.
    Leave,
}

/// How a SLURM cluster is used. Read from a table whose texts carry units, such as `time = "90 min"`; what is wrong with it is told in words.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct SlurmSettings {
    /// The partition; none for the cluster's own choice.
    pub partition: Option<String>,
    /// The account that is charged.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// Further options of `sbatch`.
    pub extra: Vec<String>,
    /// Options of `sbatch` for steps that want a GPU.
    pub gpu: Vec<String>,
    /// Shell lines that each job begins with, such as `module load …`.
    pub setup: String,
    /// The program on the nodes; none for the one that runs here.
    pub program: Option<PathBuf>,
    /// Jobs (elements of job arrays) that may be queued or running at once.
    pub max_jobs: usize,
    /// Jobs of one array that may run at once; none for as many as the cluster runs.
    pub max_running: Option<usize>,
    /// The time that a job may take when its step does not say.
    pub time: Option<Duration>,
    /// Bytes of memory a core when a step does not say.
    pub memory_per_core: Option<u64>,
    /// Short tasks are put together until they take about as long as this.
    pub batch: Duration,
    /// How long the cluster may be out of reach before the run gives up.
    pub outage: Duration,
    /// How often a task that was lost with its node is submitted again.
    pub resubmit: u32,
    /// How long a report may take to be seen here after its job has ended, as shared disks have it.
    pub report_wait: Duration,
    /// What becomes of jobs when the run is interrupted.
    pub on_interrupt: OnInterrupt,
}

impl Default for SlurmSettings {
    fn default() -> SlurmSettings {
        SlurmSettings {
            partition: None,
            account: None,
            qos: None,
            extra: Vec::new(),
            gpu: vec!["--gres=gpu:1".into()],
            setup: String::new(),
            program: None,
            max_jobs: 500,
            max_running: None,
            time: None,
            memory_per_core: None,
            batch: Duration::from_secs(60),
            outage: Duration::from_secs(3600),
            resubmit: 3,
            report_wait: Duration::from_secs(5),
            on_interrupt: OnInterrupt::Cancel,
        }
    }
}

/// The table as a person writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    partition: Option<String>,
    account: Option<String>,
    qos: Option<String>,
    extra: Vec<String>,
    gpu: Option<Vec<String>>,
    setup: String,
    program: Option<PathBuf>,
    max_jobs: Option<usize>,
    max_running: Option<usize>,
    time: Option<String>,
    memory_per_core: Option<String>,
    batch: Option<String>,
    outage: Option<String>,
    resubmit: Option<u32>,
    report_wait: Option<String>,
    on_interrupt: OnInterrupt,
}

/// Options of `sbatch` that neuroflow itself sets, long and short.
const OURS: &[(&str, &str)] = &[
    ("array", "a"),
    ("chdir", "D"),
    ("comment", ""),
    ("error", "e"),
    ("export", ""),
    ("export-file", ""),
    ("input", "i"),
    ("job-name", "J"),
    ("output", "o"),
    ("parsable", ""),
    ("requeue", ""),
    ("no-requeue", ""),
    ("test-only", ""),
    ("wait", "W"),
    ("wrap", ""),
    ("help", "h"),
    ("usage", ""),
    ("version", "V"),
];
/// Options of `sbatch` that have a key of their own here.
const KEYS: &[(&str, &str, &str)] = &[
    ("partition", "p", "partition"),
    ("account", "A", "account"),
    ("qos", "q", "qos"),
    ("time", "t", "time"),
    ("mem-per-cpu", "", "memory_per_core"),
];
/// Options of `sbatch` that steps decide.
const STEPS: &[(&str, &str)] = &[("mem", ""), ("cpus-per-task", "c"), ("ntasks", "n"), ("nodes", "N")];

impl TryFrom<Written> for SlurmSettings {
    type Error = String;

    fn try_from(written: Written) -> Result<SlurmSettings, String> {
        let usual = SlurmSettings::default();
        for (key, value) in [("partition", &written.partition), ("account", &written.account), ("qos", &written.qos)] {
            if value.as_ref().is_some_and(|value| value.is_empty() || value.chars().any(|c| c.is_whitespace() || c.is_control())) {
                return Err(format!("`{key}` is one word"));
            }
        }
        let gpu = written.gpu.unwrap_or(usual.gpu);
        written.extra.iter().chain(&gpu).try_for_each(|option| check_option(option))?;
        if written.setup.contains('\0') {
            return Err("`setup` holds a character that no shell reads".into());
        }
        let max_jobs = written.max_jobs.unwrap_or(usual.max_jobs);
        if max_jobs == 0 || written.max_running == Some(0) {
            return Err("`max_jobs` and `max_running` are at least 1".into());
        }
        let time = written.time.as_deref().map(|text| duration("time", text)).transpose()?;
        if time.is_some_and(|time| time < Duration::from_secs(60)) {
            return Err("`time` is at least `1 min`: SLURM counts in minutes".into());
        }
        let or = |key: &str, text: Option<String>, usual: Duration| text.map_or(Ok(usual), |text| duration(key, &text));
        Ok(SlurmSettings {
            partition: written.partition,
            account: written.account,
            qos: written.qos,
            extra: written.extra,
            gpu,
            setup: written.setup,
            program: written.program,
            max_jobs,
            max_running: written.max_running,
            time,
            memory_per_core: written.memory_per_core.as_deref().map(memory).transpose()?,
            batch: or("batch", written.batch, usual.batch)?,
            outage: or("outage", written.outage, usual.outage)?,
            resubmit: written.resubmit.unwrap_or(usual.resubmit),
            report_wait: or("report_wait", written.report_wait, usual.report_wait)?,
            on_interrupt: written.on_interrupt,
        })
    }
}

fn check_option(option: &str) -> Result<(), String> {
    let is_long = option.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest));
    let is_short = option.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| rest.get(..1));
    let is = |long: &str, short: &str| is_long == Some(long) || !short.is_empty() && is_short == Some(short);
    if is_long.or(is_short).is_none_or(str::is_empty) || option.contains('\0') {
        return Err(format!("`{option}` is no option of sbatch: write it as one text, like \"--constraint=avx2\""));
    }
    if OURS.iter().any(|(long, short)| is(long, short)) {
        return Err(format!("`{option}` can't be set: neuroflow sets it for each job"));
    }
    if let Some((_, _, key)) = KEYS.iter().find(|(long, short, _)| is(long, short)) {
        return Err(format!("`{option}` can't be among other options: write `{key} = …` instead"));
    }
    if STEPS.iter().any(|(long, short)| is(long, short)) {
        return Err(format!("`{option}` can't be set for all jobs: steps say `with cores = …, memory = …`"));
    }
    Ok(())
}

fn duration(key: &str, text: &str) -> Result<Duration, String> {
    let seconds = Quantity::read(text).filter(|quantity| quantity.dimension == Dimension::Time).map(|quantity| quantity.value);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= Duration::from_secs(400 * 86400))
        .ok_or_else(|| format!("`{key} = \"{text}\"` is no duration: write a number and a unit, like \"90 min\", \"2 h\" or \"3 d\""))
}

fn memory(text: &str) -> Result<u64, String> {
    let bytes = Quantity::read(text).filter(|quantity| quantity.dimension == Dimension::Memory).map(|quantity| quantity.value);
    bytes
        .filter(|bytes| (1048576.0..1e18).contains(bytes))
        .map(|bytes| bytes as u64)
        .ok_or_else(|| format!("`memory_per_core = \"{text}\"` is no amount of memory of at least a mebibyte: write it like \"4 GiB\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SlurmSettings, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_profile_is_read_with_its_units() {
        let settings = read(
            "partition = \"cpu\"\naccount = \"lab\"\nextra = [\"--constraint=avx2\", \"-w\", \"--nice=10\"]\ntime = \"1h\"\nmemory_per_core = \"2 GiB\"\n\
             max_jobs = 40\nsetup = \"module load gcc\"\nbatch = \"30 s\"\non_interrupt = \"leave\"\n",
        )
        .unwrap();
        assert_eq!(settings.time, Some(Duration::from_secs(3600)));
        assert_eq!(settings.memory_per_core, Some(2 << 30));
        assert_eq!((settings.max_jobs, settings.on_interrupt), (40, OnInterrupt::Leave));
        assert_eq!(read("").unwrap(), SlurmSettings::default());
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        let wrong = |text: &str| read(text).unwrap_err();
        assert!(wrong("partitoin = \"cpu\"").contains("unknown field `partitoin`"), "{}", wrong("partitoin = \"cpu\""));
        assert!(wrong("time = \"soon\"").contains("`time = \"soon\"` is no duration"));
        assert!(wrong("time = \"10 s\"").contains("at least `1 min`"));
        assert!(wrong("time = \"1e3 h\"").contains("no duration"));
        assert!(wrong("memory_per_core = \"4 Hz\"").contains("no amount of memory"));
        assert!(wrong("extra = [\"constraint\"]").contains("is no option of sbatch"));
        assert!(wrong("extra = [\"--array=0-9\"]").contains("neuroflow sets it"));
        assert!(wrong("extra = [\"-Wx\"]").contains("neuroflow sets it"));
        assert!(wrong("extra = [\"--partition=x\"]").contains("write `partition = …` instead"));
        assert!(wrong("extra = [\"--mem=4G\"]").contains("steps say"));
        assert!(wrong("gpu = [\"--\"]").contains("is no option of sbatch"));
        assert!(wrong("max_jobs = 0").contains("are at least 1"));
        assert!(wrong("account = \"two words\"").contains("is one word"));
    }
}
