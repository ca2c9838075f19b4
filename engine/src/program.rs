//! Running a program for an `exec` step: an empty folder with its inputs, a clean environment, a bounded log, and an end to everything it started.
//!
//! The program sees `in/NAME.arrow` for each result it is given (`in/NAME` for files and folders), and writes the one file that it declared. It can't
//! publish anything else. It is *not* kept from reading the rest of the disk: there is no sandbox in this version, and the record says so.

use crate::task::{Argument, ExecCall};
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_data::{Artifact, Kind, Payload};
use neuroflow_dsl::command::{self, Rendered};
use neuroflow_stage::{Context, StageError, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What of a program's output is kept: so many bytes of its beginning, and as many of its end.
const KEPT: usize = 64 << 10;
/// Lines of a failed program's output that its message shows.
const SHOWN_LINES: usize = 12;

/// What a program gave, and what it printed.
pub(crate) struct Ended {
    pub(crate) output: Artifact,
    pub(crate) log: Vec<u8>,
}

/// Runs a program until it ends well, or has failed once more often than it may be started again.
///
/// # Errors
/// When the template can't be filled in, the program fails or takes too long, or did not write what it declared.
pub(crate) fn run(
    call: &ExecCall,
    arguments: &[Argument],
    values: &[Artifact],
    context: &Context,
    scratch: &Path,
) -> Result<Ended, StageError> {
    let mut tries = 0;
    loop {
        context.cancel.check()?;
        // Each try begins in an empty folder.
        let folder = Folder::new(scratch)?;
        match attempt(call, arguments, values, context, &folder.path) {
            Err(StageError::Refused { .. }) if tries < call.retries && !context.cancel.is_cancelled() => tries += 1,
            ended => return ended,
        }
    }
}

fn attempt(call: &ExecCall, arguments: &[Argument], values: &[Artifact], context: &Context, folder: &Path) -> Result<Ended, StageError> {
    let inputs = Inputs::lay_out(arguments, values, folder)?;
    let mut names: BTreeMap<String, serde_json::Value> = call.params.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    names.extend(inputs.paths.iter().map(|(name, path)| (name.clone(), path.clone().into())));
    names.insert(command::OUT.into(), call.file.clone().into());
    names.insert(command::SEED.into(), call.seed.into());
    let rendered = command::render(&call.template, &names)
        .map_err(|reason| StageError::refused(format!("the command can't be filled in: {reason}")))?;
    for (path, format, wanted) in &rendered.asked {
        inputs.convert(path, format, &folder.join(wanted))?;
    }
    let (status, log) = execute(&rendered, call, context, folder)?;
    if !status.success() {
        let printed = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = printed.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
        let printed = if tail.is_empty() { "it printed nothing".to_owned() } else { format!("it printed at last:\n    {tail}") };
        return Err(StageError::refused_with_help(format!("the program ended with {status}; {printed}"), described(&rendered)));
    }
    let path = folder.join(&call.file);
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    if !is_file {
        let found: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "in" && name != "tmp")
            .collect();
        let found = if found.is_empty() { "it wrote nothing".to_owned() } else { format!("it wrote {}", found.join(", ")) };
        return Err(StageError::refused_with_help(
            format!("the program ended well but did not write the file `{}`; {found}", call.file),
            "write to the path that `{{ out }}` gives",
        ));
    }
    let bytes = std::fs::read(&path).map_err(|error| disk("reading", &path, &error))?;
    let reader = crate::readers::reader(&call.reader).ok_or_else(|| StageError::Bug(format!("no reader `{}`", call.reader)))?;
    let output = crate::readers::read(reader, &bytes.into())
        .map_err(|reason| StageError::refused(format!("`{}`, which the program wrote, is not what it declared: {reason}", call.file)))?;
    Ok(Ended { output, log })
}

/// The command and the variables in it, for a person.
fn described(rendered: &Rendered) -> String {
    let variables: Vec<String> = rendered.variables.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    let with = if variables.is_empty() { String::new() } else { format!("\n    with {}", variables.join(", ")) };
    format!("the command was: {}{with}", rendered.command.trim())
}

