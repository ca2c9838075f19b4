//! The card: one proposal as a person reads it, with what it changes, what would run, what that costs and what was promised.
//!
//! A [`Card`] holds facts; each form (terminal, Markdown, HTML, JSON) is written from it, and every text passes [`crate::escape()`] there.

mod html;
mod markdown;
mod terminal;

pub use html::html;
pub use markdown::markdown;
pub use terminal::terminal;

use crate::diff::{Line, Mark, unified};
use crate::guard::Warning;
use crate::project::Project;
use crate::proposal::{Exposure, FileChange, Proposal, ProposalId};
use crate::review::{self, Level};
use crate::settings::Settings;
use crate::store::State;
use neuroflow_dsl::edit::Change;
use neuroflow_engine::Digest;
use neuroflow_engine::cost::CostEstimate;
use neuroflow_engine::delta::{DeltaRow, Fate, PlanDelta};
use neuroflow_engine::label;

/// A file on a card.
#[derive(Debug, Clone, PartialEq)]
pub struct FileOnCard {
    /// Its path.
    pub path: String,
    /// Lines that are new.
    pub added: usize,
    /// Lines that are no longer there.
    pub removed: usize,
    /// The difference; without the text that it was made for, the edits in words.
    pub lines: Vec<Line>,
}

/// A proposal, ready to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its name.
    pub id: ProposalId,
    /// Where it stands.
    pub state: State,
    /// What moved since it was made, for one that waits.
    pub moved: Option<String>,
    /// The question that it answers.
    pub intent: String,
    /// Who made it.
    pub by: String,
    /// The pipeline.
    pub pipeline: String,
    /// The files.
    pub files: Vec<FileOnCard>,
    /// Files with changes of a person's own that no commit holds.
    pub uncommitted: Vec<String>,
    /// What it does to the plan.
    pub plan: Option<PlanDelta>,
    /// What was predicted.
    pub predictions: Vec<String>,
    /// What it costs.
    pub cost: CostEstimate,
    /// What to look at twice.
    pub warnings: Vec<Warning>,
    /// What of the data was looked at.
    pub exposure: Exposure,
    /// Free text that was read.
    pub free_text: Vec<String>,
    /// How often held-out scores were looked at.
    pub looks: u64,
    /// The document itself, for programs.
    pub proposal: Proposal,
}

impl Card {
    /// The card of a proposal.
    pub fn of(project: &Project, proposal: &Proposal, state: State, moved: Option<String>, uncommitted: Vec<String>) -> Card {
        Card {
            id: proposal.id(),
            state,
            moved,
            intent: proposal.intent.clone(),
            by: proposal.origin.to_string(),
            pipeline: proposal.pipeline.clone(),
            files: proposal.files.iter().map(|file| shown(project, file)).collect(),
            uncommitted,
            plan: proposal.plan.clone(),
            predictions: proposal.predictions.clone(),
            cost: proposal.cost.clone(),
            warnings: proposal.warnings.clone(),
            exposure: proposal.seen.level,
            free_text: proposal.seen.free_text.clone(),
            looks: proposal.seen.looks,
            proposal: proposal.clone(),
        }
    }

