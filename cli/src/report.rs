//! From a run to its reports: gathers the artifacts that the pipeline's `report` lines name, and writes the pages.

use crate::exit::Failure;
use neuroflow_cache::Digest;
use neuroflow_data::Kind;
use neuroflow_dsl::pipeline::{ReportDecl, Target};
use neuroflow_engine::home;
use neuroflow_engine::outcome::State as TaskState;
use neuroflow_engine::record::{Counts, RunRecord};
use neuroflow_engine::schedule::RunOutcome;
use neuroflow_engine::session::{Prepared, Session, output_of};
use neuroflow_engine::why::{Became, why};
use neuroflow_report::{DagNode, Expectation, Fact, Report, ShownArtifact, ShownStep, State, Work, render};
use std::path::Path;

pub(crate) mod figures;
pub(crate) mod template;

/// So many members of a step are on a page: more, nobody reads.
const MOST_MEMBERS: usize = 200;
/// So many files of an input are named on a page.
const MOST_FILES: usize = 40;
/// Of so many steps it is told what became of them.
const MOST_STEPS: usize = 2000;

/// Where a run's pages and figures are written.
pub(crate) struct Places<'a> {
    /// The folder of pages.
    pub(crate) pages: &'a Path,
    /// The folder of figures, where they are wanted as files.
    pub(crate) figures: Option<&'a Path>,
}

/// The reports of a run: names and paths, and the bytes of their pages.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) paths: Vec<(String, String)>,
    pub(crate) pages: Vec<(String, Digest)>,
}

/// Writes every report of a run.
///
/// When nothing ran and the page on the disk shows these very results, it is left as it is: its times are those of the run that made them.
pub(crate) fn write(
    session: &Session,
    prepared: &Prepared,
    outcome: &RunOutcome,
    record: &RunRecord,
    places: &Places<'_>,
) -> Result<Written, Failure> {
    let out = places.pages;
    let mut written = Written::default();
    for report in &prepared.pipeline.reports {
        let shown = prepared.instances().iter().enumerate().filter(|(_, instance)| report.steps.contains(&instance.decl));
        if !shown.into_iter().all(|(step, _)| prepared.is_asked(step)) {
            println!("report {}: not written, it shows steps that were not asked for", report.name.text);
            continue;
        }
        let path = out.join(format!("{}.html", report.name.text));
        let failed = |error: &dyn std::fmt::Display| {
            Failure::could_not_start(format!("the report {}: {error}; the results are in the cache", path.display()))
        };
        let template = match &report.template {
            Some(path) => Some((path.text.as_str(), template_text(session, record, &path.text)?)),
            None => None,
        };
        let contents = contents(prepared, outcome, report, record, template.as_ref().map(|(_, text)| text.as_str()));
        let mark = format!("<!-- neuroflow {contents} -->\n");
        let unchanged = record.counts.ran == 0 && starts_with(&path, &mark);
        let gathered = if unchanged && places.figures.is_none() {
            None
        } else {
            Some(gather(session, prepared, outcome, record, &report.steps, report.title.as_deref())?)
        };
        if let (Some(gathered), Some(folder)) = (&gathered, places.figures) {
            let count = figures::write(gathered, folder)?;
            println!("figures of {}: {count} in {}", report.name.text, folder.display());
        }
        if let Some(gathered) = gathered.filter(|_| !unchanged) {
            let page = match &template {
                Some((path, text)) => {
                    let told = |error: neuroflow_report::TemplateError| failed(&format!("{path}: {error}")).with_help(error.help);
                    template::render(text, &gathered).map_err(told)?
                }
                None => render(&gathered).map_err(|error| failed(&error))?,
            };
            std::fs::create_dir_all(out).map_err(|error| failed(&error))?;
            // Beside the file and renamed: a reader never sees half a page, and two runs that write one report do not meet.
            let beside = path.with_extension(format!("{}.new", record.id));
            let page = mark + &page;
            std::fs::write(&beside, &page).and_then(|()| std::fs::rename(&beside, &path)).map_err(|error| {
                let _ = std::fs::remove_file(&beside);
                failed(&error)
            })?;
            written.pages.push((report.name.text.clone(), Digest::of(page.as_bytes())));
        } else {
            let page = std::fs::read(&path).map_err(|error| failed(&error))?;
            written.pages.push((report.name.text.clone(), Digest::of(&page)));
        }
        written.paths.push((report.name.text.clone(), path.display().to_string()));
    }
    Ok(written)
}

/// A template as it was when the pipeline was checked.
fn template_text(session: &Session, record: &RunRecord, path: &str) -> Result<String, Failure> {
    let digest = record.used.iter().find(|(used, _)| used == path).map(|(_, digest)| *digest);
    let bytes = digest.and_then(|digest| session.cache.get_whole(&digest).ok().flatten());
    bytes
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
        .ok_or_else(|| Failure::could_not_start(format!("the template {path} is not in the cache any more")).with_help("run again"))
}

