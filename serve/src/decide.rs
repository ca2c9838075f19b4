//! Decisions about proposals: the same gate as at a terminal, at the level of a client.

use neuroflow_agent::{Applied, Gate, GateError, Level, Person, ProposalId, State, ask, terminal};
use serde::Serialize;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 2000;

/// A proposal as the page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: String,
    /// The beginning that is to be typed for a yes.
    begins: String,
    short: String,
    state: &'static str,
    /// The card, as at a terminal.
    card: String,
    /// Whether a yes on this page counts.
    here: bool,
    /// Why not, with what to type instead.
    elsewhere: Option<String>,
    pipeline: String,
}

/// Somebody who holds the link to the page.
struct AtPage {
    typed: String,
}

impl Person for AtPage {
    /// The page can't tell a person from a program that holds the link, so a click on it is worth what a client's word is.
    fn level(&self) -> Level {
        Level::Client
    }

    fn name(&self) -> String {
        neuroflow_agent::person_name()
    }

    fn confirm(&mut self, _proposal: &ProposalId) -> Option<String> {
        Some(self.typed.clone())
    }
}

/// Why a decision did not come about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has to be given elsewhere.
    Elsewhere(String),
    /// It can't be done as things are.
    Not(String),
}

/// A proposal with its card.
///
/// # Errors
/// When it can't be read, in words.
pub(crate) async fn shown(gate: &Gate, id: &ProposalId) -> Result<Shown, String> {
    let proposal = gate.store().proposal(id)?;
    let card = gate.card(id).await.map_err(|error| error.to_string())?;
    let (state, waits, uncommitted) = (card.state, card.state == State::Offered && card.moved.is_none(), &card.uncommitted);
    let level = card.needs(&gate.settings().map_err(|error| error.to_string())?);
    let at_terminal = format!("run `neuroflow agent review {}` in your own terminal", id.short());
    let elsewhere = match level {
        _ if !waits => None,
        Level::Client if uncommitted.is_empty() => None,
        Level::Client => {
            Some(format!("{} has changes that are not committed; commit them first, or {at_terminal}", uncommitted.join(", ")))
        }
        level => Some(format!("this proposal needs a yes by {}: {at_terminal}", level.word())),
    };
    let short = id.short().to_owned();
    Ok(Shown {
        id: id.as_str().to_owned(),
        begins: short.chars().take(6).collect(),
        here: waits && elsewhere.is_none(),
        state: if waits || state != State::Offered { state.word() } else { State::Stale.word() },
        elsewhere,
        pipeline: proposal.pipeline.clone(),
        card: terminal(&card, false),
        short,
    })
}

/// A yes. Nothing is run by it.
///
/// # Errors
/// When it is not enough, is not about this proposal, or the gate refuses.
pub(crate) async fn approve(gate: &Gate, id: &ProposalId, typed: &str) -> Result<Applied, Refusal> {
    let proposal = gate.store().proposal(id).map_err(Refusal::Not)?;
    let mut person = AtPage { typed: typed.to_owned() };
    let settings = gate.settings().map_err(|error| Refusal::Not(error.to_string()))?;
    let approval = ask(&proposal, &settings, &mut person).map_err(Refusal::Elsewhere)?;
    let Some(approval) = approval else {
        return Err(Refusal::Not(format!("that is not its name; type {} to say yes", id.short().chars().take(6).collect::<String>())));
    };
    gate.apply(&proposal, approval, false).await.map_err(|error| match error {
        GateError::Level(..) => Refusal::Elsewhere(error.to_string()),
        other => Refusal::Not(other.to_string()),
    })
}

/// A no, with its reason.
///
/// # Errors
/// When it was answered before, or can't be noted.
pub(crate) fn reject(gate: &Gate, id: &ProposalId, reason: &str) -> Result<(), Refusal> {
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    gate.reject(id, &reason, &neuroflow_agent::person_name()).map_err(|error| Refusal::Not(error.to_string()))
}
