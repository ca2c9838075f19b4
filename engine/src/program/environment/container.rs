//! Images of containers, run by Apptainer or Podman.

use super::EnvironmentKind;
use super::build::program;
use crate::program::job::{Allowed, Job};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

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
                .or_else(|| ["podman", "docker"].iter().find_map(|name| program(name)).map(Runtime::Podman))
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

    /// What is recorded about it.
    pub(in crate::program) fn described(&self, network: bool) -> serde_json::Value {
        // Apptainer gives a network of its own only to administrators.
        let refused = !network && matches!(self.runtime, Runtime::Podman(_));
        serde_json::json!({ "kind": self.runtime.name(), "network": if refused { "refused" } else { "allowed" } })
    }
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
            mark: String::new(),
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
        assert!(job.ends_with(&format!("--entrypoint  example.org/x@sha256:{} sh -c true", "a".repeat(64))), "{job}");
        assert!(line(&enclosed(Runtime::Podman("podman".into()), true)).contains("--network host"));
    }
}