/// A digest of everything that a report shows, but for times.
fn contents(prepared: &Prepared, outcome: &RunOutcome, report: &ReportDecl, record: &RunRecord, template: Option<&str>) -> String {
    let (steps, titles) = (&report.steps, (&report.title, &prepared.pipeline.title));
    let mut text = format!("{} {:?} {titles:?} {template:?}", record.neuroflow, record.revision);
    text.push_str(&format!("{} {:?} {:?} {}", record.source, record.used, record.set, record.controls));
    for (position, instance) in prepared.instances().iter().enumerate().filter(|(_, instance)| steps.contains(&instance.decl)) {
        text.push_str(&instance.label());
        for (name, _) in &prepared.pipeline.steps[instance.decl].outputs {
            if let Some(output) = output_of(prepared, outcome, position, name) {
                text.push_str(&output.digest.to_string());
            }
        }
    }
    text.push_str(&format!("{:?}{:?}", record.expects, record.inputs));
    Digest::of(text.as_bytes()).to_string()
}

fn starts_with(path: &Path, mark: &str) -> bool {
    use std::io::Read;
    let mut begin = vec![0; mark.len()];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == mark.as_bytes()
}

fn gather(
    session: &Session,
    prepared: &Prepared,
    outcome: &RunOutcome,
    record: &RunRecord,
    steps: &[usize],
    title: Option<&str>,
) -> Result<Report, Failure> {
    let mut shown = Vec::new();
    for &decl in steps {
        let members: Vec<usize> = (0..prepared.instances().len()).filter(|&position| prepared.instances()[position].decl == decl).collect();
        for &position in members.iter().take(MOST_MEMBERS) {
            let instance = &prepared.instances()[position];
            let outputs = &prepared.pipeline.steps[decl].outputs;
            let signature = match (session.registry.get(&instance.stage), outputs.first()) {
                (Some(stage), _) => stage.signature(),
                (None, Some((_, kind))) => neuroflow_dsl::check::program_signature(*kind),
                (None, None) => continue,
            };
            let (mut artifacts, mut elsewhere) = (Vec::new(), Vec::new());
            for output in &signature.outputs {
                // Bytes and whole responses are for `get`, not for a page.
                if matches!(output.kind, Kind::Responses | Kind::Features | Kind::File | Kind::Dir) {
                    let (label, name, kind) = (instance.label(), output.name, output.kind);
                    elsewhere.push(format!("{name}: a {kind}; `neuroflow get '{label}.{name}' -o FILE` takes it out"));
                    continue;
                }
                if let Some(found) = output_of(prepared, outcome, position, output.name) {
                    let artifact = session.artifact(found.kind, &found.digest).map_err(Failure::could_not_start)?;
                    artifacts.push(ShownArtifact { output: output.name.to_owned(), artifact });
                }
            }
            let member = (!instance.members.is_empty()).then(|| instance.members.join(", "));
            shown.push(ShownStep {
                name: instance.name.to_string(),
                member,
                stage: instance.stage.to_string(),
                summary: signature.summary.to_owned(),
                artifacts,
                elsewhere,
            });
        }
        if let (Some(more @ 1..), Some(last)) = (members.len().checked_sub(MOST_MEMBERS), shown.last_mut()) {
            let name = &prepared.pipeline.steps[decl].name.text;
            last.elsewhere
                .push(format!("{more} more members of {name} are not on this page; `neuroflow get '{name}[\"…\"]'` takes any of them out"));
        }
    }
    let title = title.map(str::to_owned).or_else(|| prepared.pipeline.title.clone()).unwrap_or_else(|| prepared.pipeline.name.clone());
    let mut notices = Vec::new();
    for input in record.inputs.iter().filter(|input| input.simulated) {
        notices.push(format!(
            "Simulated data: `{}` is {}, not a recording. Nothing on this page is a finding about animals.",
            input.name, input.taken
        ));
    }
    if !prepared.controls {
        notices.push("Controls were switched off: every score on this page is uncontrolled.".into());
    }
    let expectations = record.expects.iter().map(|expect| Expectation {
        condition: expect.condition.clone(),
        message: expect.message.clone(),
        numbers: expect.numbers.clone(),
        holds: expect.holds,
    });
    Ok(Report {
        title,
        notices,
        facts: facts(prepared, record),
        dag: dag(prepared, outcome, record),
        work: work(session, prepared, outcome),
        work_left_out: prepared.instances().len().saturating_sub(MOST_STEPS),
        expectations: expectations.collect(),
        steps: shown,
    })
}

/// What became of each step, and why.
fn work(session: &Session, prepared: &Prepared, outcome: &RunOutcome) -> Vec<Work> {
    // This run is not recorded yet, so the latest one is the one before.
    let before = session.latest_of(&prepared.pipeline.name).map(|run| session.keys(&run)).unwrap_or_default();
    let one = |(step, instance): (usize, &neuroflow_dsl::StepInstance)| {
        let why = why(&prepared.plan, outcome, &session.cache, &before, step);
        let state = match why.became {
            Became::Ran => State::Ran,
            Became::Cached => State::Cached,
            Became::Failed => State::Failed,
            Became::Skipped => State::Skipped,
        };
        Work {
            step: instance.name.to_string(),
            member: (!instance.members.is_empty()).then(|| instance.members.join(", ")),
            stage: instance.stage.to_string(),
            state,
            wall_ms: why.wall_ms,
            why: why.reasons,
            made_with: why.made_with,
        }
    };
    prepared.instances().iter().enumerate().take(MOST_STEPS).map(one).collect()
}

