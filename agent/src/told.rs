//! What a client's yes did where the person wants to be told (`"notify"`): it is said once, at the next terminal.

use crate::gate::{Gate, GateError};
use crate::ledger::{Entry, Event, Ledger};
use crate::proposal::{Proposal, ProposalId};
use crate::review::{Level, stage_of};
use crate::settings::Autonomy;
use std::collections::BTreeSet;

/// Proposals that a client's yes applied and that the person was not told of: who said yes, and what.
///
/// # Errors
/// When the ledger can't be read.
pub fn untold(gate: &Gate) -> Result<Vec<(String, Proposal)>, GateError> {
    let entries = Ledger::read(&gate.store().ledger())?;
    let told: BTreeSet<&ProposalId> = of(&entries, Event::Told).map(|(id, _)| id).collect();
    let by_client = of(&entries, Event::Approving).filter(|(_, entry)| entry.level == Some(Level::Client));
    let by_client: Vec<(&ProposalId, &Entry)> = by_client.collect();
    let done = of(&entries, Event::Applied).filter(|(id, _)| !told.contains(id));
    let done = done.filter_map(|(id, _)| {
        let (_, yes) = by_client.iter().find(|(known, _)| *known == id)?;
        let proposal = gate.store().proposal(id).ok()?;
        let settings = &gate.project().settings;
        let is_wanted = |edit| stage_of(edit).is_some_and(|stage| settings.autonomy_of(&stage) == Autonomy::Notify);
        proposal.files.iter().flat_map(|file| &file.edits).any(is_wanted).then(|| (yes.actor.clone(), proposal))
    });
    Ok(done.collect())
}

fn of(entries: &[Entry], event: Event) -> impl Iterator<Item = (&ProposalId, &Entry)> {
    entries.iter().filter(move |entry| entry.event == event).filter_map(|entry| Some((entry.proposal.as_ref()?, entry)))
}
