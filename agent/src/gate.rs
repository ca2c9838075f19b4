//! The gate: the one place that changes files of a project, and only with an approval in hand.

use crate::aside::until_stopped;
use crate::card::Card;
use crate::commit::{self, CommitError};
use crate::guard::Warning;
use crate::ledger::{Entry, Event, Ledger, LedgerError};
use crate::project::{Project, Wrong};
use crate::proposal::{Draft, Proposal, ProposalId};
use crate::review::{self, Approval, Level};
use crate::secret::KeySource;
use crate::settings::Settings;
use crate::store::{self, State, Status, Store};
use neuroflow_engine::Digest;
use neuroflow_engine::delta::DeltaRow;
use std::collections::HashMap;
use std::io;

/// The gate of a project.
pub struct Gate {
    project: Project,
    store: Store,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The commit, where there is version control.
    pub commit: Option<String>,
    /// The files that were written.
    pub files: Vec<String>,
}

/// Why a change was not made. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The approval is of something else.
    #[error("the approval is of another proposal than this one; ask again")]
    NotApproved,
    /// Another level is needed.
    #[error("this proposal needs an approval by {}, and this one is by {}", .0.word(), .1.word())]
    Level(Level, Level),
    /// It was answered before.
    #[error("proposal {} is {} already; a proposal is used once", .0.short(), .1.word())]
    Answered(ProposalId, State),
    /// What it was made for has changed.
    #[error("proposal {} is stale: {what}. It can still be read; propose again from what is there now", .id.short())]
    Stale {
        /// The proposal.
        id: ProposalId,
        /// What moved.
        what: String,
    },
    /// The file is being worked on.
    #[error("{} has changes that are not committed", .0.join(", "))]
    Uncommitted(Vec<String>),
    /// The ledger can't be written, so nothing is changed: the record is the point.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Git refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A file can't be read or written.
    #[error("{what}: {error}")]
    File {
        /// Which.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// It no longer checks.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// It can't be read.
    #[error("{0}")]
    Proposal(String),
}

impl Gate {
    /// The gate of a project.
    pub fn of(project: Project) -> Gate {
        // Read for nothing but to be known, and looked for in all that is kept; one of a keyring is known once a model was asked with it.
        if let Ok(source @ (KeySource::Variable(_) | KeySource::File(_))) =
            KeySource::from_settings("neuroflow.toml", project.settings.key_settings())
        {
            let _ = source.read(|name| std::env::var(name).ok(), &project.root);
        }
        let store = Store::of(&project.root);
        Gate { project, store }
    }

    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The agent's folder.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps a proposal and notes that it waits for an answer. Gives it as it waits: what was answered before is not asked again under its old name, whose yes
    /// or no is used, but is another offer with a name and an answer of its own.
    ///
    /// # Errors
    /// When it can't be kept or noted.
    pub fn offer(&self, mut proposal: Proposal, actor: &str) -> Result<Proposal, GateError> {
        let mut ledger = self.held()?;
        let states: HashMap<ProposalId, State> = store::states(ledger.entries()).into_iter().map(|known| (known.id, known.state)).collect();
        let mut state = states.get(&proposal.id());
        while state.is_some_and(|state| *state != State::Offered) {
            proposal.earlier = proposal.earlier.saturating_add(1);
            state = states.get(&proposal.id());
        }
        let id = self.store.keep(&proposal).map_err(|error| GateError::File { what: "the proposal can't be kept".into(), error })?;
        if state.is_none() {
            ledger.append(Entry::now(Event::Offered, Some(&id), actor))?;
        }
        Ok(proposal)
    }

    /// Puts in order what a killed process left behind: a change that was committed is noted, any other is taken back. Nothing is touched, and nobody is
    /// waited for, when there is nothing of the kind.
    ///
    /// # Errors
    /// When the ledger can't be read, held or written.
    pub fn mend(&self) -> Result<(), GateError> {
        if unfinished(&Ledger::read(&self.store.ledger())?).is_some() {
            self.held()?;
        }
        Ok(())
    }