/// Inputs as files.
struct Inputs<'a> {
    /// For each name, the path that the template is given.
    paths: BTreeMap<String, String>,
    /// For each path, the values behind it, with their labels.
    values: BTreeMap<String, Vec<(String, &'a Artifact)>>,
}

impl<'a> Inputs<'a> {
    fn lay_out(arguments: &[Argument], values: &'a [Artifact], folder: &Path) -> Result<Inputs<'a>, StageError> {
        let mut slots: BTreeMap<&str, Vec<(String, &Artifact)>> = BTreeMap::new();
        for (argument, value) in arguments.iter().zip(values) {
            slots.entry(&argument.slot).or_default().push((argument.label.clone(), value));
        }
        make(&folder.join("in"))?;
        make(&folder.join("tmp"))?;
        let mut inputs = Inputs { paths: BTreeMap::new(), values: BTreeMap::new() };
        for (slot, members) in slots {
            let family = members.iter().any(|(label, _)| !label.is_empty());
            let bytes = matches!(members.first(), Some((_, value)) if matches!(value.kind(), Kind::File | Kind::Dir));
            let path = if family || bytes { format!("in/{slot}") } else { format!("in/{slot}.arrow") };
            if family {
                make(&folder.join(&path))?;
            }
            for (label, value) in &members {
                let at = if family { folder.join(&path).join(file_name(label, value)) } else { folder.join(&path) };
                lay(value, &at)?;
            }
            inputs.values.insert(path.clone(), members);
            inputs.paths.insert(slot.to_owned(), path);
        }
        Ok(inputs)
    }

    /// The value behind `path` in another format.
    fn convert(&self, path: &str, format: &str, to: &Path) -> Result<(), StageError> {
        let Some(members) = self.values.get(path) else {
            return Err(StageError::refused(format!("`| {format}` is for results: `{path}` is none")));
        };
        let format: ExportFormat = format.parse().map_err(|_| StageError::Bug(format!("no format {format}")))?;
        let said = |error: &dyn std::fmt::Display| StageError::refused(format!("`{path}` can't be had as {format}: {error}"));
        if let [(label, value)] = members.as_slice()
            && label.is_empty()
        {
            return put(to, &export(value, format).map_err(|error| said(&error))?);
        }
        make(to)?;
        members.iter().try_for_each(|(label, value)| {
            put(&to.join(format!("{}.{format}", plain(label))), &export(value, format).map_err(|error| said(&error))?)
        })
    }
}

fn lay(value: &Artifact, at: &Path) -> Result<(), StageError> {
    match value.payload() {
        Payload::Bytes(bytes) => put(at, bytes),
        Payload::Tree(tree) => {
            make(at)?;
            tree.iter().try_for_each(|(name, bytes)| put(&at.join(plain(name)), bytes))
        }
        Payload::Batch(_) => put(at, &value.encode()?),
    }
}

fn file_name(label: &str, value: &Artifact) -> String {
    match value.kind() {
        Kind::File | Kind::Dir => plain(label),
        _ => format!("{}.arrow", plain(label)),
    }
}

/// A label as a file name that leads nowhere else.
fn plain(label: &str) -> String {
    let name: String = label.chars().map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect();
    if name.starts_with('.') || name.is_empty() { format!("_{name}") } else { name }
}

fn make(folder: &Path) -> Result<(), StageError> {
    std::fs::create_dir_all(folder).map_err(|error| disk("making", folder, &error))
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), StageError> {
    std::fs::write(path, bytes).map_err(|error| disk("writing", path, &error))
}

fn disk(doing: &str, path: &Path, error: &std::io::Error) -> StageError {
    StageError::refused(format!("{doing} {}: {error}", path.display()))
}

/// A value as a template sees it; quantities are numbers in their base unit (seconds, hertz, volts, …).
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Number(value) => (*value).into(),
        Value::Quantity(quantity) => quantity.value.into(),
        Value::Text(text) | Value::Word(text) => text.clone().into(),
        Value::List(values) => values.iter().map(json).collect::<Vec<_>>().into(),
        Value::Range(start, end) => vec![json(start), json(end)].into(),
        call => call.to_string().into(),
    }
}

