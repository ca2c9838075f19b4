//! The agent's folder in the project, `.neuroflow/agent`: proposals, the ledger, conversations, and what a change in the making replaced.

use crate::ledger::{Entry, Event, Ledger, LedgerError};
use crate::proposal::{Proposal, ProposalId};
use crate::secret::Scanner;
use neuroflow_engine::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for an answer.
    Offered,
    /// It was applied.
    Applied,
    /// A person said no.
    Rejected,
    /// The proposer took it back.
    Withdrawn,
    /// What it was made for has changed. It can still be read.
    Stale,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Offered => "waiting",
            State::Applied => "applied",
            State::Rejected => "rejected",
            State::Withdrawn => "withdrawn",
            State::Stale => "stale",
        }
    }
}

/// A proposal and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Its name.
    pub id: ProposalId,
    /// Where it stands.
    pub state: State,
    /// When that was said.
    pub at: String,
    /// Why, where a person said it.
    pub reason: String,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The folder of a project; nothing is made before something is kept.
    pub fn of(root: &Path) -> Store {
        Store { folder: root.join(".neuroflow").join("agent") }
    }

    /// The ledger's file.
    pub fn ledger(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A place in the folder.
    ///
    /// # Errors
    /// When it lies behind a link, or is one.
    pub fn place(&self, part: &str) -> io::Result<PathBuf> {
        let place = self.folder.join(part);
        without_links(&place)?;
        Ok(place)
    }

    fn make(&self, part: &str) -> io::Result<PathBuf> {
        let (folder, ignore) = (self.place(part)?, self.place(".gitignore")?);
        std::fs::create_dir_all(&folder)?;
        // What is kept here travels under refs/neuroflow, not as files of the project.
        if !ignore.exists() {
            std::fs::write(ignore, "*\n")?;
        }
        Ok(folder)
    }

    fn text(&self, part: &str) -> io::Result<String> {
        std::fs::read_to_string(self.place(part)?)
    }

    /// Holds the ledger.
    ///
    /// # Errors
    /// When it can't be opened, or its chain does not hold.
    pub fn hold(&self) -> Result<Ledger, LedgerError> {
        self.make("").map_err(|error| LedgerError::File { path: self.folder.clone(), error })?;
        Ledger::hold(&self.ledger())
    }

    /// Keeps a proposal.
    ///
    /// # Errors
    /// When it can't be written, or holds what must not be written down.
    pub fn keep(&self, proposal: &Proposal) -> io::Result<ProposalId> {
        let id = proposal.id();
        if let Some(found) = proposal.secret(&Scanner::of_this_process()) {
            return Err(io::Error::other(found.to_string()));
        }
        let path = self.make("proposals")?.join(format!("{id}.json"));
        write_whole(&path, proposal.encode().as_bytes())?;
        Ok(id)
    }

    /// Where a proposal lies.
    pub(crate) fn file_of(&self, id: &ProposalId) -> PathBuf {
        self.folder.join("proposals").join(format!("{id}.json"))
    }

    /// A proposal by name. What was changed since it was kept is no longer that proposal.
    ///
    /// # Errors
    /// When it is not there, can't be read, or is not what its name says.
    pub fn proposal(&self, id: &ProposalId) -> Result<Proposal, String> {
        let text = self.text(&format!("proposals/{id}.json"));
        let text = text.map_err(|error| format!("proposal {} can't be read: {error}", id.short()))?;
        let proposal = Proposal::decode(&text).map_err(|reason| format!("proposal {}: {reason}", id.short()))?;
        if proposal.id() != *id {
            return Err(format!("proposal {} was changed after it was made", id.short()));
        }
        Ok(proposal)
    }

    /// The proposal that the beginning of a name means.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, beginning: &str) -> Result<ProposalId, String> {
        let wanted = if beginning.starts_with("p-") { beginning.to_owned() } else { format!("p-{beginning}") };
        let mut found = self.all().into_iter().filter(|id| id.as_str().starts_with(&wanted));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(format!("more than one proposal begins with `{wanted}`; give more of its name")),
            (None, _) => Err(format!("there is no proposal `{wanted}`; `neuroflow agent log` names them")),
        }
    }

    fn all(&self) -> Vec<ProposalId> {
        let entries = self.place("proposals").and_then(std::fs::read_dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut all: Vec<ProposalId> = names.filter_map(|name| ProposalId::parse(name.strip_suffix(".json")?)).collect();
        all.sort();
        all
    }

    /// Keeps a conversation, or the part of it that a proposal comes from, without keys and the home folder. Gives the digest of what is kept.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_transcript(&self, text: &str) -> io::Result<Digest> {
        let text = Scanner::of_this_process().redact(text);
        let digest = Digest::of(text.as_bytes());
        write_whole(&self.make("transcripts")?.join(format!("{digest}.jsonl")), text.as_bytes())?;
        Ok(digest)
    }

    /// A conversation.
    pub fn transcript(&self, digest: &Digest) -> Option<String> {
        let text = self.text(&format!("transcripts/{digest}.jsonl")).ok()?;
        (Digest::of(text.as_bytes()) == *digest).then_some(text)
    }

    /// Keeps what files were before a change: none for a file that was not there.
    pub(crate) fn keep_undo(&self, id: &ProposalId, files: &[(String, Option<String>)]) -> io::Result<()> {
        let text = serde_json::to_string(files).unwrap_or_default();
        write_whole(&self.make("undo")?.join(format!("{id}.json")), text.as_bytes())
    }

    pub(crate) fn undo(&self, id: &ProposalId) -> Option<Vec<(String, Option<String>)>> {
        let text = self.text(&format!("undo/{id}.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Where the index lies that hooks look at while a change is made.
    pub(crate) fn aside(&self, id: &ProposalId) -> io::Result<PathBuf> {
        self.place(&format!("undo/{id}.index"))
    }

    pub(crate) fn forget_undo(&self, id: &ProposalId) {
        let _ = self.place(&format!("undo/{id}.json")).and_then(std::fs::remove_file);
        if let Ok(aside) = self.aside(id) {
            crate::hooks::clear(&aside);
        }
    }
}

/// Where each proposal of a ledger stands, in the order in which they were offered.
pub fn states(entries: &[Entry]) -> Vec<Status> {
    let mut all: Vec<Status> = Vec::new();
    for entry in entries {
        let Some(id) = &entry.proposal else { continue };
        let state = match entry.event {
            Event::Offered | Event::Failed => State::Offered,
            Event::Applied => State::Applied,
            Event::Rejected => State::Rejected,
            Event::Withdrawn => State::Withdrawn,
            Event::Stale => State::Stale,
            Event::Approving | Event::Compared | Event::Looked | Event::Told | Event::Tried | Event::Spent | Event::Wished => continue,
        };
        let status = Status { id: id.clone(), state, at: entry.at.clone(), reason: entry.reason.clone() };
        match all.iter_mut().find(|known| known.id == *id) {
            // What was answered once is not offered again by being offered again.
            Some(known) if state == State::Offered && known.state != State::Offered => {}
            Some(known) => *known = status,
            None => all.push(status),
        }
    }
    all
}

/// Refuses a place at or below `.neuroflow` that is a link or lies behind one. A project that somebody else made may bring links along, and what is read and
/// written here would then be another's file.
pub(crate) fn without_links(place: &Path) -> io::Result<()> {
    for around in place.ancestors() {
        if around.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            let told = format!("{} is a link, and the agent's files lie in the project itself; remove the link", around.display());
            return Err(io::Error::other(told));
        }
        if around.file_name().is_some_and(|name| name == ".neuroflow") {
            break;
        }
    }
    Ok(())
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = (|| {
        // A file of this name is one that a killed process left, or one that somebody put there to be written through: a link is removed, not followed.
        let create = || std::fs::OpenOptions::new().write(true).create_new(true).open(&aside);
        let mut file = create().or_else(|_| std::fs::remove_file(&aside).and_then(|()| create()))?;
        file.write_all(bytes)?;
        if let Ok(known) = std::fs::metadata(path) {
            file.set_permissions(known.permissions())?;
        }
        file.sync_all()?;
        std::fs::rename(&aside, path)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    written.inspect_err(|_| {
        let _ = std::fs::remove_file(&aside);
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_kept_or_read_behind_a_link() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let theirs = other.path().join("theirs");
        std::fs::write(&theirs, "mine\n").unwrap();
        for (link, target) in [
            (".neuroflow", other.path()),
            (".neuroflow/agent", other.path()),
            (".neuroflow/agent/ledger.jsonl", theirs.as_path()),
            (".neuroflow/agent/.gitignore", &other.path().join("new")),
            (".neuroflow/agent/transcripts", other.path()),
            (".neuroflow/agent/history", theirs.as_path()),
        ] {
            let root = place.path().join(link.replace('/', "-"));
            let link = root.join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(target, &link).unwrap();
            let store = Store::of(&root);
            let refused = [
                store.keep_transcript("a").is_err(),
                store.hold().is_err(),
                Ledger::read(&store.ledger()).is_err(),
                store.place("history").is_err(),
            ];
            assert!(refused.contains(&true), "{}", link.display());
            assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine\n");
            assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1, "{}", link.display());
        }
        // The project itself may lie behind a link.
        let root = place.path().join("real");
        std::fs::create_dir(&root).unwrap();
        symlink(&root, place.path().join("linked")).unwrap();
        Store::of(&place.path().join("linked")).keep_transcript("a").unwrap();
    }

    #[test]
    fn a_file_is_not_written_through_a_link_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let theirs = place.path().join("theirs");
        std::fs::write(&theirs, "mine\n").unwrap();
        symlink(&theirs, place.path().join(format!(".a.nf.{}.new", std::process::id()))).unwrap();
        write_whole(&place.path().join("a.nf"), b"b").unwrap();
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine\n");
        assert_eq!(std::fs::read_to_string(place.path().join("a.nf")).unwrap(), "b");
    }
}
