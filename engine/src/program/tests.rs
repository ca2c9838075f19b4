//! Programs with policies, run by the engine itself.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use super::environment::EnvironmentKind;
use super::*;
use crate::task::{LockedEnvironment, Script};
use neuroflow_cache::{Digest, OsDisk};
use std::process::Command;

use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    cache: Arc<Cache>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(&folder.path().join("cache"), Arc::new(OsDisk::new())).unwrap());
        Bench { folder, cache, told: Arc::default() }
    }

    fn programs(&self, options: ProgramOptions) -> Programs {
        let told = Arc::clone(&self.told);
        Programs::new(Arc::clone(&self.cache), options, move |line| told.lock().unwrap().push(line.to_owned()))
    }

    fn run(&self, call: &ExecCall) -> Result<Ended, Ending> {
        self.run_within(call, None)
    }

    fn run_within(&self, call: &ExecCall, memory: Option<u64>) -> Result<Ended, Ending> {
        self.programs(ProgramOptions::default()).run(call, &[], &[], &Context::quiet(0), memory, None)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn call(template: &str) -> ExecCall {
    ExecCall { template: template.into(), file: "x".into(), reader: "file".into(), ..ExecCall::default() }
}

fn text(ended: &Ended) -> String {
    String::from_utf8(ended.output.bytes().unwrap().to_vec()).unwrap()
}

fn message(ending: Ending) -> String {
    match ending {
        Ending::Failed(error) | Ending::Refused(error) => format!("{error}\n{}", error.help().unwrap_or_default()),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_declared_can_be_read_and_nothing_beside_it() {
    let bench = Bench::new();
    let (atlas, other) = (bench.write("atlas/labels.txt", "V1\n"), bench.write("other.txt", "no\n"));
    let read =
        |path: &Path, reads: Vec<PathBuf>| bench.run(&ExecCall { reads, ..call(&format!("cat {} > {{{{ out }}}}", path.display())) });
    assert!(message(read(&atlas, Vec::new()).unwrap_err()).contains("the sandbox kept it from"));
    let folder = atlas.parent().unwrap().to_path_buf();
    let ended = read(&atlas, vec![folder.clone()]).unwrap();
    assert_eq!(text(&ended), "V1\n");
    assert_eq!(ended.sandbox["kind"], "landlock");
    assert!(read(&other, vec![folder.clone()]).is_err());
    // To read is not to write.
    let write = call(&format!("echo V2 > {}; echo > {{{{ out }}}}", atlas.display()));
    assert!(bench.run(&ExecCall { reads: vec![folder], ..write }).is_err());
    assert_eq!(std::fs::read_to_string(atlas).unwrap(), "V1\n");
}

#[test]
fn the_network_is_open_where_it_is_allowed() {
    let bench = Bench::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let call = call(&format!("bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'; echo > {{{{ out }}}}"));
    assert!(message(bench.run(&call).unwrap_err()).contains("network = on"));
    let ended = bench.run(&ExecCall { network: true, ..call }).unwrap();
    assert_eq!(ended.sandbox["network"], "allowed");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_ok());
}

/// Holds so many mebibytes, in so many processes, until it is stopped or half a second is over.
fn holding(mebibytes: u32, processes: u32) -> String {
    format!(
        "for i in $(seq {processes}); do python3 -c 'import time; held = bytearray(b\"x\") * ({mebibytes} << 20); time.sleep(0.5)' & done; wait; echo > {{{{ out }}}}"
    )
}

#[test]
fn a_program_above_its_memory_is_stopped_with_all_its_processes() {
    let bench = Bench::new();
    let limit = 200 << 20;
    let ending = bench.run_within(&call(&holding(400, 1)), Some(limit)).unwrap_err();
    assert!(matches!(ending, Ending::OutOfMemory { limit: told, peak } if told == limit && peak > limit), "{ending:?}");
    // Together they hold too much, though none does alone.
    assert!(matches!(bench.run_within(&call(&holding(90, 4)), Some(limit)).unwrap_err(), Ending::OutOfMemory { .. }));
}

#[test]
fn the_peak_and_the_processor_time_of_a_program_are_told() {
    let bench = Bench::new();
    let ended = bench.run_within(&call(&holding(300, 1)), Some(1 << 30)).unwrap();
    let peak = ended.peak_bytes.unwrap();
    assert!((300 << 20..400 << 20).contains(&peak), "{peak}");
    assert!(ended.cpu_ms.unwrap() > 0.0);
}

#[test]
fn memory_that_processes_share_is_counted_once() {
    let bench = Bench::new();
    let fork = "import os, time\nheld = bytearray(b'x') * (150 << 20)\nfor i in range(3):\n    if os.fork() == 0:\n        break\ntime.sleep(0.6)\n";
    let call = call(&format!("python3 -c \"{fork}\"; sleep 0.2; echo > {{{{ out }}}}"));
    let ended = bench.run_within(&call, Some(300 << 20)).unwrap();
    assert!(ended.peak_bytes.unwrap() < 300 << 20, "{:?}", ended.peak_bytes);
}

#[test]
fn without_a_sandbox_it_is_said_once() {
    let bench = Bench::new();
    let options = ProgramOptions { sandbox: SandboxWish::Off, ..ProgramOptions::default() };
    let programs = bench.programs(options);
    for _ in 0..2 {
        let ended = programs.run(&call("echo done > {{ out }}"), &[], &[], &Context::quiet(0), None, None).unwrap();
        assert_eq!((text(&ended).as_str(), &ended.sandbox["kind"]), ("done\n", &"none".into()));
    }
    assert_eq!(*bench.told.lock().unwrap(), ["programs run without a sandbox: switched off"]);
}

#[test]
fn scripts_are_laid_where_the_command_looks_for_them() {
    let bench = Bench::new();
    let content = bench.cache.put(b"#!/bin/sh\necho made > \"$1\"\n").unwrap();
    let script = |path: &str, executable| Script { path: path.into(), content, executable };
    let call = call("./scripts/deep/run.sh {{ out }}");
    let ended = bench.run(&ExecCall { scripts: vec![script("scripts/deep/run.sh", true)], ..call.clone() }).unwrap();
    assert_eq!(text(&ended), "made\n");
    assert!(message(bench.run(&ExecCall { scripts: vec![script("scripts/deep/run.sh", false)], ..call }).unwrap_err()).contains("denied"));
}

/// A folder with a tiny package as a wheel, and a lock that names it by its digest.
fn wheel(bench: &Bench) -> (PathBuf, String) {
    let folder = bench.folder.path().join("wheels");
    std::fs::create_dir_all(&folder).unwrap();
    let make = r#"
import zipfile, sys
with zipfile.ZipFile(sys.argv[1] + "/tiny_example-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny_example.py", "ANSWER = 42\n")
    wheel.writestr("tiny_example-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-example\nVersion: 1.0\n")
    wheel.writestr("tiny_example-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("tiny_example-1.0.dist-info/entry_points.txt", "[console_scripts]\ntiny-example = tiny_example:main\n")
    wheel.writestr("tiny_example-1.0.dist-info/RECORD", "tiny_example.py,,\ntiny_example-1.0.dist-info/METADATA,,\ntiny_example-1.0.dist-info/WHEEL,,\ntiny_example-1.0.dist-info/entry_points.txt,,\ntiny_example-1.0.dist-info/RECORD,,\n")
import hashlib
print(hashlib.sha256(open(sys.argv[1] + "/tiny_example-1.0-py3-none-any.whl", "rb").read()).hexdigest())
"#;
    let said = Command::new("python3").args(["-c", make]).arg(&folder).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let digest = String::from_utf8(said.stdout).unwrap();
    (folder, digest.trim().to_owned())
}

fn locked(bench: &Bench, kind: EnvironmentKind, files: &[(&str, &str)]) -> LockedEnvironment {
    let put = |(name, text): &(&str, &str)| ((*name).to_owned(), bench.cache.put(text.as_bytes()).unwrap());
    LockedEnvironment { written: "envs/py.lock".into(), kind, files: files.iter().map(put).collect() }
}

fn offline() -> ProgramOptions {
    ProgramOptions { offline: true, ..ProgramOptions::default() }
}

const ASKS: &str =
    "python -c 'import tiny_example, sys; open(sys.argv[1], \"w\").write(str(tiny_example.ANSWER) + \" \" + sys.prefix)' {{ out }}";

#[test]
fn an_environment_is_made_once_by_two_at_once_and_used_without_the_network() {
    let bench = Bench::new();
    let (wheels, digest) = wheel(&bench);
    let list = format!("--no-index\n--find-links {}\ntiny-example==1.0 --hash=sha256:{digest}\n", wheels.display());
    let environment = locked(&bench, EnvironmentKind::Requirements, &[("requirements.txt", &list)]);
    let call = ExecCall { environment: Some(environment), ..call(ASKS) };
    let said: Vec<String> = std::thread::scope(|scope| {
        let run = || {
            bench.programs(offline()).run(&call, &[], &[], &Context::quiet(0), None, None).map(|ended| (text(&ended), ended.environment))
        };
        let both = [scope.spawn(run), scope.spawn(run)];
        both.into_iter()
            .map(|run| run.join().unwrap().unwrap())
            .map(|(said, name)| {
                assert!(said.ends_with(&format!("/environments/{}/prefix", name.unwrap())), "{said}");
                said
            })
            .collect()
    });
    assert!(said[0].starts_with("42 ") && said[0] == said[1], "{said:?}");
    assert_eq!(*bench.told.lock().unwrap(), ["making the environment `envs/py.lock`; this is done once"]);
    // Its packages are gone, and it is there.
    std::fs::remove_dir_all(&wheels).unwrap();
    assert_eq!(text(&bench.programs(offline()).run(&call, &[], &[], &Context::quiet(0), None, None).unwrap()), said[0]);
    // One that was left half done is made anew, which now can't be.
    let folder = std::fs::read_dir(bench.cache.root().join("environments")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(folder.join("ready")).unwrap();
    let said = message(bench.programs(offline()).run(&call, &[], &[], &Context::quiet(0), None, None).unwrap_err());
    assert!(
        said.contains("the environment `envs/py.lock` can't be made")
            && said.contains("tiny-example")
            && said.contains("the installer was:"),
        "{said}"
    );
    assert!(!folder.join("ready").exists());
}

#[test]
fn a_package_that_is_not_what_the_lock_says_is_refused() {
    let bench = Bench::new();
    let (wheels, _) = wheel(&bench);
    let list = format!("--no-index\n--find-links {}\ntiny-example==1.0 --hash=sha256:{}\n", wheels.display(), "0".repeat(64));
    let environment = locked(&bench, EnvironmentKind::Requirements, &[("requirements.txt", &list)]);
    let said = message(bench.run(&ExecCall { environment: Some(environment), ..call(ASKS) }).unwrap_err());
    assert!(said.contains("can't be made") && said.to_lowercase().contains("hash"), "{said}");
}

#[test]
fn without_the_network_an_environment_that_needs_it_is_an_error() {
    let bench = Bench::new();
    let environment = locked(&bench, EnvironmentKind::Requirements, &[("requirements.txt", "tiny-example==1.0\n")]);
    let call = ExecCall { environment: Some(environment), ..call(ASKS) };
    let said = message(bench.programs(offline()).run(&call, &[], &[], &Context::quiet(0), None, None).unwrap_err());
    assert!(said.contains("needs the network, which is switched off") && said.contains("run once without"), "{said}");
    assert!(bench.told.lock().unwrap().len() == 1);
}

#[test]
fn a_package_of_the_registry_is_installed_where_the_network_may_be_used() {
    if std::env::var_os("NEUROFLOW_TEST_NETWORK").is_none_or(|value| value != "1") {
        return;
    }
    let bench = Bench::new();
    let environment = locked(&bench, EnvironmentKind::Requirements, &[("requirements.txt", "iniconfig==2.0.0\n")]);
    let call = call("python -c 'import iniconfig; print(iniconfig.__name__)' > {{ out }}");
    let ended = bench.run(&ExecCall { environment: Some(environment), ..call }).unwrap();
    assert_eq!(text(&ended), "iniconfig\n");
}

#[test]
fn an_image_is_run_by_what_is_installed_or_says_what_to_install() {
    let bench = Bench::new();
    let reference = format!("docker://example.org/x@sha256:{}", "a".repeat(64));
    let environment = locked(&bench, EnvironmentKind::Image, &[("image", &reference)]);
    let call = ExecCall { environment: Some(environment), ..call("echo > {{ out }}") };
    let ending = bench.programs(offline()).run(&call, &[], &[], &Context::quiet(0), None, None).unwrap_err();
    // Where a tool is installed, the network is what is missing.
    let said = message(ending);
    assert!(said.contains("install Apptainer or Podman") || said.contains("needs the network"), "{said}");
}

#[test]
fn the_key_holds_scripts_and_the_lock_and_no_policy() {
    use crate::task::{Task, Work};
    let bench = Bench::new();
    let key = |call: ExecCall| -> Digest {
        let work = Work::Exec(Box::new(call));
        let task = Task {
            label: "x".into(),
            step: "x".into(),
            work,
            arguments: Vec::new(),
            outputs: Vec::new(),
            gpu: neuroflow_stage::GpuPolicy::Never,
            cached: true,
        };
        task.key(&[])
    };
    let plain = key(call("a"));
    let environment = |text: &str| Some(locked(&bench, EnvironmentKind::Requirements, &[("requirements.txt", text)]));
    let script = |text: &str, executable| vec![Script { path: "a".into(), content: bench.cache.put(text.as_bytes()).unwrap(), executable }];
    let different = [
        plain,
        key(ExecCall { environment: environment("a==1"), ..call("a") }),
        key(ExecCall { environment: environment("a==2"), ..call("a") }),
        key(ExecCall { scripts: script("a", false), ..call("a") }),
        key(ExecCall { scripts: script("b", false), ..call("a") }),
        key(ExecCall { scripts: script("a", true), ..call("a") }),
    ];
    let distinct: std::collections::BTreeSet<_> = different.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), different.len());
    let mut renamed = environment("a==1").unwrap();
    renamed.written = "elsewhere".into();
    assert_eq!(key(ExecCall { environment: Some(renamed), ..call("a") }), different[1]);
    let policy = ExecCall { time: Some(1.0), network: true, reads: vec!["/x".into()], home: "/y".into(), ..call("a") };
    assert_eq!(key(policy), plain);
}
