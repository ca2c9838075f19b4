//! After the run: what was predicted, and what came.

use crate::gate::{Gate, GateError};
use crate::ledger::{Entry, Event, Ledger};
use crate::proposal::{Proposal, ProposalId};
use neuroflow_engine::record::RunRecord;
use neuroflow_engine::schedule::RunOutcome;
use neuroflow_engine::session::{Prepared, judge};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// A prediction and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The condition as it was predicted.
    pub condition: String,
    /// Whether it holds; none when it can't be told from this run.
    pub holds: Option<bool>,
    /// The condition with the numbers filled in, or why it can't be told.
    pub numbers: String,
    /// Whether its results were there when it was written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

impl Judged {
    /// In a word.
    pub fn word(&self) -> &'static str {
        match self.holds {
            Some(true) => "held",
            Some(false) => "failed",
            None => "not testable",
        }
    }

    /// The numbers, and what takes the worth from them.
    pub fn told(&self) -> String {
        if self.known { format!("{}; its results were known when it was written", self.numbers) } else { self.numbers.clone() }
    }
}

/// How good predictions were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calibration {
    /// Those that held.
    pub held: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that could not be tested.
    pub untested: usize,
    /// Those whose results were there when they were written; they count for none of the others.
    pub known: usize,
    /// For each compared proposal with a known cost: estimated seconds, the seconds that nine of ten should keep, and what it took.
    pub costs: Vec<(f64, f64, f64)>,
}

/// Applied proposals of a pipeline whose predictions were never compared.
///
/// # Errors
/// When the ledger can't be read.
pub fn waiting(gate: &Gate, pipeline: &str) -> Result<Vec<(ProposalId, Proposal)>, GateError> {
    let entries = Ledger::read(&gate.store().ledger())?;
    let of = |event: Event| entries.iter().filter(move |entry| entry.event == event).filter_map(|entry| entry.proposal.clone());
    let compared: HashSet<ProposalId> = of(Event::Compared).collect();
    let applied = of(Event::Applied).filter(|id| !compared.contains(id));
    let read = applied.filter_map(|id| gate.store().proposal(&id).ok().map(|proposal| (id, proposal)));
    Ok(read.filter(|(_, proposal)| proposal.pipeline == pipeline && proposal.plan.is_some()).collect())
}

/// Compares the predictions of applied proposals with a run of their pipeline, and notes what came of them.
///
/// # Errors
/// When the ledger can't be read or written.
pub fn compare(
    gate: &Gate,
    pipeline: &str,
    text: &str,
    prepared: &Prepared,
    outcome: &RunOutcome,
    record: &RunRecord,
) -> Result<Vec<(ProposalId, Vec<Judged>)>, GateError> {
    let mut all = Vec::new();
    for (id, proposal) in waiting(gate, pipeline)? {
        let known = |condition: &String| proposal.known.contains(condition);
        let judged: Vec<Judged> = proposal
            .predictions
            .iter()
            .map(|condition| Judged { known: known(condition), ..judged(gate, pipeline, text, condition, prepared, outcome) })
            .collect();
        // A run that ended early says nothing; a later one will.
        if judged.iter().any(|one| one.holds.is_none()) && !outcome.is_complete() {
            continue;
        }
        let took: f64 = record.ran.iter().map(|ran| ran.usage.wall_ms / 1e3).sum();
        let mut entry = Entry::now(Event::Compared, Some(&id), &crate::person_name());
        entry.detail = serde_json::json!({
            "run": record.id,
            "predictions": judged,
            "estimated_s": proposal.cost.seconds,
            "estimated_90_s": proposal.cost.seconds_90,
            "unknown": proposal.cost.unknown,
            "took_s": took,
            "looks": proposal.seen.looks,
        });
        gate.note(entry)?;
        all.push((id, judged));
    }
    Ok(all)
}

fn judged(gate: &Gate, pipeline: &str, text: &str, condition: &str, prepared: &Prepared, outcome: &RunOutcome) -> Judged {
    let untestable = |numbers: String| Judged { condition: condition.to_owned(), holds: None, numbers, known: false };
    match gate.project().predicted(pipeline, text, condition, &BTreeMap::new()) {
        Ok(further) => match judge(prepared, outcome, &further).into_iter().next_back() {
            Some(decided) => Judged { condition: condition.to_owned(), holds: decided.holds, numbers: decided.numbers, known: false },
            None => untestable("its steps were not asked for in this run".into()),
        },
        Err(error) => untestable(error.to_string()),
    }
}

/// How good the predictions of a ledger were.
pub fn calibration(entries: &[Entry]) -> Calibration {
    let mut found = Calibration::default();
    for entry in entries.iter().filter(|entry| entry.event == Event::Compared) {
        let judged: Vec<Judged> = serde_json::from_value(entry.detail["predictions"].clone()).unwrap_or_default();
        for one in &judged {
            match one.holds {
                _ if one.known => found.known += 1,
                Some(true) => found.held += 1,
                Some(false) => found.failed += 1,
                None => found.untested += 1,
            }
        }
        let number = |key: &str| entry.detail[key].as_f64().unwrap_or(0.0);
        if entry.detail["unknown"].as_u64() == Some(0) && number("estimated_s") > 0.0 {
            found.costs.push((number("estimated_s"), number("estimated_90_s"), number("took_s")));
        }
    }
    found
}
