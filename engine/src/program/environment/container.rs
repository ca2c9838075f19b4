//! Images of containers, run by Apptainer or Podman.

use super::EnvironmentKind;
use super::build::program;
use crate::program::job::{Allowed, Job};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Labels of a container: the scratch folder of the process that started it, and the step's own folder in there.
const BY_PROCESS: &str = "neuroflow.process";
const BY_STEP: &str = "neuroflow.step";
/// A file in the scratch folder of a process that has started containers: the tool that knows of them.
const KEEPER: &str = "containers";
/// Tools that know of containers even when the command that started one was killed.
const KEEPERS: [&str; 2] = ["podman", "docker"];

/// What runs images here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Runtime {
    /// Apptainer, or Singularity before its new name.
    Apptainer(PathBuf),
    /// Podman, or Docker, which takes the same words.
    Podman(PathBuf),
}

/// How a command is run in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::program) struct Container {
    runtime: Runtime,
    /// The image's file for Apptainer, its reference for Podman.
    image: OsString,
}

impl Runtime {
    /// What is installed; what to install when nothing is.
    pub(super) fn find(kind: EnvironmentKind) -> Result<Runtime, String> {
        let apptainer = ["apptainer", "singularity"].iter().find_map(|name| program(name)).map(Runtime::Apptainer);
        match kind {
            EnvironmentKind::ImageFile => apptainer.ok_or_else(|| "install Apptainer, and see that `apptainer` is on PATH".into()),
            _ => apptainer
                .or_else(|| KEEPERS.iter().find_map(|name| program(name)).map(Runtime::Podman))
                .ok_or_else(|| "install Apptainer or Podman, and see that `apptainer` or `podman` is on PATH".into()),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Runtime::Apptainer(_) => "apptainer",
            Runtime::Podman(_) => "podman",
        }
    }

    /// The command that fetches an image; none when there is nothing to fetch.
    pub(super) fn fetch(&self, reference: &str) -> Option<Vec<OsString>> {
        let bare = reference.strip_prefix("docker://")?;
        let words = |program: &Path, words: [&str; 3]| {
            std::iter::once(program.into()).chain(words.iter().filter(|word| !word.is_empty()).map(OsString::from)).collect()
        };
        Some(match self {
            Runtime::Apptainer(program) => words(program, ["pull", "image.sif", reference]),
            Runtime::Podman(program) => words(program, ["pull", bare, ""]),
        })
    }

    /// Whether an image is among those that a tool keeps, so that nothing need be fetched: also where there is no network. Its name ends in its digest,
    /// so it is the one that is meant.
    pub(super) fn has(&self, reference: &str) -> bool {
        let Runtime::Podman(program) = self else { return false };
        let bare = reference.strip_prefix("docker://").unwrap_or(reference);
        let mut question = Command::new(program);
        question.args(["image", "inspect", bare]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        question.status().is_ok_and(|status| status.success())
    }

    pub(super) fn container(&self, reference: &str, file: &Path) -> Container {
        let image = match self {
            Runtime::Apptainer(_) => file.into(),
            Runtime::Podman(_) => reference.strip_prefix("docker://").unwrap_or(reference).into(),
        };
        Container { runtime: self.clone(), image }
    }
}

impl Container {
    /// Puts a job into the image. It sees the image, its own folder, and what it declared to read.
    pub(in crate::program) fn enclose(&self, mut job: Job, allowed: &Allowed) -> Job {
        let mut line: Vec<OsString> = Vec::new();
        let mut push = |words: &[&dyn AsRef<std::ffi::OsStr>]| line.extend(words.iter().map(|word| word.as_ref().to_owned()));
        let bound = |path: &OsString, ending: &str| {
            let mut bound = path.clone();
            bound.push(":");
            bound.push(path);
            bound.push(ending);
            bound
        };
        // The image has its own programs; where they are, it knows itself.
        let variables: Vec<(String, OsString)> =
            std::mem::take(&mut job.variables).into_iter().filter(|(name, _)| name != "PATH").collect();
        let mut own: Vec<(String, OsString)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        match &self.runtime {
            Runtime::Apptainer(program) => {
                push(&[
                    program,
                    &"exec",
                    &"--containall",
                    &"--no-home",
                    &"--cleanenv",
                    &"--pwd",
                    &job.folder,
                    &"--bind",
                    &bound(&job.folder, ""),
                ]);
                for path in &allowed.reads {
                    push(&[&"--bind", &bound(path, ":ro")]);
                }
                if allowed.gpu {
                    push(&[&"--nv"]);
                }
                push(&[&self.image]);
                own.extend(variables.iter().map(|(name, value)| (format!("APPTAINERENV_{name}"), value.clone())));
            }
            Runtime::Podman(program) => {
                push(&[
                    program,
                    &"run",
                    &"--rm",
                    &"--read-only",
                    &"--tmpfs",
                    &"/tmp",
                    &"--network",
                    &if allowed.network { "host" } else { "none" },
                ]);
                push(&[&"--label", &format!("{BY_PROCESS}={}", scratch_of(&job.mark)), &"--label", &by_step(&job.folder)]);
                push(&[&"--volume", &bound(&job.folder, ""), &"--workdir", &job.folder]);
                for path in &allowed.reads {
                    push(&[&"--volume", &bound(path, ":ro")]);
                }
                for (name, value) in &variables {
                    let mut variable = OsString::from(format!("{name}="));
                    variable.push(value);
                    push(&[&"--env", &variable]);
                }
                push(&[&"--entrypoint", &"", &self.image]);
            }
        }
        // The mark is also in the environment of the tool itself.
        own.extend(variables.iter().filter(|(name, _)| name == crate::program::MARK).cloned());
        line.extend(std::mem::take(&mut job.command));
        job.command = line;
        job.variables = own;
        job
    }

