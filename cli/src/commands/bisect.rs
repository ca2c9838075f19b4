//! `neuroflow bisect`: the commit from which on a condition on scores holds.

use super::data::runtime;
use super::run::{Job, Wish, options};
use super::source::{Source, told};
use super::{Place, print_diagnostics, settings_of};
use crate::arguments::{Bisect, MessageFormat, Run};
use crate::exit::{Exit, Failure};
use neuroflow_agent::escape_line;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::{Checked, Diagnostic};
use neuroflow_engine::bisect::{Bisection, Verdict};
use neuroflow_engine::files::Revision;
use neuroflow_engine::git::{self, Committed, Line};
use neuroflow_engine::schedule::RunOptions;
use neuroflow_engine::select::Selection;
use neuroflow_engine::session::{Clock, Purpose, Session, decide};
use neuroflow_stage::CancelToken;
use std::collections::BTreeSet;
use std::path::Path;

/// So many lines of a difference, and so many commits or files, are shown.
const MOST_SHOWN: usize = 40;

/// What a search works with.
struct Search<'a> {
    bisect: &'a Bisect,
    session: Session,
    options: RunOptions,
    runtime: tokio::runtime::Runtime,
    set: Vec<(String, String)>,
    /// What a person should know about where data came from.
    notes: BTreeSet<String>,
}

/// What was found out about a commit.
struct Looked {
    verdict: Verdict,
    /// The numbers, or why there are none.
    said: String,
    /// Tasks that ran, and tasks that were in the cache; none when nothing was run.
    tasks: Option<(usize, usize)>,
    /// What is wrong with the condition there.
    mistakes: Vec<Diagnostic>,
}

impl Looked {
    fn skipped(why: impl Into<String>) -> Looked {
        let said = why.into().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        Looked { verdict: Verdict::Skipped, said, tasks: None, mistakes: Vec::new() }
    }
}

pub(crate) fn bisect(place: &Place, bisect: &Bisect) -> Result<Exit, Failure> {
    if bisect.bad.contains(['\n', '\r']) || bisect.bad.trim().is_empty() {
        return Err(Failure {
            exit: Exit::WrongPipeline,
            message: "a condition is one line, such as `scene.accuracy < 0.5`".into(),
            help: None,
        });
    }
    let set = settings_of(&bisect.set)?;
    let line = git::line(&bisect.file, &bisect.from, bisect.good.as_deref()).map_err(told)?;
    let count = line.commits.len();
    let Some(newest) = count.checked_sub(1) else {
        let failure = Failure::could_not_start(format!(
            "there is no commit between `{}` and `{}`",
            bisect.good.as_deref().unwrap_or_default(),
            bisect.from
        ));
        return Err(failure.with_help("`--good` names an older commit than `--from`"));
    };
    let session = place.session()?;
    let run = Run { cores: bisect.cores, ..Run::of(&bisect.file) };
    let options = options(place, &run, String::new(), session.cache.root())?;
    let mut search = Search { bisect, session, options, runtime: runtime()?, set, notes: BTreeSet::new() };
    println!("{count} commits along first parents, at most {} of them are run", 1 + count.next_power_of_two().ilog2());
    let mut numbers: Vec<Option<String>> = vec![None; count];
    let mut look = |search: &mut Search<'_>, at: usize| -> Result<Looked, Failure> {
        let looked = search.look(&line.commits[at])?;
        print(&line.commits[at], &looked);
        if looked.verdict != Verdict::Skipped {
            numbers[at] = Some(looked.said.clone());
        }
        Ok(looked)
    };
    let first = look(&mut search, newest)?;
    if !first.mistakes.is_empty() {
        // Where the search begins, a condition that does not fit is a mistake.
        let text = format!("expect {}\n", bisect.bad);
        print_diagnostics(Path::new("--bad"), &text, &first.mistakes, MessageFormat::Text);
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    match first.verdict {
        Verdict::Bad => {}
        Verdict::Good => {
            let failure = Failure::could_not_start(format!("`{}` does not hold at {}", escape_line(&bisect.bad), bisect.from));
            return Err(failure.with_help("`--from` names a commit at which it holds"));
        }
        Verdict::Skipped => return Err(Failure::could_not_start(format!("{} can't be decided: {}", bisect.from, first.said))),
    }
    let mut bisection = Bisection::new(count);
    while let Some(at) = bisection.next() {
        let looked = look(&mut search, at)?;
        bisection.tell(at, looked.verdict);
    }
    search.notes.iter().for_each(|note| println!("note: {}", escape_line(note)));
    let found: Vec<usize> = bisection.answer().collect();
    match found.as_slice() {
        [one] => {
            let before = bisection.good().and_then(|good| numbers[good].clone());
            search.conclude(&line, *one, before.as_deref(), numbers[*one].as_deref());
            Ok(Exit::Done)
        }
        several => {
            println!(
                "\n`{}` began to hold with one of {} commits; the others of them could not be decided:",
                escape_line(&bisect.bad),
                several.len()
            );
            for at in several.iter().rev().take(MOST_SHOWN) {
                println!("  {} {}", line.commits[*at].short(), escape_line(&line.commits[*at].subject));
            }
            if several.len() > MOST_SHOWN {
                println!("  and {} more", several.len() - MOST_SHOWN);
            }
            Ok(Exit::ExpectFailed)
        }
    }
}

