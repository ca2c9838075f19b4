//! A proposal: an immutable value whose name is the digest of all that it says.

use crate::guard::Warning;
use crate::secret::{Finding, Scanner};
use neuroflow_dsl::edit::{Change, Edit, EditError};
use neuroflow_engine::Digest;
use neuroflow_engine::cost::CostEstimate;
use neuroflow_engine::delta::PlanDelta;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form in which proposals are written; another one is another number.
pub(crate) const FORMAT: u32 = 1;

/// The name of a proposal: `p-` and the digest of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProposalId(String);

impl ProposalId {
    /// What a person types: `p-` and eight digits.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name as it is written; none for anything else.
    pub fn parse(text: &str) -> Option<ProposalId> {
        let digits = text.strip_prefix("p-")?;
        let fits = digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| ProposalId(text.to_owned()))
    }
}

impl fmt::Display for ProposalId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// How a file is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By typed edits; the only way that a model has to a pipeline.
    Edits(Vec<Edit>),
    /// By replacements in the text: a person's own change.
    Changes(Vec<Change>),
    /// By a new text as a whole: a note of `knowledge/`.
    Whole(String),
    /// It is removed: how a person takes back what began it.
    Gone,
}

/// A file that a proposal changes.
///
/// What is applied, and made again by `agent verify`, are the replacements: where a typed edit puts a new line may differ in another version of neuroflow,
/// and a proof must not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its path from the project's folder, with `/`.
    pub path: String,
    /// The content that the change is made for; none when there is no such file yet.
    pub base: Option<Digest>,
    /// The typed edits that were asked for; none for a change of the text.
    pub edits: Vec<Edit>,
    /// What is replaced in the text, in order.
    pub changes: Vec<Change>,
    /// The content afterwards; none when the file is removed.
    pub after: Option<Digest>,
}

impl FileChange {
    /// The change of a file, and its text afterwards.
    ///
    /// # Errors
    /// When the change does not fit the text.
    pub(crate) fn new(path: &str, before: Option<&str>, how: &How) -> Result<(FileChange, String), EditError> {
        let text = before.unwrap_or_default();
        let (edits, changes) = match how {
            How::Edits(edits) => (edits.clone(), neuroflow_dsl::edit::apply(text, edits)?.changes),
            How::Changes(changes) => (Vec::new(), changes.clone()),
            How::Whole(new) => (Vec::new(), vec![Change { at: 0, old: text.to_owned(), new: new.clone() }]),
            How::Gone => (Vec::new(), vec![Change { at: 0, old: text.to_owned(), new: String::new() }]),
        };
        let base = before.map(|text| Digest::of(text.as_bytes()));
        let mut change = FileChange { path: path.to_owned(), base, edits, changes, after: None };
        let after = change.apply(text)?;
        change.after = (*how != How::Gone).then(|| Digest::of(after.as_bytes()));
        Ok((change, after))
    }

    /// Whether the file is removed.
    pub fn is_gone(&self) -> bool {
        self.after.is_none()
    }

    /// What the file is after the change; none when it is removed.
    ///
    /// # Errors
    /// When the change does not fit the text.
    pub(crate) fn made(&self, text: &str) -> Result<Option<String>, EditError> {
        self.apply(text).map(|after| (!self.is_gone()).then_some(after))
    }

    /// The text after the change; an empty one when the file is removed.
    ///
    /// # Errors
    /// When the change does not fit the text.
    pub fn apply(&self, text: &str) -> Result<String, EditError> {
        let unfit = || EditError { edit: 0, message: "the change does not fit the file".into(), help: None };
        neuroflow_dsl::edit::redo(text, &self.changes).ok_or_else(unfit)
    }

    /// The text before the change; none when the text is not what the change gave, or the file is new.
    pub fn undo(&self, text: &str) -> Option<String> {
        let before = neuroflow_dsl::edit::undo(text, &self.changes)?;
        (self.base == Some(Digest::of(before.as_bytes()))).then_some(before)
    }
}

/// What of the data was looked at before a proposal was made: each level shows more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Names, types, axes, units, counts.
    #[default]
    Schema,
    /// Numbers over at least ten members.
    Aggregate,
    /// Single values.
    Sample,
}

