//! Templates of a project, rendered by a process of their own: what a text may do there is bounded in time and memory, whatever it says.

use super::Report;
use neuroflow_dsl::{Checked, Diagnostic, Files, UsedFile};
use neuroflow_report::{TemplateError, check_template, contents, render_with};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The first argument of a process that renders a template.
const ASKED: &str = "__template";
/// Seconds of processor time that a template may take.
const MOST_SECONDS: u64 = 10;
/// How long its process is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// Bytes of memory that it may take.
const MOST_MEMORY: u64 = 4 << 30;
/// The longest page, in bytes.
const LONGEST_PAGE: usize = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Job {
    template: String,
    contents: serde_json::Value,
}

/// Finds the templates that a pipeline's reports name, and what is wrong with them. Those that can be read count as files that the pipeline uses.
pub(crate) fn check(checked: &mut Checked, folder: &dyn Files) {
    for template in checked.pipeline.reports.iter().filter_map(|report| report.template.as_ref()) {
        let told = |message: String| Diagnostic::error("bad-template", template.span.clone(), message);
        match folder.read(&template.text).map_err(|reason| told(reason).help("the path begins at the pipeline's folder")) {
            Ok(text) => {
                if let Err(error) = check_template(&text) {
                    checked.diagnostics.push(told(format!("{}: {error}", template.text)).help(error.help));
                }
                let file = UsedFile { path: template.text.clone(), text };
                if !checked.files.contains(&file) {
                    checked.files.push(file);
                }
            }
            Err(told) => checked.diagnostics.push(told),
        }
    }
    checked.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
}

/// Renders a template when this process was started for it; gives the exit code then. Called first in `main`, before anything is read or printed.
pub(crate) fn host_if_asked() -> Option<ExitCode> {
    (std::env::args_os().nth(1)? == ASKED).then(|| match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve() -> std::io::Result<()> {
    limit();
    let mut given = Vec::new();
    std::io::stdin().lock().read_to_end(&mut given)?;
    let job: Job = serde_json::from_slice(&given)?;
    drop(given);
    let made = render_with(&job.template, &job.contents, LONGEST_PAGE);
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &made)?;
    out.flush()
}

#[cfg(unix)]
fn limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let to = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    // Where the system refuses a limit, the one that waits still has its patience.
    for (resource, most) in [(Resource::Cpu, MOST_SECONDS), (Resource::Data, MOST_MEMORY), (Resource::Core, 0)] {
        let _ = setrlimit(resource, to(most));
    }
}

#[cfg(not(unix))]
fn limit() {}

/// The page of a report as a template lays it out.
///
/// # Errors
/// Where and why the template can't be rendered.
pub(super) fn render(template: &str, report: &Report) -> Result<String, TemplateError> {
    let ours = |message: String| TemplateError { place: None, message, help: "run again".into() };
    let contents = contents(report).map_err(|error| ours(error.to_string()))?;
    let job = serde_json::to_vec(&Job { template: template.to_owned(), contents }).map_err(|error| ours(error.to_string()))?;
    let mut child = Command::new(crate::commands::run::own_program())
        .arg(ASKED)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| ours(format!("its process can't be started: {error}")))?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let said = std::thread::scope(|scope| {
        scope.spawn(move || to.map(|mut to| to.write_all(&job)));
        let reading = scope.spawn(move || {
            let mut said = Vec::new();
            from.map(|from| from.take(2 * LONGEST_PAGE as u64).read_to_end(&mut said));
            said
        });
        let began = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
            }
        };
        (status, reading.join().unwrap_or_default())
    });
    match said {
        (Some(status), said) if status.success() => {
            serde_json::from_slice::<Result<String, TemplateError>>(&said).map_err(|error| ours(error.to_string()))?
        }
        _ => Err(TemplateError {
            place: None,
            message: format!(
                "it was stopped: a template may take {MOST_SECONDS} s of processor time and {} GiB of memory",
                MOST_MEMORY >> 30
            ),
            help: "look for loops in loops, for texts that double, and for components that call themselves".into(),
        }),
    }
}
