//! A run on a real SLURM cluster of one machine: `slurmctld` and `slurmd`, started by `tests/slurm/start`.
//!
//! Where there is no SLURM the tests say so and pass, unless `NEUROFLOW_SLURM=required`.

use crate::support::{Place, Said, said};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A cluster of one test, ended with it.
struct Cluster {
    folder: TempDir,
    place: Place,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script("stop").arg(self.folder.path()).status();
    }
}

fn script(name: &str) -> Command {
    Command::new(format!("{}/tests/slurm/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !so() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Cluster {
    /// A cluster, and a folder with a profile for it; none where there is no SLURM.
    fn start(profile: &str) -> Option<Cluster> {
        let folder = tempfile::tempdir().unwrap();
        let started = said(script("start").arg(folder.path()).output().unwrap());
        if started.code == 4 && std::env::var_os("NEUROFLOW_SLURM").is_none_or(|wish| wish != "required") {
            eprintln!("not tested on a cluster: {}", started.err.trim());
            return None;
        }
        assert_eq!(started.code, 0, "{}", started.err);
        let cluster = Cluster { folder, place: Place::new() };
        cluster.place.write("neuroflow.toml", format!("[profiles.cluster]\nkind = \"slurm\"\nreport_wait = \"1 s\"\n{profile}\n"));
        cluster.place.write("in.txt", "hello\n");
        Some(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// A command of neuroflow on the cluster. Its programs leave marks outside of their folders: how programs run is the run's to say, on the nodes too.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.unboxed();
        command.env("SLURM_CONF", self.conf()).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// A run in the background, after its first program has begun.
    fn begin(&self, arguments: &[&str]) -> Child {
        let child = self.command(arguments).spawn().unwrap();
        until("the first program", || self.lines("log") > 0);
        child
    }

    /// How many lines a file has.
    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }

    /// Runs a command of SLURM.
    fn ask(&self, program: &str, arguments: &[&str]) -> Said {
        said(Command::new(program).env("SLURM_CONF", self.conf()).args(arguments).output().unwrap())
    }

    /// What a command of SLURM prints that must not fail.
    #[track_caller]
    fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        self.ask(program, arguments).exits(0).out
    }

    /// The numbers of the jobs that wait or run.
    fn jobs(&self) -> Vec<String> {
        self.slurm("squeue", &["-h", "-r", "-o", "%A"]).lines().map(str::to_owned).collect()
    }

    /// The journals of all runs, line by line.
    fn journal(&self) -> Vec<String> {
        let runs = std::fs::read_dir(self.path("cache/slurm")).unwrap();
        let read = |run: PathBuf| std::fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
        runs.flat_map(|run| read(run.unwrap().path()).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn submissions(&self) -> usize {
        self.journal().iter().filter(|line| line.contains("\"intent\"")).count()
    }

    /// A pipeline of so many programs that each say that they have begun and wait for the file `go`.
    fn waiting(&self, programs: usize) {
        let (log, go) = (self.path("log"), self.path("go"));
        let text = format!(
            "pipeline waiting\ninput data = file(\"in.txt\")\nfor x in 0 .. {programs} {{\n  made = exec(\"\"\"\n    echo {{{{ x }}}} >> {log}\n    \
             until test -e {go}; do sleep 0.05; done\n    cat {{{{ data }}}} > {{{{ out }}}}; echo {{{{ x }}}} >> {{{{ out }}}}\n  \"\"\", data = data, x = x) \
             -> file(\"x\")\n}}\nreport r {{ made }}\n",
            log = log.display(),
            go = go.display()
        );
        self.place.write("p.nf", text);
    }

    fn go(&self) {
        self.place.write("go", "");
    }
}

#[track_caller]
fn ended(child: Child) -> Said {
    said(child.wait_with_output().unwrap())
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap().success());
}

fn pid(cluster: &Cluster, daemon: &str) -> u32 {
    std::fs::read_to_string(cluster.folder.path().join(format!("run/{daemon}.pid"))).unwrap().trim().parse().unwrap()
}

/// Programs on the path of an ordinary shell; daemons are not always there.
fn daemon(name: &str) -> Command {
    let found = ["/usr/sbin", "/usr/local/sbin", "/sbin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| name.into()))
}

#[test]
fn two_hundred_programs_and_stages_are_a_few_arrays_and_give_the_same_digests_as_here() {
    let Some(cluster) = Cluster::start("max_jobs = 8") else { return };
    let text = "pipeline many\ninput data = file(\"in.txt\")\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\n\
                for s in sessions {\n  responses = ingest.trials(sessions[s])\n  tuning = ingest.tuning(responses, by = \"direction\")\n}\n\
                for x in 0 .. 200 {\n  made = exec(\"(cat {{ data }}; echo {{ x }} {{ seed }}) > {{ out }}\", data = data, x = x) -> file(\"x\") with seed = 3\n}\n\
                all = exec(\"cat {{ made }}/* > {{ out }}\", made = gather(made)) -> file(\"all\")\nreport r { tuning, all }\n";
    cluster.place.write("p.nf", text);
    let here = Place::new();
    here.write("p.nf", text);
    here.write("in.txt", "hello\n");
    let local = here.run(&["run", "p.nf"]).exits(0);
    let far = cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(0);
    let ran = |said: &Said| {
        said.out.lines().find(|line| line.starts_with("run ")).map(|line| line[line.find('(').unwrap()..].to_owned()).unwrap()
    };
    assert_eq!(ran(&local), ran(&far));
    assert_eq!(here.results(), cluster.place.results());
    let submissions = cluster.submissions();
    assert!(submissions <= 8, "{submissions} arrays for 207 tasks: {:?}", cluster.journal());
    // What is done is done: nothing is asked of the cluster.
    cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(0).says("(0 tasks ran,");
    assert_eq!(cluster.submissions(), submissions);
}

#[test]
fn what_fails_and_what_takes_too_long_is_told_as_here() {
    let Some(cluster) = Cluster::start("max_jobs = 2") else { return };
    cluster.place.write(
        "p.nf",
        "pipeline p\ninput data = file(\"in.txt\")\n\
         broken = exec(\"echo trouble with {{ data }} >&2; exit 3; echo > {{ out }}\", data = data) -> file(\"x\")\n\
         slow = exec(\"sleep 100; cat {{ data }} > {{ out }}\", data = data) -> file(\"x\") with time = 1 s\n\
         fine = exec(\"cat {{ data }} > {{ out }}\", data = data) -> file(\"x\")\nreport r { broken, slow, fine }\n",
    );
    let said = cluster.run(&["run", "p.nf", "--on", "cluster", "--keep-going"]).exits(3);
    let said = said.says("step `broken` failed: the program ended with exit status: 3").says("trouble with in/data");
    said.says("ran longer than 1 s").says("2 failed");
    cluster.run(&["get", "fine", "-o", "-"]).exits(0).says("hello");
}

#[test]
fn a_profile_that_the_cluster_refuses_is_told_with_its_words() {
    let Some(cluster) = Cluster::start("partition = \"nope\"") else { return };
    cluster.waiting(3);
    cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(3).says("SLURM refused the job").says("nope");
    // A set-up that fails is shown by what it printed.
    cluster.place.write(
        "neuroflow.toml",
        "[profiles.cluster]\nkind = \"slurm\"\nreport_wait = \"1 s\"\nsetup = \"echo no such module >&2; false\"\n",
    );
    let said = cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(3);
    said.says("before its task began").says("no such module").says("failed with exit code 1");
    cluster.place.write("neuroflow.toml", "[profiles.cluster]\nkind = \"slurm\"\nextra = [\"--array=1\"]\n");
    cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(4).says("`--array=1` can't be set");
}

#[test]
fn a_job_that_somebody_cancels_fails_its_task_and_no_other() {
    let Some(cluster) = Cluster::start("max_jobs = 2") else { return };
    cluster.waiting(2);
    let child = cluster.begin(&["run", "p.nf", "--on", "cluster", "--keep-going"]);
    let victim = cluster.slurm("squeue", &["-h", "-r", "-o", "%F_%K"]).lines().next().unwrap().to_owned();
    cluster.slurm("scancel", &[&victim]);
    cluster.go();
    ended(child)
        .exits(3)
        .says(&format!("job {victim} of SLURM was cancelled from outside of this run"))
        .says("(1 tasks ran, 0 cached, 1 failed");
}

#[test]
fn a_job_that_is_queued_again_and_one_whose_node_fails_run_again() {
    let Some(cluster) = Cluster::start("max_jobs = 1") else { return };
    cluster.waiting(1);
    let child = cluster.begin(&["run", "p.nf", "--on", "cluster"]);
    let job = cluster.jobs().remove(0);
    // SLURM lets a job that is queued again wait for two minutes, and says so only a while after it was queued. It may be hurried, but not at once: for a second
    // after a job was killed, a node takes a start of the same job for the one that was killed.
    let lives = |lives: usize| {
        let pending: Cell<Option<Instant>> = Cell::new(None);
        until(&format!("life {lives}"), || {
            if cluster.slurm("squeue", &["-h", "-j", &job, "-o", "%T"]).contains("PENDING") {
                let since = pending.get().unwrap_or_else(Instant::now);
                pending.set(Some(since));
                if since.elapsed() > Duration::from_secs(3) {
                    cluster.ask("scontrol", &["update", &format!("jobid={job}"), "starttime=now"]);
                    // A node that is busy may fail to start a job, which SLURM then holds.
                    cluster.ask("scontrol", &["release", &job]);
                }
            }
            cluster.lines("log") >= lives
        });
    };
    cluster.slurm("scontrol", &["requeue", &job]);
    lives(2);
    let node = format!("nodename={}", cluster.slurm("sinfo", &["-h", "-o", "%n"]).trim());
    cluster.slurm("scontrol", &["update", &node, "state=down", "reason=test"]);
    // Refused when the node has come back by itself.
    cluster.ask("scontrol", &["update", &node, "state=resume"]);
    lives(3);
    cluster.go();
    ended(child).exits(0).says("(1 tasks ran,");
    assert_eq!(cluster.submissions(), 1);
}

#[test]
fn a_run_that_is_killed_finds_its_jobs_when_it_comes_back() {
    let Some(cluster) = Cluster::start("max_jobs = 3") else { return };
    cluster.waiting(12);
    let mut child = cluster.begin(&["run", "p.nf", "--on", "cluster"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let second = cluster.command(&["run", "p.nf", "--on", "cluster"]).spawn().unwrap();
    // It has a folder of its own as soon as it has looked at what there is.
    until("the second run", || std::fs::read_dir(cluster.path("cache/slurm")).unwrap().count() == 2);
    cluster.go();
    ended(second).exits(0).says("(12 tasks ran,");
    let log = std::fs::read_to_string(cluster.path("log")).unwrap();
    let mut begun: Vec<u32> = log.lines().map(|line| line.parse().unwrap()).collect();
    begun.sort_unstable();
    assert_eq!(begun, (0..12).collect::<Vec<u32>>(), "each program ran once");
    assert_eq!(cluster.submissions(), 1);
}

#[test]
fn a_controller_that_dies_and_comes_back_costs_time_and_nothing_else() {
    let Some(cluster) = Cluster::start("max_jobs = 2") else { return };
    cluster.waiting(4);
    let child = cluster.begin(&["run", "p.nf", "--on", "cluster"]);
    let controller = pid(&cluster, "slurmctld");
    kill("KILL", controller);
    until("the controller's end", || !Path::new(&format!("/proc/{controller}")).exists());
    // Jobs go on without it, and reports are read.
    cluster.go();
    until("all programs", || cluster.lines("log") == 4);
    assert!(daemon("slurmctld").env("SLURM_CONF", cluster.conf()).stderr(Stdio::null()).status().unwrap().success());
    ended(child).exits(0).says("(4 tasks ran,");
    assert_eq!((cluster.lines("log"), cluster.submissions()), (4, 1));
}

#[test]
fn a_run_that_is_interrupted_cancels_its_jobs_and_a_later_one_goes_on() {
    let Some(cluster) = Cluster::start("max_jobs = 6") else { return };
    cluster.waiting(6);
    let child = cluster.begin(&["run", "p.nf", "--on", "cluster"]);
    kill("INT", child.id());
    ended(child).exits(130);
    until("the end of the jobs", || cluster.jobs().is_empty());
    assert!(cluster.journal().iter().any(|line| line.contains("\"cancelled\"")));
    cluster.go();
    cluster.run(&["run", "p.nf", "--on", "cluster"]).exits(0).says("(6 tasks ran,");
}