/// What the proposer had seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The highest level of data.
    pub level: Exposure,
    /// Where free text came from that somebody else wrote: a source and a field each. With any, the proposal is tainted.
    pub free_text: Vec<String>,
    /// How often held-out scores were looked at.
    pub looks: u64,
}

/// Who made a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A person, with a patch.
    Human,
    /// A model in conversation.
    Chat {
        /// The model and where it runs: `qwen3-4b @ 127.0.0.1:8080`.
        model: String,
    },
    /// A client of the MCP server.
    Mcp {
        /// What the client calls itself.
        client: String,
        /// Its version.
        version: String,
    },
}

impl Origin {
    /// Whether a person wrote it.
    pub fn is_human(&self) -> bool {
        matches!(self, Origin::Human)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Human => out.write_str("a person"),
            Origin::Chat { model } => out.write_str(model),
            Origin::Mcp { client, version } => write!(out, "{client} {version} (MCP)"),
        }
    }
}

/// What somebody wants changed, before it is checked and planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The pipeline that the change is about, from the project's folder.
    pub pipeline: String,
    /// The files and their changes.
    pub files: Vec<(String, How)>,
    /// The question that it answers, in one sentence.
    pub intent: String,
    /// Conditions on scores that should hold after the run.
    pub predictions: Vec<String>,
    /// What was seen before.
    pub seen: Seen,
    /// Who made it.
    pub origin: Origin,
    /// The conversation, as kept in the store.
    pub transcript: Option<Digest>,
    /// The proposal that a person edited into this one.
    pub parent: Option<ProposalId>,
}

/// A change with its consequences, as offered to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The form of this document.
    pub format: u32,
    /// The pipeline that it is about, from the project's folder.
    pub pipeline: String,
    /// The files that it changes.
    pub files: Vec<FileChange>,
    /// The question that it answers.
    pub intent: String,
    /// Conditions on scores that should hold after the run, written before it.
    pub predictions: Vec<String>,
    /// Those of them whose results were in the cache when they were written: they predict nothing. Left out when there are none, so that proposals of
    /// versions that did not look keep their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    /// What it does to the plan; none when it changes no pipeline.
    pub plan: Option<PlanDelta>,
    /// What it costs.
    pub cost: CostEstimate,
    /// What a person should look at twice.
    pub warnings: Vec<Warning>,
    /// What the proposer had seen.
    pub seen: Seen,
    /// Who made it.
    pub origin: Origin,
    /// The conversation that it comes from.
    pub transcript: Option<Digest>,
    /// The proposal that a person edited into this one.
    pub parent: Option<ProposalId>,
    /// How often the same was offered and answered before. Each offer has a name of its own, so that a yes or a no is to one of them. Left out for the first,
    /// as with `known`.
    #[serde(default, skip_serializing_if = "is_none_before")]
    pub earlier: u32,
}

fn is_none_before(earlier: &u32) -> bool {
    *earlier == 0
}