    /// Where all proposals stand.
    ///
    /// # Errors
    /// When the ledger can't be read.
    pub fn statuses(&self) -> Result<Vec<Status>, GateError> {
        Ok(store::states(&Ledger::read(&self.store.ledger())?))
    }

    /// Where a proposal stands, with what moved since it was made.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn freshness(&self, id: &ProposalId) -> Result<Option<String>, GateError> {
        let proposal = self.store.proposal(id).map_err(GateError::Proposal)?;
        Ok(match self.again(&proposal).await? {
            Again::Same(_) => None,
            Again::Moved(what) => Some(what),
        })
    }

    /// The card of a proposal as it stands now. For one that waits, what it does is worked out anew: the file may have come with the project, and say anything.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn card(&self, id: &ProposalId) -> Result<Card, GateError> {
        let proposal = self.store.proposal(id).map_err(GateError::Proposal)?;
        let state = self.statuses()?.into_iter().find(|status| status.id == *id).map_or(State::Offered, |status| status.state);
        let shown = |moved, uncommitted| Card::of(&self.project, &proposal, state, moved, uncommitted);
        if state != State::Offered {
            return Ok(shown(None, Vec::new()));
        }
        let mut card = match self.again(&proposal).await? {
            Again::Moved(what) => shown(Some(what), Vec::new()),
            Again::Same(now) => {
                let mut card = shown(None, self.uncommitted(&proposal));
                (card.plan, card.cost, card.warnings) = (now.plan, now.cost, now.warnings);
                card
            }
        };
        if commit::is_followed(&self.project.root, &self.store.file_of(id)) {
            let told = "it came with the project's files: who made it, and what they had read, is only what it says itself";
            card.warnings.push(Warning::new("origin", told));
        }
        Ok(card)
    }

    /// What is set now, for the agent: a project's settings, or the person's own, may have been made stricter since this began. The strictest counts.
    ///
    /// # Errors
    /// When neuroflow.toml, or the person's own file, can't be read.
    pub fn settings(&self) -> Result<Settings, GateError> {
        let files = [Some(self.project.root.join("neuroflow.toml")), self.project.own.clone()];
        files.into_iter().flatten().try_fold(self.project.settings.clone(), |settings, file| {
            let name = || file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let told = |error: io::Error| GateError::File { what: format!("{} can't be read", name()), error };
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    let now = Settings::parse(&text).map_err(|error| told(io::Error::other(error.to_string())))?;
                    Ok(settings.and(now))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(settings),
                Err(error) => Err(told(error)),
            }
        })
    }

    /// Notes a no.
    ///
    /// # Errors
    /// When it was answered before, or can't be noted.
    pub fn reject(&self, id: &ProposalId, reason: &str, actor: &str) -> Result<(), GateError> {
        self.close(id, Event::Rejected, reason, actor)
    }

    /// Notes that the proposer took it back.
    ///
    /// # Errors
    /// When it was answered before, or can't be noted.
    pub fn withdraw(&self, id: &ProposalId, actor: &str) -> Result<(), GateError> {
        self.close(id, Event::Withdrawn, "", actor)
    }

    fn close(&self, id: &ProposalId, event: Event, reason: &str, actor: &str) -> Result<(), GateError> {
        let mut ledger = self.held()?;
        open(ledger.entries(), id)?;
        let reason = reason.trim().to_owned();
        ledger.append(Entry { reason, ..Entry::now(event, Some(id), actor) })?;
        Ok(())
    }

    /// Notes something beside the life of a proposal.
    ///
    /// # Errors
    /// When it can't be noted.
    pub fn note(&self, entry: Entry) -> Result<(), GateError> {
        self.held()?.append(entry)?;
        Ok(())
    }

    /// Files of a proposal with changes of their own that no commit holds; with them, a commit of the proposal would not be the proposal alone.
    /// Without them where git can't say; a change is then not made either.
    pub fn uncommitted(&self, proposal: &Proposal) -> Vec<String> {
        commit::uncommitted(&self.project.root, &paths(proposal)).unwrap_or_default()
    }

    /// Makes an approved change: the files are written, and committed where there is version control. `with_own` first commits what a person changed in the
    /// same files, as a commit of its own. Whoever waits for it may stop: what it does is worked out anew first, and only then, without a pause, made.
    ///
    /// # Errors
    /// When the approval is of something else, was used, or is not enough; when what the proposal was made for has changed; when something can't be
    /// written. Then nothing is changed.
    pub async fn apply(&self, proposal: &Proposal, approval: Approval, with_own: bool) -> Result<Applied, GateError> {
        let id = proposal.id();
        if *approval.proposal() != id || approval.plan() != proposal.plan_digest() {
            return Err(GateError::NotApproved);
        }
        let settings = self.settings()?;
        let enough = |proposal: &Proposal| match review::needed(proposal, &settings) {
            needed if approval.level() < needed => Err(GateError::Level(needed, approval.level())),
            _ => Ok(()),
        };
        enough(proposal)?;
        let mut ledger = self.held()?;
        open(ledger.entries(), &id)?;
        match self.again(proposal).await? {
            // What it costs may be more by now than it says.
            Again::Same(now) => enough(&now)?,
            Again::Moved(what) => {
                ledger.append(Entry { reason: what.clone(), ..Entry::now(Event::Stale, Some(&id), approval.by()) })?;
                return Err(GateError::Stale { id, what });
            }
        }
        commit::ready(&self.project.root, &paths(proposal))?;
        let own = commit::uncommitted(&self.project.root, &paths(proposal))?;
        if !own.is_empty() && !with_own {
            return Err(GateError::Uncommitted(own));
        }
        // What will be written, from what is there at this moment.
        let (mut texts, mut before) = (Vec::new(), Vec::new());
        for file in &proposal.files {
            let now = self.project.read(&file.path)?;
            if now.as_ref().map(|text| Digest::of(text.as_bytes())) != file.base {
                return Err(GateError::Stale { id, what: format!("{} changed", file.path) });
            }
            let text = file.made(now.as_deref().unwrap_or_default()).map_err(Wrong::Edit)?;
            if text.as_ref().map(|text| Digest::of(text.as_bytes())) != file.after {
                return Err(GateError::NotApproved);
            }
            before.push((file.path.clone(), now));
            texts.push((file.path.clone(), text));
        }
        self.store.keep_undo(&id, &before).map_err(|error| GateError::File { what: "the way back can't be kept".into(), error })?;
        let mut entry = Entry::now(Event::Approving, Some(&id), approval.by());
        entry.level = Some(approval.level());
        entry.detail = serde_json::json!({ "plan": proposal.plan_digest(), "edited": proposal.parent.is_some() });
        ledger.append(entry)?;
        fault("approving");
        let done = self.write(&id, proposal, &approval, &texts, &ledger.head());
        match done {
            Ok(commit) => {
                fault("committed");
                let mut entry = Entry::now(Event::Applied, Some(&id), approval.by());
                entry.level = Some(approval.level());
                entry.detail = serde_json::json!({ "commit": commit });
                if let Err(error) = ledger.append(entry) {
                    // With a commit the change is on record; without one it would be a change that nobody knows of.
                    if commit.is_none() {
                        self.restore(&before);
                        return Err(error.into());
                    }
                }
                self.store.forget_undo(&id);
                Ok(Applied { commit, files: texts.into_iter().map(|(path, _)| path).collect() })
            }
            Err(error) => {
                self.restore(&before);
                let entry = Entry { reason: error.to_string(), ..Entry::now(Event::Failed, Some(&id), approval.by()) };
                ledger.append(entry)?;
                self.store.forget_undo(&id);
                Err(error)
            }
        }
    }

    fn write(
        &self,
        id: &ProposalId,
        proposal: &Proposal,
        approval: &Approval,
        texts: &[(String, Option<String>)],
        head: &Digest,
    ) -> Result<Option<String>, GateError> {
        let transcript = proposal.transcript.and_then(|digest| self.store.transcript(&digest));
        let aside = self.store.aside(id).map_err(|error| GateError::File { what: "the way back can't be kept".into(), error })?;
        // A person's own changes of the same files come first, so that the proposal's commit is the proposal alone.
        let own = commit::uncommitted(&self.project.root, &paths(proposal))?;
        let own = commit::own(&self.project.root, &own, id, &aside)?;
        let done = self
            .write_texts(texts)
            .and_then(|()| Ok(commit::commit(&self.project.root, proposal, approval, texts, transcript.as_deref(), head, &aside)?));
        // A commit that was made only for the sake of this one does not outlive it.
        done.inspect_err(|_| {
            if let Some(own) = own {
                own.take_back();
            }
        })
    }

    fn write_texts(&self, texts: &[(String, Option<String>)]) -> Result<(), GateError> {
        for (path, text) in texts {
            let place = self.project.place(path)?;
            let (written, word) = match text {
                Some(text) => {
                    let folder = place.parent().map_or(Ok(()), std::fs::create_dir_all);
                    (folder.and_then(|()| store::write_whole(&place, text.as_bytes())), "written")
                }
                None => (std::fs::remove_file(&place), "removed"),
            };
            written.map_err(|error| GateError::File { what: format!("{path} can't be {word}"), error })?;
            fault("written");
        }
        Ok(())
    }

    fn restore(&self, before: &[(String, Option<String>)]) {
        for (path, text) in before {
            let Ok(place) = self.project.place(path) else { continue };
            let _ = match text {
                Some(text) => store::write_whole(&place, text.as_bytes()),
                None => std::fs::remove_file(&place),
            };
        }
    }

    /// The ledger, with what a killed process left behind put in order: a change that was committed is noted, any other is taken back.
    fn held(&self) -> Result<Ledger, GateError> {
        let mut ledger = self.store.hold()?;
        let Some((id, actor)) = unfinished(ledger.entries()) else { return Ok(ledger) };
        let mut entry = match commit::find(&self.project.root, &id)? {
            Some(commit) => Entry { detail: serde_json::json!({ "commit": commit }), ..Entry::now(Event::Applied, Some(&id), &actor) },
            None => {
                // What came with the repository is nothing that was left behind here, and would be a way to change files without a yes.
                let is_brought = commit::is_followed(&self.project.root, &self.store.ledger());
                if let (false, Some(before), Ok(proposal)) = (is_brought, self.store.undo(&id), self.store.proposal(&id)) {
                    // Only what is still as the change left it: somebody may have gone on.
                    let ours: Vec<_> = before.into_iter().filter(|(path, _)| self.is_as_left(&proposal, path)).collect();
                    self.restore(&ours);
                }
                Entry { reason: "the program ended before the change was recorded".into(), ..Entry::now(Event::Failed, Some(&id), &actor) }
            }
        };
        entry.level = None;
        ledger.append(entry)?;
        self.store.forget_undo(&id);
        Ok(ledger)
    }

    fn is_as_left(&self, proposal: &Proposal, path: &str) -> bool {
        let Some(file) = proposal.files.iter().find(|file| file.path == path) else { return false };
        self.project.read(path).is_ok_and(|now| now.map(|text| Digest::of(text.as_bytes())) == file.after)
    }

    /// Checks a draft and works out what it would do, as [`Project::propose`] does, beside whoever waits: they can stop at once.
    ///
    /// # Errors
    /// Everything for which it can't be offered to a person; see [`Wrong`].
    pub async fn propose(&self, draft: Draft) -> Result<Proposal, Wrong> {
        let project = self.project.clone();
        until_stopped(async move { project.propose(draft).await }).await.map_err(|late| Wrong::Plan(late.to_string()))?
    }

    /// The proposal as it would be made now, or what moved since it was made. Who no longer waits is free at once.
    async fn again(&self, proposal: &Proposal) -> Result<Again, GateError> {
        for file in &proposal.files {
            let now = self.project.read(&file.path)?.map(|text| Digest::of(text.as_bytes()));
            match (now, file.base) {
                (now, base) if now == base => {}
                (None, Some(_)) => return Ok(Again::Moved(format!("{} is gone", file.path))),
                (Some(_), None) => return Ok(Again::Moved(format!("{} is there now", file.path))),
                _ => return Ok(Again::Moved(format!("{} changed since", file.path))),
            }
        }
        let (project, same) = (self.project.clone(), proposal.clone());
        let worked_out = until_stopped(async move { project.again(&same).await }).await;
        Ok(match worked_out.map_err(|late| Wrong::Plan(late.to_string()))? {
            Ok(now) => match differs(proposal, &now) {
                Some(what) => Again::Moved(what.to_owned()),
                None => Again::Same(Box::new(now)),
            },
            Err(Wrong::Plan(reason)) => Again::Moved(format!("it can't be planned any more: {reason}")),
            Err(Wrong::Mistakes { .. }) => Again::Moved("the changed pipeline no longer checks".into()),
            Err(error) => Again::Moved(error.to_string()),
        })
    }
}

