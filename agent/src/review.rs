//! How a yes comes about. An [`Approval`] is made here and nowhere else.

use crate::proposal::{Proposal, ProposalId};
use crate::settings::{Autonomy, Settings};
use neuroflow_engine::Digest;
use serde::{Deserialize, Serialize};

/// What stands behind an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A client said that a person agreed; that may have been automatic.
    Client,
    /// A person at a terminal typed the beginning of the proposal's name.
    Terminal,
    /// The commit carries a signature.
    Signed,
}

impl Level {
    /// As it stands in commits.
    pub fn word(self) -> &'static str {
        match self {
            Level::Client => "client",
            Level::Terminal => "terminal",
            Level::Signed => "signed",
        }
    }
}

/// A person's yes to one proposal and its plan. It can't be copied, and is used up when it is applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval {
    proposal: ProposalId,
    plan: Option<Digest>,
    level: Level,
    by: String,
}

impl Approval {
    /// The proposal.
    pub fn proposal(&self) -> &ProposalId {
        &self.proposal
    }

    /// What the plan computes afterwards.
    pub fn plan(&self) -> Option<Digest> {
        self.plan
    }

    /// What stands behind it.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Who said yes.
    pub fn by(&self) -> &str {
        &self.by
    }
}

/// Somebody who can be asked.
pub trait Person {
    /// How sure it is that a person answers: a terminal, or a client that says so.
    fn level(&self) -> Level;
    /// Their name.
    fn name(&self) -> String;
    /// What they type when they are asked for the beginning of the proposal's name.
    fn confirm(&mut self, proposal: &ProposalId) -> Option<String>;
}

/// How much of the name must be typed: `p-` and four digits.
const LEAST_TYPED: usize = 6;

/// The level that a proposal needs.
pub fn needed(proposal: &Proposal, settings: &Settings) -> Level {
    let level = settings.level();
    if level == Level::Client && !may_be_client(proposal, settings) {
        return Level::Terminal;
    }
    level
}

/// Whether a client's word is enough: nothing that a person should look at twice, no free text seen, nothing but stages that are left to the agent, and
/// a cost that is known and below the limit.
fn may_be_client(proposal: &Proposal, settings: &Settings) -> bool {
    let cheap = proposal.cost.unknown == 0 && settings.most_seconds.is_none_or(|most| proposal.cost.seconds_90 <= most);
    let is_clean = proposal.warnings.is_empty() && proposal.seen.free_text.is_empty();
    let is_left_edit = |edit| stage_of(edit).is_some_and(|stage| settings.autonomy_of(&stage) < Autonomy::Ask);
    let is_left = proposal.files.iter().all(|file| !file.edits.is_empty() && file.edits.iter().all(is_left_edit));
    cheap && is_clean && is_left
}

/// The stage that an edit calls anew; none for anything that is not a plain new call.
pub(crate) fn stage_of(edit: &neuroflow_dsl::edit::Edit) -> Option<String> {
    use neuroflow_dsl::edit::Edit;
    match edit {
        Edit::InsertStep { call, .. } | Edit::ReplaceCall { call, .. } => Some(call.split('(').next()?.trim().to_owned()),
        _ => None,
    }
}

/// Asks a person; none when they did not say yes.
///
/// # Errors
/// When a yes of this person is not enough for the proposal, in words.
pub fn ask(proposal: &Proposal, settings: &Settings, person: &mut dyn Person) -> Result<Option<Approval>, String> {
    let id = proposal.id();
    let needed = needed(proposal, settings);
    // A signature is given at a terminal, with the commit.
    let asked_at = if needed == Level::Signed { Level::Terminal } else { needed };
    if person.level() < asked_at {
        return Err(format!("this proposal needs a yes at a terminal: run `neuroflow agent review {}`", id.short()));
    }
    let Some(typed) = person.confirm(&id) else { return Ok(None) };
    let typed = typed.trim();
    let typed = if typed.starts_with("p-") { typed.to_owned() } else { format!("p-{typed}") };
    if typed.len() < LEAST_TYPED || !id.as_str().starts_with(&typed) {
        return Ok(None);
    }
    let level = if needed == Level::Signed { Level::Signed } else { person.level() };
    Ok(Some(Approval { proposal: id, plan: proposal.plan_digest(), level, by: person.name() }))
}
