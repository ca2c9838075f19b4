//! The job script of an array, and how it is submitted. No name that a person or a file gave reaches a shell unquoted.

use super::client::Array;
use super::settings::SlurmSettings;
use std::ffi::{OsStr, OsString};

/// The variable that holds the element's index on the node.
const INDEX: &str = "SLURM_ARRAY_TASK_ID";
/// Where logs are, below the array's folder.
pub(crate) const LOGS: &str = "logs";

/// The script that each element runs.
pub(super) fn script(array: &Array, setup: &str) -> Vec<u8> {
    // Modules and environments are made known by a login shell's profile; without them the plainest shell does.
    let shell: &str = if setup.trim().is_empty() { "#!/bin/sh" } else { "#!/bin/bash -l" };
    let mut script = format!("{shell}\n# neuroflow, array {}\nset -e\n", array.tag).into_bytes();
    if !setup.trim().is_empty() {
        script.extend_from_slice(setup.trim_end().as_bytes());
        script.push(b'\n');
    }
    script.extend_from_slice(b"exec");
    for word in &array.command {
        script.push(b' ');
        script.extend_from_slice(&quoted(word));
    }
    script.extend_from_slice(format!(" --index \"${INDEX}\"\n").as_bytes());
    script
}

/// A word that a shell reads as it is.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in word.as_encoded_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The arguments of `sbatch`; the script goes to its standard input.
pub(super) fn arguments(array: &Array, settings: &SlurmSettings) -> Vec<OsString> {
    let last = array.elements.saturating_sub(1);
    let mut chdir = OsString::from("--chdir=");
    chdir.push(&array.folder);
    let mut arguments: Vec<OsString> = vec![
        "--parsable".into(),
        format!("--array=0-{last}%{}", array.at_once.clamp(1, array.elements.max(1))).into(),
        format!("--job-name={}", array.tag).into(),
        format!("--comment={}", array.tag).into(),
        "--export=NONE".into(),
        "--requeue".into(),
        "--open-mode=append".into(),
        chdir,
        // Relative to the folder, because SLURM reads signs into the name of a log.
        format!("--output={LOGS}/%a.log").into(),
        "--nodes=1".into(),
        "--ntasks=1".into(),
        format!("--cpus-per-task={}", array.needs.cores.max(1)).into(),
    ];
    if let Some(memory) = array.needs.memory {
        arguments.push(format!("--mem={}M", memory.div_ceil(1 << 20).max(1)).into());
    }
    if let Some(time) = array.needs.time {
        arguments.push(format!("--time={}", time.as_secs().div_ceil(60).max(1)).into());
    }
    for (name, value) in [("partition", &settings.partition), ("account", &settings.account), ("qos", &settings.qos)] {
        if let Some(value) = value {
            arguments.push(format!("--{name}={value}").into());
        }
    }
    arguments.extend(settings.extra.iter().map(OsString::from));
    if array.needs.gpu {
        arguments.extend(settings.gpu.iter().map(OsString::from));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::slurm::client::Needs;
    use std::time::Duration;

    fn array(folder: &str) -> Array {
        Array {
            tag: "nf-0123".into(),
            elements: 40,
            at_once: 8,
            needs: Needs { cores: 2, memory: Some((1 << 30) + 1), time: Some(Duration::from_secs(61)), gpu: true },
            folder: folder.into(),
            command: vec!["/opt/my tools/neuroflow".into(), "worker".into(), format!("{folder}/it's $(touch PWNED);`x`\n").into()],
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_step_needs() {
        let settings = SlurmSettings { partition: Some("cpu".into()), extra: vec!["--constraint=a b".into()], ..SlurmSettings::default() };
        let arguments = arguments(&array("/data/x %j"), &settings);
        for expected in [
            "--array=0-39%8",
            "--mem=1025M",
            "--time=2",
            "--cpus-per-task=2",
            "--gres=gpu:1",
            "--partition=cpu",
            "--constraint=a b",
            "--export=NONE",
            "--chdir=/data/x %j",
            "--output=logs/%a.log",
        ] {
            assert!(arguments.iter().any(|argument| argument == expected), "{expected} is not in {arguments:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn hostile_names_are_words_to_the_shell() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let folder = tempfile::tempdir().unwrap();
        let mut array = array("/data");
        let hostile = array.command.pop().unwrap();
        array.command = vec!["printf".into(), "%s|".into(), hostile.clone()];
        let mut child =
            Command::new("sh").env(INDEX, "7").current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&script(&array, "")).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}|--index|7|", hostile.to_str().unwrap()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn set_up_lines_come_first_in_a_login_shell() {
        let text = String::from_utf8(script(&array("/d"), "module load gcc\nmodule load cuda\n")).unwrap();
        assert!(text.starts_with("#!/bin/bash -l\n"), "{text}");
        assert!(text.find("module load cuda\nexec '/opt/my tools/neuroflow'").is_some(), "{text}");
    }
}