    /// What was predicted, and whether that was before its results.
    fn predicted(&self) -> impl Iterator<Item = String> + '_ {
        self.predictions.iter().map(|condition| {
            let is_known = self.proposal.known.contains(condition);
            let when = if is_known { "its results were known: this predicts nothing" } else { "written before any result" };
            format!("{condition}   ({when})")
        })
    }

    /// That the same was offered before; none for the first time.
    fn again(&self) -> Option<String> {
        let times = match self.proposal.earlier {
            0 => return None,
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        Some(format!("the same was offered {times} before, and answered; `neuroflow agent log` says how"))
    }

    /// The level that a yes to what is on this card needs.
    pub fn needs(&self, settings: &Settings) -> Level {
        let shown = Proposal { cost: self.cost.clone(), warnings: self.warnings.clone(), ..self.proposal.clone() };
        review::needed(&shown, settings)
    }

    /// `4 of 61 tasks would run: 3 new, 1 changed; 57 are in the cache`.
    fn runs(&self) -> Option<String> {
        let plan = self.plan.as_ref()?;
        let mut parts = Vec::new();
        for (fate, word) in [(Fate::New, "new"), (Fate::Changed, "changed"), (Fate::Gone, "gone")] {
            match plan.count(fate) {
                0 => {}
                count => parts.push(format!("{count} {word}")),
            }
        }
        let known = plan.count(Fate::New) + plan.count(Fate::Changed) - plan.runs();
        for (count, word) in [(known, "of them known already"), (plan.cached, "cached"), (plan.pending, "not run yet")] {
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        if !plan.later.is_empty() {
            parts.push(format!("later: {}", plan.later.join(", ")));
        }
        Some(format!("{} of {} tasks   {}", plan.runs(), plan.tasks, parts.join(" · ")))
    }

    /// Why tasks change: each reason once, with the steps that it holds for.
    fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        let rows = || self.plan.iter().flat_map(|plan| &plan.rows);
        for row in rows() {
            // The draws of a control change, come and go with the call that they are of, and that needs no word.
            let with_call = |other: &DeltaRow| other.part.is_empty() && other.step == row.step && other.fate == row.fate;
            if row.part == "controls" || !row.part.is_empty() && rows().any(with_call) {
                continue;
            }
            let why = match row.fate {
                Fate::New => "new".to_owned(),
                Fate::Gone => "gone".to_owned(),
                Fate::Changed => row.because.join("; "),
            };
            let step = label::step_name(&row.step).to_owned();
            let name = if row.part.is_empty() { step } else { format!("{step} · {}", row.part) };
            match reasons.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) if names.contains(&name) => {}
                Some((_, names)) => names.push(name),
                None => reasons.push((why, vec![name])),
            }
        }
        reasons.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect()
    }

    fn costs(&self) -> String {
        let cost = &self.cost;
        let mut parts = Vec::new();
        if cost.known > 0 {
            parts.push(format!("{} one after the other (9 of 10: {})", seconds(cost.seconds), seconds(cost.seconds_90)));
        }
        if let Some(peak) = cost.peak_bytes {
            parts.push(format!("{:.0} MiB", peak as f64 / f64::from(1 << 20)));
        }
        if cost.unknown > 0 {
            parts.push(format!("unknown for {} tasks: {} never ran here", cost.unknown, cost.unknown_stages.join(", ")));
        }
        if parts.is_empty() { "nothing runs".into() } else { parts.join(" · ") }
    }

    fn read(&self) -> String {
        let level = match self.exposure {
            Exposure::Schema => "names and shapes",
            Exposure::Aggregate => "names, shapes and aggregates",
            Exposure::Sample => "single values",
        };
        let looks = if self.looks == 0 { String::new() } else { format!("; looked at held-out scores {} times", self.looks) };
        if self.free_text.is_empty() {
            return format!("{level}; no free text{looks}");
        }
        format!("{level}; FREE TEXT that somebody else wrote: {}{looks}", self.free_text.join(", "))
    }

    /// One line a row of the plan, for who wants all of them.
    pub fn tasks(&self) -> Vec<String> {
        let row = |row: &DeltaRow| {
            let part = if row.part.is_empty() { String::new() } else { format!(" · {}", row.part) };
            let fate = match row.fate {
                Fate::New => "new",
                Fate::Changed => "changed",
                Fate::Gone => "gone",
            };
            let why = if row.because.is_empty() { String::new() } else { format!(": {}", row.because.join("; ")) };
            crate::escape_line(&format!("{}{part}: {} tasks {fate}, {} would run{why}", row.step, row.tasks, row.runs))
        };
        self.plan.iter().flat_map(|plan| &plan.rows).map(row).collect()
    }
}

/// A card as JSON.
pub fn json(card: &Card) -> serde_json::Value {
    serde_json::json!({
        "id": card.id,
        "state": card.state.word(),
        "moved": card.moved,
        "uncommitted": card.uncommitted,
        "text": terminal(card, false),
        "proposal": card.proposal,
    })
}

fn shown(project: &Project, file: &FileChange) -> FileOnCard {
    let applied = base(project, file).and_then(|text| file.apply(&text).ok().map(|after| unified(&text, &after, 2)));
    let lines = applied.unwrap_or_else(|| in_words(file));
    let count = |mark: Mark| lines.iter().filter(|line| line.mark == mark).count();
    FileOnCard { path: file.path.clone(), added: count(Mark::Added), removed: count(Mark::Removed), lines }
}

/// The text that a change was made for: what the file says, what it said before the change, or what ran then; none when it is found nowhere.
fn base(project: &Project, file: &FileChange) -> Option<String> {
    let now = project.read(&file.path).ok().flatten();
    if now.as_ref().map(|text| Digest::of(text.as_bytes())) == file.base {
        return Some(now.unwrap_or_default());
    }
    let ran = || String::from_utf8(project.session.cache.get_whole(&file.base?).ok()??.to_vec()).ok();
    now.and_then(|text| file.undo(&text)).or_else(ran)
}

/// A change without the text that it was made for.
fn in_words(file: &FileChange) -> Vec<Line> {
    let line = |mark, text: &str| Line { mark, number: 0, text: text.to_owned() };
    if !file.edits.is_empty() {
        return file.edits.iter().map(|edit| line(Mark::Added, &serde_json::to_string(edit).unwrap_or_default())).collect();
    }
    let of_change = |change: &Change| {
        let old = change.old.lines().map(|text| line(Mark::Removed, text));
        old.chain(change.new.lines().map(|text| line(Mark::Added, text))).collect::<Vec<_>>()
    };
    file.changes.iter().flat_map(of_change).collect()
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