/// Starts the shell and waits: for its end, for the time to run out, or for the run to be cancelled. Whatever it left running in its process group is ended.
fn execute(rendered: &Rendered, call: &ExecCall, context: &Context, folder: &Path) -> Result<(ExitStatus, Vec<u8>), StageError> {
    let cannot = |error: std::io::Error| StageError::refused(format!("the program can't be started: {error}"));
    let (mut reader, writer) = std::io::pipe().map_err(cannot)?;
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &rendered.command]).current_dir(folder).stdin(Stdio::null());
    shell.stdout(writer.try_clone().map_err(cannot)?).stderr(writer);
    // Nothing of this machine's settings but where programs are; no secret of the environment reaches the program or its log.
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    shell.env("HOME", folder).env("TMPDIR", folder.join("tmp")).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    shell.env("NEUROFLOW_SEED", call.seed.to_string()).env("NEUROFLOW_CORES", context.threads.to_string());
    shell.env("OMP_NUM_THREADS", context.threads.to_string());
    shell.envs(rendered.variables.iter().map(|(name, value)| (name, value)));
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell.spawn().map_err(cannot)?;
    // The command holds the pipe's end for writing; while it lives, the pipe does not end.
    drop(shell);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Kept::default();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            kept.take(&buffer[..read]);
        }
        // Nobody listens any more when the program's descendants kept the pipe open for too long.
        let _ = sender.send(kept.finish());
    });
    let began = Instant::now();
    let mut pause = Duration::from_micros(300);
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) => {}
            Err(error) => break Err(StageError::refused(format!("the program can't be waited for: {error}"))),
        }
        if context.cancel.is_cancelled() {
            break Err(StageError::Cancelled);
        }
        if let Some(limit) = call.time.filter(|limit| began.elapsed().as_secs_f64() > *limit) {
            let message = format!("the program ran longer than {limit} s and was stopped");
            break Err(StageError::refused_with_help(message, "give it more with `time = …`"));
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(20));
    };
    end_group(&mut child, ended.is_ok());
    let log = receiver.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    ended.map(|status| (status, log))
}

/// Ends all processes of the child's group. The shell's own `kill` is used: a process group has no safe call in the standard library.
fn end_group(child: &mut Child, ended: bool) {
    #[cfg(unix)]
    {
        let kill = format!("kill -s KILL -- -{} 2>/dev/null", child.id());
        // After an orderly end there is a group only when something was left behind, and then the shell's answer does not matter.
        let _ = Command::new("sh").args(["-c", &kill]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The beginning and the end of what was printed.
#[derive(Default)]
struct Kept {
    first: Vec<u8>,
    last: std::collections::VecDeque<u8>,
    dropped: u64,
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..room]);
        self.last.extend(&bytes[room..]);
        let over = self.last.len().saturating_sub(KEPT);
        self.last.drain(..over);
        self.dropped += over as u64;
    }

    fn finish(mut self) -> Vec<u8> {
        if self.dropped > 0 {
            self.first.extend(format!("\n… {} bytes are left out …\n", self.dropped).bytes());
        }
        self.first.extend(self.last);
        self.first
    }
}

/// An empty folder that is removed when it is dropped, or by [`sweep`] when its process died.
struct Folder {
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Folder {
    fn new(scratch: &Path) -> Result<Folder, StageError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        make(scratch)?;
        let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (path, lock) = (scratch.join(&name), scratch.join(format!("{name}.lock")));
        let held = File::create(&lock).map_err(|error| disk("making", &lock, &error))?;
        held.lock().map_err(|error| disk("locking", &lock, &error))?;
        // Left by a dead process of the same number.
        let _ = std::fs::remove_dir_all(&path);
        make(&path)?;
        Ok(Folder { path, lock, _held: held })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// Removes the folders of programs whose run was killed.
pub(crate) fn sweep(scratch: &Path) {
    for entry in std::fs::read_dir(scratch).into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension().is_none_or(|ending| ending != "lock") {
            continue;
        }
        // Held until the folder is gone, so that nobody begins in it meanwhile.
        let Ok(held) = File::open(&lock) else { continue };
        if held.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(lock.with_extension(""));
            let _ = std::fs::remove_file(&lock);
        }
    }
}