    /// Notes in the scratch folder of this process who knows of its containers, for the process that cleans up should this one be killed.
    pub(in crate::program) fn noted(&self, job: &Job) {
        if let Runtime::Podman(program) = &self.runtime {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            // Without the note a container of a killed run stays on the tool's list; the run itself needs nothing of it.
            let _ = std::fs::write(Path::new(scratch_of(&job.mark)).join(KEEPER), name.as_bytes());
        }
    }

    /// Ends and removes the container of a job that was stopped: the command that started it is dead, but a tool with a service of its own goes on,
    /// and one without keeps a dead container on its list.
    pub(in crate::program) fn remove(&self, job: &Job) {
        if let Runtime::Podman(program) = &self.runtime {
            remove_labelled(program, &by_step(&job.folder));
        }
    }

    /// What is recorded about it.
    pub(in crate::program) fn described(&self, network: bool) -> serde_json::Value {
        // Apptainer gives a network of its own only to administrators.
        let refused = !network && matches!(self.runtime, Runtime::Podman(_));
        serde_json::json!({ "kind": self.runtime.name(), "network": if refused { "refused" } else { "allowed" } })
    }
}

/// Ends and removes the containers of a process that was killed; `scratch` is the folder that it left.
pub(in crate::program) fn remove_left(scratch: &Path) {
    let Ok(keeper) = std::fs::read_to_string(scratch.join(KEEPER)) else { return };
    if let Some(program) = KEEPERS.iter().find(|name| **name == keeper).and_then(|name| program(name)) {
        remove_labelled(&program, &format!("{BY_PROCESS}={}", scratch.display()));
    }
}

fn remove_labelled(program: &Path, label: &str) {
    let listed = Command::new(program)
        .args(["ps", "--all", "--quiet", "--no-trunc", "--filter", &format!("label={label}")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(listed) = listed else { return };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = listed.split_whitespace().collect();
    if !names.is_empty() {
        let removal = Command::new(program)
            .args(["rm", "--force"])
            .args(names)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        // What can't be removed is on the tool's own list for whoever looks there.
        let _ = removal;
    }
}

fn by_step(folder: &OsString) -> String {
    format!("{BY_STEP}={}", Path::new(folder).display())
}

/// The scratch folder of a process, which is the value of its mark.
fn scratch_of(mark: &str) -> &str {
    mark.split_once('=').map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enclosed(runtime: Runtime, network: bool) -> Job {
        let container = runtime.container(&format!("docker://example.org/x@sha256:{}", "a".repeat(64)), Path::new("/cache/image.sif"));
        let job = Job {
            command: vec!["sh".into(), "-c".into(), "true".into()],
            folder: "/cache/scratch/1".into(),
            variables: vec![("PATH".into(), "/usr/bin".into()), ("HOME".into(), "/cache/scratch/1".into())],
            landlock: None,
            time: None,
            memory: None,
            processes: 1,
            mark: format!("{}=/cache/scratch", crate::program::MARK),
            printed: None,
        };
        container.enclose(job, &Allowed { reads: vec!["/atlas".into()], network, gpu: false })
    }

    fn line(job: &Job) -> String {
        job.command.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_image_sees_the_folder_and_what_is_declared() {
        let job = enclosed(Runtime::Apptainer("apptainer".into()), false);
        assert_eq!(
            line(&job),
            "apptainer exec --containall --no-home --cleanenv --pwd /cache/scratch/1 --bind /cache/scratch/1:/cache/scratch/1 \
             --bind /atlas:/atlas:ro /cache/image.sif sh -c true"
        );
        assert!(job.variables.contains(&("APPTAINERENV_HOME".into(), "/cache/scratch/1".into())));
        assert!(!job.variables.iter().any(|(name, _)| name == "APPTAINERENV_PATH"));
        let job = line(&enclosed(Runtime::Podman("podman".into()), false));
        assert!(
            job.contains("--network none") && job.contains("--volume /atlas:/atlas:ro") && job.contains("--env HOME=/cache/scratch/1"),
            "{job}"
        );
        assert!(job.contains("--label neuroflow.process=/cache/scratch --label neuroflow.step=/cache/scratch/1"), "{job}");
        assert!(job.ends_with(&format!("--entrypoint  example.org/x@sha256:{} sh -c true", "a".repeat(64))), "{job}");
        assert!(line(&enclosed(Runtime::Podman("podman".into()), true)).contains("--network host"));
    }
    /// A tool that lists one container, and writes down what it is asked.
    #[cfg(unix)]
    fn tool(folder: &Path, name: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        let script = "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/asked\"\nif [ \"$1\" = ps ]; then echo 0123abcd; fi\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    #[cfg(unix)]
    fn the_container_of_a_stopped_step_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::Podman(tool(folder.path(), "podman"));
        let container = runtime.container("docker://example.org/x", Path::new(""));
        let mut job = enclosed(Runtime::Apptainer("apptainer".into()), false);
        job.mark = format!("{}={}", crate::program::MARK, folder.path().display());
        container.noted(&job);
        assert_eq!(std::fs::read_to_string(folder.path().join(KEEPER)).unwrap(), "podman");
        container.remove(&job);
        assert_eq!(
            std::fs::read_to_string(folder.path().join("asked")).unwrap(),
            "ps --all --quiet --no-trunc --filter label=neuroflow.step=/cache/scratch/1\nrm --force 0123abcd\n"
        );
    }

    #[test]
    fn only_tools_that_are_known_are_asked_about_what_a_killed_process_left() {
        let folder = tempfile::tempdir().unwrap();
        remove_left(folder.path());
        std::fs::write(folder.path().join(KEEPER), "./asked").unwrap();
        remove_left(folder.path());
    }
}