fn facts(prepared: &Prepared, record: &RunRecord) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact { name: name.into(), value };
    let mut facts = vec![fact("run", format!("{}, started {}", record.id, record.started))];
    facts.push(match &record.revision {
        Some(revision) => {
            let branch = revision.branch.as_ref().map(|branch| format!(" on {branch}")).unwrap_or_default();
            fact(
                "commit",
                format!("{}{branch}{}", revision.commit, if revision.dirty { ", with changes that are not committed" } else { "" }),
            )
        }
        None => fact("commit", "not under version control".into()),
    });
    facts.push(fact("pipeline", format!("{} ({})", record.file, record.source.short())));
    // The program's own path is this machine's business.
    let arguments: Vec<&str> = record.command.iter().skip(1).map(String::as_str).collect();
    facts.push(fact("command", format!("neuroflow {}", arguments.join(" "))));
    for input in &record.inputs {
        let files = input.members.iter().take(MOST_FILES).map(|(label, digest)| format!("{label} {}", digest.short()));
        let mut files = files.collect::<Vec<_>>().join(", ");
        if let Some(more @ 1..) = input.members.len().checked_sub(MOST_FILES) {
            files.push_str(&format!(" and {more} more, in the run's record"));
        }
        facts.push(fact("data", format!("{}: {}; {files}", input.name, input.taken)));
        for reason in &input.passed_over {
            facts.push(fact("passed over", reason.lines().map(str::trim).collect::<Vec<_>>().join(" ")));
        }
    }
    let params = prepared.pipeline.params.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
    if !params.is_empty() {
        facts.push(fact("parameters", home::told(&params)));
    }
    let Counts { ran, cached, .. } = record.counts;
    facts.push(fact("work", format!("{ran} tasks ran, {cached} were cached; {:.1} s on {}", record.wall_ms / 1e3, record.machine)));
    facts.push(fact("neuroflow", record.neuroflow.clone()));
    facts
}

fn dag(prepared: &Prepared, outcome: &RunOutcome, record: &RunRecord) -> Vec<DagNode> {
    let pipeline = &prepared.pipeline;
    let mut nodes: Vec<DagNode> = pipeline
        .inputs
        .iter()
        .zip(&record.inputs)
        .map(|(input, found)| DagNode {
            name: input.name.text.clone(),
            stage: found.taken.clone(),
            count: found.members.len(),
            needs: Vec::new(),
            wall_ms: 0.0,
            ran_cached: (0, 1),
            state: State::Cached,
            progress: None,
        })
        .collect();
    let inputs = nodes.len();
    // Declarations in the order of instances, so that each node comes after those that it needs.
    let mut order: Vec<usize> = Vec::new();
    let mut members = vec![0usize; pipeline.steps.len()];
    for instance in prepared.instances() {
        members[instance.decl] += 1;
        if members[instance.decl] == 1 {
            order.push(instance.decl);
        }
    }
    // What became of each declaration: tasks that ran, that were cached, milliseconds, and the worst.
    let mut became: Vec<(usize, usize, f64, Option<State>)> = vec![(0, 0, 0.0, None); pipeline.steps.len()];
    for (task, done) in outcome.tasks.iter().enumerate() {
        let (ran, cached, wall_ms, state) = &mut became[prepared.instances()[prepared.plan.step_of(task)].decl];
        match &done.state {
            TaskState::Ran => {
                *ran += 1;
                *wall_ms += f64::from(done.wall_ms);
            }
            TaskState::Cached { .. } => *cached += 1,
            TaskState::Failed(_) => *state = Some(State::Failed),
            TaskState::Skipped | TaskState::Unasked => *state = state.or(Some(State::Skipped)),
        }
    }
    for &decl in &order {
        let step = &pipeline.steps[decl];
        let (ran, cached, wall_ms, state) = became[decl];
        let mut needs: Vec<usize> = step
            .bindings
            .iter()
            .filter_map(|binding| match binding.reference.target {
                Target::Input(input) => Some(input),
                Target::Step(step) => order.iter().position(|known| *known == step).map(|place| inputs + place),
            })
            .collect();
        needs.sort_unstable();
        needs.dedup();
        nodes.push(DagNode {
            name: step.name.text.clone(),
            stage: step.stage.clone(),
            count: members[decl],
            needs,
            wall_ms,
            ran_cached: (ran, cached),
            state: state.unwrap_or(if ran > 0 { State::Ran } else { State::Cached }),
            progress: None,
        });
    }
    nodes
}