/// A proposal, worked out anew.
enum Again {
    /// It says what it does.
    Same(Box<Proposal>),
    /// It does not, or no longer.
    Moved(String),
}

/// What a proposal says of its consequences and is not so. How many tasks are in the cache and what others will cost changes with each run, and is not meant.
fn differs(said: &Proposal, now: &Proposal) -> Option<&'static str> {
    if said.plan_digest() != now.plan_digest() {
        return Some("an input, a used file or a stage changed, and with it the plan");
    }
    let of_plan = |proposal: &Proposal| {
        let row = |row: &DeltaRow| (row.step.clone(), row.part.clone(), row.fate, row.tasks, row.because.clone());
        proposal
            .plan
            .as_ref()
            .map(|plan| (plan.rows.iter().map(row).collect::<Vec<_>>(), plan.tasks, plan.moves.clone(), plan.later.clone()))
    };
    if of_plan(said) != of_plan(now) {
        return Some("what it says would run is not what would run");
    }
    let of_warnings =
        |proposal: &Proposal| proposal.warnings.iter().map(|warning| (warning.kind.clone(), warning.message.clone())).collect::<Vec<_>>();
    (of_warnings(said) != of_warnings(now)).then_some("what it says is to be looked at twice is not all, or no longer so")
}

/// The files of a proposal.
fn paths(proposal: &Proposal) -> Vec<&str> {
    proposal.files.iter().map(|file| file.path.as_str()).collect()
}

/// The proposal whose change was begun and not said to have ended, and who approved it.
fn unfinished(entries: &[Entry]) -> Option<(ProposalId, String)> {
    entries.iter().fold(None, |open, entry| match (entry.event, &entry.proposal) {
        (Event::Approving, Some(id)) => Some((id.clone(), entry.actor.clone())),
        (Event::Applied | Event::Failed | Event::Stale, _) => None,
        _ => open,
    })
}

fn open(entries: &[Entry], id: &ProposalId) -> Result<(), GateError> {
    match store::states(entries).into_iter().find(|known| known.id == *id) {
        Some(Status { state: State::Offered, .. }) => Ok(()),
        Some(status) => Err(GateError::Answered(id.clone(), status.state)),
        None => Err(GateError::Proposal(format!("proposal {} was never offered here", id.short()))),
    }
}

/// Places at which a test has the program killed.
fn fault(place: &str) {
    if std::env::var_os("NEUROFLOW_AGENT_FAULT").is_some_and(|wanted| wanted == place) {
        std::process::abort();
    }
}