fn print(commit: &Committed, looked: &Looked) {
    let verdict = match looked.verdict {
        Verdict::Good => "good",
        Verdict::Bad => "bad",
        Verdict::Skipped => "skipped",
    };
    let tasks = looked.tasks.map(|(ran, cached)| format!(" ({ran} tasks ran, {cached} cached)")).unwrap_or_default();
    println!("{}  {verdict:<7}  {}{tasks}  {}", commit.short(), escape_line(&looked.said), escape_line(&commit.subject));
}

impl Search<'_> {
    /// Decides the condition at a commit: only the steps that it names are run, and only what the cache lacks.
    fn look(&mut self, commit: &Committed) -> Result<Looked, Failure> {
        let file = &self.bisect.file;
        let revision = Revision::open(file, &commit.id).map_err(told)?;
        let source = match Source::at_revision(&mut self.session, &revision, file, self.set.clone()) {
            Ok(source) => source,
            Err(failure) => return Ok(Looked::skipped(failure.message)),
        };
        let checked = source.check(&self.session.registry);
        if let Some(first) = errors(&checked).next() {
            return Ok(Looked::skipped(format!("the pipeline is wrong: {}", first.message)));
        }
        // The line of the condition stands behind the text; its places are told as if it stood alone.
        let further = source.check_with_line(&format!("expect {}", self.bisect.bad), &self.session.registry);
        let begin = source.text.len() + 1;
        let mut mistakes: Vec<Diagnostic> = errors(&further).cloned().collect();
        if has_errors(&further.diagnostics) || further.pipeline.expects.len() != checked.pipeline.expects.len() + 1 {
            for mistake in &mut mistakes {
                mistake.span = mistake.span.start.saturating_sub(begin)..mistake.span.end.saturating_sub(begin);
            }
            let said = mistakes.first().map_or_else(|| "it is no condition".to_owned(), |first| first.message.clone());
            return Ok(Looked { mistakes, ..Looked::skipped(format!("the condition does not fit: {said}")) });
        }
        let Some(expect) = further.pipeline.expects.last() else { return Ok(Looked::skipped("it is no condition")) };
        let until = expect.steps.iter().filter_map(|step| Some(checked.pipeline.steps.get(*step)?.name.text.clone())).collect();
        let (clock, run_id) = Clock::start();
        let options = RunOptions { run_id, cancel: CancelToken::new(), ..self.options.clone() };
        let selection = Selection { until, ..Selection::default() };
        let wish = Wish { purpose: Purpose::Run, controls: true, selection, format: MessageFormat::Text };
        let job =
            Job { session: &self.session, source: &source, pipeline: &checked.pipeline, wish, options: &options, runtime: &self.runtime };
        let (prepared, outcome) = match job.carried_out(true, None, |_| {}) {
            Ok(carried) => carried,
            Err(failure) if failure.exit == Exit::Bug => return Err(failure),
            Err(failure) => {
                return Ok(Looked::skipped(if failure.message.is_empty() { "it can't be prepared".into() } else { failure.message }));
            }
        };
        self.notes.extend(prepared.files.remarks());
        let record =
            self.session.record(&prepared, &outcome, &source.info(&checked), &options, &clock).map_err(Failure::could_not_start)?;
        if let Err(error) = self.session.write(&record) {
            eprintln!("warning: the run could not be recorded: {error}");
        }
        if outcome.cancelled {
            return Err(Failure {
                exit: Exit::Interrupted,
                message: "stopped; what was computed is kept, and the same command goes on".into(),
                help: None,
            });
        }
        let tasks = Some((record.counts.ran, record.counts.cached));
        if !outcome.is_complete() {
            let failed =
                record.ran.iter().find_map(|ran| Some(format!("step `{}` failed: {}", ran.label, ran.error.as_deref()?.lines().next()?)));
            return Ok(Looked { tasks, ..Looked::skipped(failed.unwrap_or_else(|| "the run did not end".into())) });
        }
        Ok(match decide(&prepared, &outcome, expect) {
            Ok(decided) => {
                let verdict = if decided.holds { Verdict::Bad } else { Verdict::Good };
                Looked { verdict, said: decided.numbers, tasks, mistakes: Vec::new() }
            }
            Err(reason) => Looked { tasks, ..Looked::skipped(reason) },
        })
    }

    /// The commit, and what changed in the pipeline there.
    fn conclude(&self, line: &Line, at: usize, before: Option<&str>, now: Option<&str>) {
        let commit = &line.commits[at];
        let condition = escape_line(&self.bisect.bad);
        if at == 0 && before.is_none() && self.bisect.good.is_none() {
            match line.is_cut {
                true => println!(
                    "\n`{condition}` holds already at the oldest commit of this shallow clone; `git fetch --unshallow` brings what was before:"
                ),
                false => println!("\n`{condition}` holds from the first commit on:"),
            }
        } else {
            println!("\n`{condition}` began to hold with commit {}", commit.id);
        }
        println!("  author  {}", escape_line(&commit.author));
        println!("  date    {}", commit.written());
        println!("  subject {}", escape_line(&commit.subject));
        match (before, now) {
            (Some(before), Some(now)) => println!("  before  {}\n  then    {}", escape_line(before), escape_line(now)),
            (None, Some(now)) => println!("  then    {}", escape_line(now)),
            _ => {}
        }
        self.tell_change(commit);
    }

    fn tell_change(&self, commit: &Committed) {
        let file = &self.bisect.file;
        let Ok(revision) = Revision::open(file, &commit.id) else { return };
        let path = revision.path_of(file).unwrap_or_else(|| file.display().to_string());
        let text = |id: &str| Revision::open(file, id).ok().and_then(|revision| revision.text(file));
        let (before, after) = (commit.parent.as_deref().and_then(text), text(&commit.id));
        match (&before, &after) {
            (None, Some(_)) => println!("  {} came with it", escape_line(&path)),
            (Some(before), Some(after)) if before == after => println!("  {} is the same as before", escape_line(&path)),
            (Some(before), Some(after)) => {
                println!("changed in {}:", escape_line(&path));
                let difference = git::text_diff(&path, before, after);
                // Without the head, which says the path once more.
                let lines = difference.lines().skip_while(|line| !line.starts_with("@@"));
                let lines: Vec<&str> = lines.collect();
                lines.iter().take(MOST_SHOWN).for_each(|line| println!("  {}", escape_line(line)));
                if lines.len() > MOST_SHOWN {
                    println!("  and {} lines more: git show {}", lines.len() - MOST_SHOWN, commit.short());
                }
            }
            _ => {}
        }
        let others = git::changed_by(file, &commit.id).unwrap_or_default();
        let others: Vec<String> = others.into_iter().filter(|other| *other != path).map(|other| escape_line(&other)).collect();
        if !others.is_empty() {
            let more = others.len().saturating_sub(MOST_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            println!("also changed: {}{more}", others.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join(", "));
        }
    }
}

fn errors(checked: &Checked) -> impl Iterator<Item = &Diagnostic> {
    checked.diagnostics.iter().filter(|one| has_errors(std::slice::from_ref(one)))
}