impl Proposal {
    /// Its bytes: JSON with the fields in their order, on one line.
    pub fn encode(&self) -> String {
        // Nothing in it can fail to be written: there are no maps with other keys than texts.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its name.
    pub fn id(&self) -> ProposalId {
        ProposalId(format!("p-{}", Digest::of(self.encode().as_bytes())))
    }

    /// Reads what [`Proposal::encode`] wrote.
    ///
    /// # Errors
    /// When it is anything else, in words.
    pub fn decode(text: &str) -> Result<Proposal, String> {
        let proposal: Proposal = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if proposal.format != FORMAT {
            return Err(format!("it is written in form {}, and this version reads form {FORMAT}", proposal.format));
        }
        Ok(proposal)
    }

    /// What stands in it and must not be written down. A key never; in what a model wrote, neither the home folder nor what looks like a key, as far as the
    /// files do not say it already. A person's own pipeline may name a folder of theirs.
    pub(crate) fn secret(&self, scanner: &Scanner) -> Option<Finding> {
        let whole = self.encode();
        if self.origin.is_human() {
            return scanner.key_in(whole.as_bytes());
        }
        // What is worked out here is no word of the model's.
        let mut written = Proposal { plan: None, warnings: Vec::new(), seen: Seen::default(), ..self.clone() };
        for file in &mut written.files {
            let is_there = file.changes.iter().any(|change| scanner.scan(change.old.as_bytes()).is_some());
            file.changes.retain_mut(|change| {
                change.old.clear();
                !is_there
            });
            if is_there {
                file.edits.clear();
            }
        }
        scanner.key_in(whole.as_bytes()).or_else(|| scanner.scan(written.encode().as_bytes()))
    }

    /// What the plan computes afterwards; what an approval names beside the proposal itself.
    pub fn plan_digest(&self) -> Option<Digest> {
        self.plan.as_ref().map(|plan| plan.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(origin: Origin, old: &str, new: &str, intent: &str) -> Proposal {
        let change = Change { at: 0, old: old.into(), new: new.into() };
        let file = FileChange { path: "a.nf".into(), base: None, edits: Vec::new(), changes: vec![change], after: Some(Digest::of(b"")) };
        Proposal {
            format: FORMAT,
            pipeline: "a.nf".into(),
            files: vec![file],
            intent: intent.into(),
            predictions: Vec::new(),
            known: Vec::new(),
            plan: None,
            cost: CostEstimate::default(),
            warnings: Vec::new(),
            seen: Seen::default(),
            origin,
            transcript: None,
            parent: None,
            earlier: 0,
        }
    }

    #[test]
    fn each_offer_of_the_same_has_a_name_and_the_first_is_called_as_ever() {
        let first = made(Origin::Human, "a", "b", "why");
        let again = Proposal { earlier: 1, ..first.clone() };
        assert!(!first.encode().contains("earlier") && first.id() != again.id());
        for proposal in [first, again] {
            assert_eq!(Proposal::decode(&proposal.encode()), Ok(proposal));
        }
    }

    #[test]
    fn a_key_is_written_down_for_nobody_and_a_home_folder_for_no_model() {
        const KEY: &str = "planted\"key-0123456789";
        let scanner = Scanner::new().with_key(&crate::secret::Secret::new(KEY).unwrap()).with_home(std::path::Path::new("/home/someone"));
        let model = || Origin::Chat { model: "m".into() };
        let home = "x = csv(\"/home/someone/x.csv\")";
        for origin in [model(), Origin::Human] {
            for (old, new, intent) in [(KEY, "", ""), ("", KEY, ""), ("", "", KEY)] {
                assert!(made(origin.clone(), old, new, intent).secret(&scanner).is_some(), "{origin:?} {old} {new} {intent}");
            }
            assert!(made(origin, "a", "b", "why").secret(&scanner).is_none());
        }
        assert!(
            made(model(), "", home, "").secret(&scanner).is_some() && made(model(), "", "", "/home/someone").secret(&scanner).is_some()
        );
        assert!(made(Origin::Human, "", home, "").secret(&scanner).is_none());
        // It stands in the file already.
        assert!(made(model(), home, &format!("{home} # more"), "").secret(&scanner).is_none());
    }

    #[test]
    fn a_proof_hangs_on_replacements_and_not_on_where_edits_put_things_today() {
        let text = "a = f.g(x)\n";
        let edit = Edit::SetArgument { step: "a".into(), key: "k".into(), value: "1".into() };
        let (change, after) = FileChange::new("a.nf", Some(text), &How::Edits(vec![edit])).unwrap();
        assert_eq!((after.as_str(), change.edits.len()), ("a = f.g(x, k = 1)\n", 1));
        // Whatever the edit would give in another version.
        let other = FileChange { edits: Vec::new(), ..change.clone() };
        assert_eq!(other.apply(text).unwrap(), after);
        assert_eq!(change.undo(&after).as_deref(), Some(text));
        assert!(change.undo(text).is_none() && change.apply("a = 1").is_err());
        let (new, note) = FileChange::new("knowledge/a.md", None, &How::Whole("b\n".into())).unwrap();
        assert_eq!((note.as_str(), new.undo(&note)), ("b\n", None));
        let (gone, _) = FileChange::new("knowledge/a.md", Some("b\n"), &How::Gone).unwrap();
        assert!(gone.is_gone() && gone.made("b\n").unwrap().is_none() && gone.made("c\n").is_err());
        assert_eq!(gone.undo("").as_deref(), Some("b\n"));
        // What is written of files that stay is as it was.
        let (whole, written) = (serde_json::to_value(&new).unwrap(), serde_json::to_value(&gone).unwrap());
        assert_eq!((whole["after"].as_str(), written["after"].is_null()), (Some(Digest::of(b"b\n").to_string().as_str()), true));
    }
}
