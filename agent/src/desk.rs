//! The desk: where a model's calls are answered. It holds the gate for offering and withdrawing, and has no way to approve.
//!
//! Looking is free of questions to the person; what is looked at is counted. A change is built up edit by edit in a draft that nobody else sees, and offered as
//! one card for one intention. What can't be offered goes back to the model with the reason, a few times and then no more.

use crate::Wrong;
use crate::aside::{Late, PATIENCE, aside};
use crate::gate::Gate;
use crate::ledger::{Entry, Event};
use crate::model::{Field, FieldKind, Tool};
use crate::project::Project;
use crate::proposal::{Draft, Exposure, How, Origin, Proposal, ProposalId, Seen};
use crate::tools::{self, ReadTool, ToolReply, View, described};
use neuroflow_dsl::edit::{EDITS, Edit};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How often a model may mend a proposal that can't be offered before a person must speak.
const MOST_REPAIRS: usize = 3;

/// The most edits of a draft.
const MOST_EDITS: usize = 100;

/// The longest note, in bytes.
const LONGEST_NOTE: usize = 64 << 10;

/// The longest question to the person, and the longest possible answer, in characters.
const LONGEST_QUESTION: usize = 1000;

/// A question to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// Possible answers, at most four.
    pub options: Vec<String>,
}

/// What came of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handled {
    /// For the model.
    pub text: String,
    /// A proposal that now waits for a person.
    pub offered: Option<ProposalId>,
    /// A question that a person should answer.
    pub question: Option<Question>,
}

impl Handled {
    fn told(content: &Value) -> Handled {
        Handled { text: content.to_string(), ..Handled::default() }
    }

    fn refused(message: impl Into<String>) -> Handled {
        Handled::told(&json!({ "error": message.into() }))
    }
}

/// A look that is under way. It holds nothing of the desk.
pub struct Looking {
    tool: &'static dyn ReadTool,
    project: Project,
    pipeline: String,
    exposure: Exposure,
    arguments: Map<String, Value>,
}

impl Looking {
    /// What it gives. Who no longer waits is free at once.
    pub async fn reply(self) -> ToolReply {
        let Looking { tool, project, pipeline, exposure, arguments } = self;
        let looked = aside(
            async move {
                let view = View::new(&project, &pipeline, exposure);
                tool.call(&view, &arguments).await
            },
            PATIENCE,
        );
        match looked.await {
            Ok(reply) => reply,
            Err(late) => {
                // A trial that is still under way computes.
                let tried = (tool.name() == tools::TRIES && late != Late::Busy).then_some(tools::LONGEST_TRIAL);
                ToolReply { tried, ..ToolReply::refusal(late.to_string()) }
            }
        }
    }
}

/// What moved since a proposal was made; none while it is fresh. Who no longer waits is free at once.
///
/// # Errors
/// When that can't be found out, in words.
pub async fn moved(project: &Project, id: &ProposalId) -> Result<Option<String>, String> {
    let (gate, id) = (Gate::of(project.clone()), id.clone());
    let moved = aside(async move { gate.freshness(&id).await }, PATIENCE).await;
    moved.map_err(|late| late.to_string())?.map_err(|error| error.to_string())
}

/// A text with each `place`, as far as it is a whole part of a path, replaced by a word.
fn replaced(text: &str, place: &str, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(place) {
        let behind = &rest[at + place.len()..];
        out.push_str(&rest[..at]);
        // `/home/anna` is not within `/home/annabel`.
        out.push_str(if behind.starts_with(|letter: char| letter.is_ascii_alphanumeric()) { place } else { word });
        rest = behind;
    }
    out + rest
}

/// Where calls are answered.
pub struct Desk {
    gate: Gate,
    pipeline: String,
    exposure: Exposure,
    origin: Origin,
    seen: Seen,
    draft: Vec<Edit>,
    failures: usize,
    /// Proposals that this desk offered; others can't be withdrawn here.
    own: Vec<ProposalId>,
}

impl Desk {
    /// The desk of a conversation about one pipeline. `exposure` is what the model's endpoint may be shown.
    pub fn new(gate: Gate, pipeline: String, exposure: Exposure, origin: Origin) -> Desk {
        let seen = Seen::default();
        Desk { gate, pipeline, exposure, origin, seen, draft: Vec::new(), failures: 0, own: Vec::new() }
    }

    /// The gate, for who may decide.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The pipeline's path.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// What was seen so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What the same reader saw elsewhere counts here too: a proposal is made in the knowledge of both.
    pub fn carry(&mut self, seen: &Seen) {
        self.seen.level = self.seen.level.max(seen.level);
        self.seen.looks = self.seen.looks.max(seen.looks);
        let sources: BTreeSet<String> = self.seen.free_text.drain(..).chain(seen.free_text.iter().cloned()).collect();
        self.seen.free_text = sources.into_iter().collect();
    }

    /// A person spoke: repairs are counted anew.
    pub fn person_spoke(&mut self) {
        self.failures = 0;
    }

    /// All tools, in an order that never changes.
    pub fn tools() -> Vec<Tool> {
        let mut all: Vec<Tool> = tools::all().into_iter().map(|tool| described(tool.name(), tool.doc(), tool.fields())).collect();
        all.extend(WRITING.iter().map(|(name, doc, fields)| described(name, doc, fields())));
        all
    }

    /// Answers a call. `transcript` gives the conversation so far, as it is kept with a proposal.
    pub async fn call(&mut self, name: &str, arguments: &Value, transcript: &(dyn Fn() -> String + Sync)) -> Handled {
        let Some(tool) = Desk::tools().into_iter().find(|tool| tool.name == name) else {
            let names: Vec<String> = Desk::tools().into_iter().map(|tool| tool.name).collect();
            return Handled::refused(format!("there is no tool `{}`; there is {}", crate::escape_line(name), names.join(", ")));
        };
        let arguments = match tool.schema.check(arguments) {
            Ok(arguments) => arguments,
            Err(problems) => return Handled::refused(problems.join("; ")),
        };
        let mut handled = match name {
            "propose_edit" => self.propose_edit(&arguments, transcript).await,
            "propose_knowledge" => self.propose_knowledge(&arguments, transcript).await,
            "clarify" => clarify(&arguments),
            "withdraw" => self.withdraw(&arguments),
            _ => match self.looking(name, arguments.clone()) {
                Some(looking) => {
                    let reply = looking.reply().await;
                    self.seen_in(reply, tools::text(&arguments, "step"))
                }
                None => Handled::refused("there is no such tool"),
            },
        };
        handled.text = self.without_places(&handled.text);
        handled
    }

    /// A look that a call asks for, to be waited for without the desk, so that others are answered meanwhile; [`Desk::looked`] takes what it gives. None when
    /// the call is for something else, or can't be: then [`Desk::call`] answers it. So it does with a trial, whose time is counted before the next begins.
    pub fn look(&self, name: &str, arguments: &Value) -> Option<Looking> {
        let tool = tools::all().into_iter().find(|tool| tool.name() == name && name != tools::TRIES)?;
        let arguments = described(tool.name(), tool.doc(), tool.fields()).schema.check(arguments).ok()?;
        self.looking(name, arguments)
    }

    /// Answers a call with what a look gave.
    pub fn looked(&mut self, reply: ToolReply) -> Handled {
        let mut handled = self.seen_in(reply, "");
        handled.text = self.without_places(&handled.text);
        handled
    }

    /// A text without the places of this machine, which name its people: messages of the system bring them along.
    pub fn without_places(&self, text: &str) -> String {
        let project = self.gate.project();
        let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
        let named = [(Some(project.root.as_path()), "."), (Some(project.session.cache.root()), "CACHE"), (home.as_deref(), "~")];
        // Behind a link a place has two names, and the system may tell either.
        let real = named.map(|(place, word)| (place.and_then(|place| place.canonicalize().ok()), word));
        let places = named.into_iter().chain(real.iter().map(|(place, word)| (place.as_deref(), *word)));
        let places = places.filter_map(|(place, word)| Some((place?.to_str()?, word))).filter(|(place, _)| place.len() > 1);
        places.fold(text.to_owned(), |text, (place, word)| replaced(&text, place, word))
    }

    fn looking(&self, name: &str, arguments: Map<String, Value>) -> Option<Looking> {
        let tool = tools::all().into_iter().find(|tool| tool.name() == name)?;
        let (project, pipeline) = (self.gate.project().clone(), self.pipeline.clone());
        Some(Looking { tool, project, pipeline, exposure: self.exposure, arguments })
    }

    /// Notes what a look showed; `step` is what was tried.
    fn seen_in(&mut self, reply: ToolReply, step: &str) -> Handled {
        if reply.exposure > self.exposure {
            // Scores are aggregates that the person's own pipeline computed; what is closed is the data.
            if reply.look.is_none() {
                return Handled::refused("this may not be shown here");
            }
        } else {
            self.seen.level = self.seen.level.max(reply.exposure);
        }
        self.tainted(reply.free_text.clone());
        if let Some(look) = &reply.look {
            let mut entry = Entry::now(Event::Looked, None, &self.origin.to_string());
            entry.detail = json!({ "step": look.step, "prediction": look.prediction, "pipeline": self.pipeline });
            // A look that can't be counted is not given.
            if let Err(error) = self.gate.note(entry) {
                return Handled::refused(error.to_string());
            }
            self.seen.looks += 1;
        }
        if let Some(seconds) = reply.tried {
            let mut entry = Entry::now(Event::Tried, None, &self.origin.to_string());
            entry.detail = json!({ "step": step, "seconds": seconds, "pipeline": self.pipeline });
            if let Err(error) = self.gate.note(entry) {
                return Handled::refused(error.to_string());
            }
        }
        Handled { text: reply.text(), ..Handled::default() }
    }

    async fn propose_edit(&mut self, arguments: &Map<String, Value>, transcript: &(dyn Fn() -> String + Sync)) -> Handled {
        if self.failures >= MOST_REPAIRS {
            return Handled::refused("this was tried often enough; say in words what you want and let the person answer");
        }
        let edits = match edits_of(arguments) {
            Ok(edits) => edits,
            Err(reason) => return self.failed(reason),
        };
        if self.draft.len() + edits.len() > MOST_EDITS {
            self.draft.clear();
            return self.failed(format!("more than {MOST_EDITS} edits in one proposal; make a smaller one"));
        }
        let base = match self.gate.project().read(&self.pipeline) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => return self.failed(error.to_string()),
        };
        let count = self.draft.len();
        self.draft.extend(edits);
        if let Err(error) = neuroflow_dsl::edit::apply(&base, &self.draft) {
            self.draft.truncate(count);
            let help = error.help.clone().map(|help| format!("; {help}")).unwrap_or_default();
            return self.failed(format!("{}{help}. This edit is left out; the {count} before it stay in the draft", error.message));
        }
        if arguments.get("more").and_then(Value::as_bool).unwrap_or(false) {
            return Handled::told(
                &json!({ "draft": self.draft.len(), "note": "kept; nothing is offered before a call with `more` false" }),
            );
        }
        let edits = std::mem::take(&mut self.draft);
        let files = vec![(self.pipeline.clone(), How::Edits(edits))];
        self.offer(files, arguments, transcript).await
    }

    async fn propose_knowledge(&mut self, arguments: &Map<String, Value>, transcript: &(dyn Fn() -> String + Sync)) -> Handled {
        if self.failures >= MOST_REPAIRS {
            return Handled::refused("this was tried often enough; let the person answer");
        }
        let (note, text) = (tools::text(arguments, "note"), tools::text(arguments, "text"));
        let name = note.strip_prefix("knowledge/").unwrap_or(note);
        let name = name.strip_suffix(".md").unwrap_or(name);
        let is_name = !name.is_empty()
            && name.len() <= 80
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
        if !is_name {
            return self.failed("a note's name is made of small letters, digits, `-` and `_`");
        }
        if text.trim().is_empty() || text.len() > LONGEST_NOTE {
            return self.failed(format!("a note has some text, at most {LONGEST_NOTE} bytes"));
        }
        // Who wrote it and what it rests on stands above it, so that a later reader can weigh it.
        let evidence = tools::text(arguments, "evidence");
        let head = [("author", self.origin.to_string()), ("level", "model".to_owned()), ("evidence", evidence.to_owned())];
        let head: String =
            head.iter().filter(|(_, said)| !said.is_empty()).map(|(key, said)| format!("{key}: {}\n", crate::escape_line(said))).collect();
        let text = format!("---\n{head}---\n\n{}\n", crate::escape(text).trim());
        self.offer(vec![(format!("knowledge/{name}.md"), How::Whole(text))], arguments, transcript).await
    }

    async fn offer(
        &mut self,
        files: Vec<(String, How)>,
        arguments: &Map<String, Value>,
        transcript: &(dyn Fn() -> String + Sync),
    ) -> Handled {
        let predictions = arguments.get("predict").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let draft = Draft {
            pipeline: self.pipeline.clone(),
            files,
            intent: tools::text(arguments, "intent").to_owned(),
            predictions: predictions.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            seen: self.seen.clone(),
            origin: self.origin.clone(),
            transcript: None,
            parent: None,
        };
        let project = self.gate.project().clone();
        let mut proposal = match aside(async move { project.propose(draft).await }, PATIENCE).await {
            Err(late) => return Handled::refused(format!("the proposal could not be planned: {late}")),
            Ok(Ok(proposal)) => proposal,
            Ok(Err(wrong)) => {
                self.tainted(said_in(&wrong));
                return self.failed(told(&wrong));
            }
        };
        match self.gate.store().keep_transcript(&transcript()) {
            Ok(digest) => proposal.transcript = Some(digest),
            Err(error) => return Handled::refused(format!("the conversation can't be kept: {error}")),
        }
        match self.gate.offer(proposal, &self.origin.to_string()) {
            Ok(proposal) => {
                let id = proposal.id();
                self.failures = 0;
                self.own.push(id.clone());
                let text = json!({
                    "proposal": id.short(),
                    "status": "awaiting_human",
                    "note": "a person reads the card and decides; you will be told",
                    "would_run": proposal.plan.as_ref().map(|plan| plan.runs()),
                    "can_move": proposal.plan.as_ref().map(|plan| plan.moves.clone()),
                    "warnings": proposal.warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>(),
                });
                Handled { text: text.to_string(), offered: Some(id), question: None }
            }
            Err(error) => Handled::refused(error.to_string()),
        }
    }

    fn withdraw(&mut self, arguments: &Map<String, Value>) -> Handled {
        let wanted = tools::text(arguments, "proposal");
        let Some(id) = self.own.iter().find(|id| wanted.len() >= 6 && id.as_str().starts_with(wanted)) else {
            return Handled::refused("only a proposal of this conversation can be withdrawn");
        };
        match self.gate.withdraw(id, &self.origin.to_string()) {
            Ok(()) => Handled::told(&json!({ "withdrawn": id.short() })),
            Err(error) => Handled::refused(error.to_string()),
        }
    }

    fn tainted(&mut self, sources: Vec<String>) {
        let all: BTreeSet<String> = self.seen.free_text.drain(..).chain(sources).collect();
        self.seen.free_text = all.into_iter().collect();
    }

    fn failed(&mut self, reason: impl Into<String>) -> Handled {
        self.failures += 1;
        let left = MOST_REPAIRS.saturating_sub(self.failures);
        Handled::told(&json!({ "error": reason.into(), "tries_left": left }))
    }

    /// A proposal that waits.
    ///
    /// # Errors
    /// When it can't be read, in words.
    pub fn proposal(&self, id: &ProposalId) -> Result<Proposal, String> {
        self.gate.store().proposal(id)
    }
}

/// Free text in what is wrong: lines of the pipeline, and names of the data in messages.
pub(crate) fn said_in(wrong: &Wrong) -> Vec<String> {
    let mut said = tools::Said::default();
    match wrong {
        Wrong::Mistakes { file, text, found } => {
            said.pipeline(file, text);
            // Whatever a message quotes stands between these.
            let quoted = found.iter().flat_map(|one| one.message.split(['`', '"']).skip(1).step_by(2));
            quoted.for_each(|piece| {
                said.say("a message about the plan", piece);
            });
        }
        Wrong::Plan(message) => {
            said.say("a message about the plan", message);
        }
        _ => {}
    }
    said.free_text()
}

/// What is wrong, as a model reads it.
fn told(wrong: &Wrong) -> String {
    match wrong {
        Wrong::Mistakes { text, found, .. } => {
            let errors: Vec<_> = found.iter().filter(|one| one.severity == neuroflow_dsl::Severity::Error).cloned().collect();
            json!({ "message": "the changed pipeline would be wrong", "mistakes": tools::mistakes(text, &errors) }).to_string()
        }
        other => other.to_string(),
    }
}

fn clarify(arguments: &Map<String, Value>) -> Handled {
    const MOST: usize = 4;
    let options = arguments.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let options: Vec<String> = options.iter().filter_map(Value::as_str).take(MOST).map(str::to_owned).collect();
    let short = |text: &str| text.chars().take(LONGEST_QUESTION).collect::<String>();
    let question =
        Question { text: short(tools::text(arguments, "question")), options: options.iter().map(|option| short(option)).collect() };
    Handled { text: json!({ "status": "the person is asked" }).to_string(), offered: None, question: Some(question) }
}

/// The edits of a call: `edits`, a list of JSON objects, or one edit in the flat fields.
fn edits_of(arguments: &Map<String, Value>) -> Result<Vec<Edit>, String> {
    let wrong = |error: serde_json::Error| format!("that is no edit: {error}");
    let mut edits = Vec::new();
    for text in arguments.get("edits").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        // A list in one text is what some models write.
        match serde_json::from_str::<Value>(text).map_err(wrong)? {
            Value::Array(list) => {
                for one in list {
                    edits.push(serde_json::from_value(one).map_err(wrong)?);
                }
            }
            one => edits.push(serde_json::from_value(one).map_err(wrong)?),
        }
    }
    let op = tools::text(arguments, "op");
    if !op.is_empty() {
        let spec = EDITS.iter().find(|spec| spec.op == op).ok_or_else(|| format!("there is no edit `{op}`"))?;
        let mut one = Map::new();
        one.insert("op".into(), op.into());
        for field in spec.fields {
            match arguments.get(field.name) {
                Some(Value::Null) | None if !field.optional => return Err(format!("`{op}` needs `{}`: {}", field.name, field.doc)),
                Some(Value::String(text)) if text.is_empty() && !field.optional => {
                    return Err(format!("`{op}` needs `{}`: {}", field.name, field.doc));
                }
                Some(Value::Null) | None => {}
                Some(value) => {
                    one.insert(field.name.into(), value.clone());
                }
            }
        }
        edits.push(serde_json::from_value(one.into()).map_err(wrong)?);
    }
    if edits.is_empty() { Err("there is no edit in it: give `op` and its fields, or `edits`".into()) } else { Ok(edits) }
}

/// A tool that offers something: its name, what it does, its arguments.
type Writing = (&'static str, &'static str, fn() -> Vec<Field>);

const WRITING: [Writing; 4] = [
    (
        "propose_edit",
        "Offers a change of the pipeline to the person, who sees what it changes, re-runs and costs, and decides. One edit a call in the flat fields (`op` and \
         its own; all others null), with `more` true while further edits of the same intention follow; or all of them in `edits` as JSON texts. Values, calls \
         and conditions are written in the pipeline language. `predict` are conditions on scores that you expect to hold after the run.",
        edit_fields,
    ),
    (
        "propose_knowledge",
        "Offers a note of the project (knowledge/NAME.md) to the person: a fact or a decision with its evidence, in Markdown.",
        || {
            vec![
                Field::new("note", FieldKind::String, "the note's name, such as band-of-motor-imagery"),
                Field::new("text", FieldKind::String, "what it says, in Markdown"),
                Field::new("evidence", FieldKind::String, "what it rests on: a run, a paper, the person's word").or_null(),
                Field::new("intent", FieldKind::String, "why, in one sentence"),
            ]
        },
    ),
    (
        "clarify",
        "Asks the person a question, with up to four possible answers, when what they want is not plain. Better than a guess.",
        || {
            vec![
                Field::new("question", FieldKind::String, "the question"),
                Field::new("options", FieldKind::Strings, "possible answers").or_null(),
            ]
        },
    ),
    ("withdraw", "Takes a proposal of this conversation back.", || vec![Field::new("proposal", FieldKind::String, "its id")]),
];

/// The fields of all edits together: one flat object that every grammar engine holds.
fn edit_fields() -> Vec<Field> {
    let ops = EDITS.iter().map(|spec| spec.op.to_owned()).collect();
    let uses =
        EDITS.iter().map(|spec| format!("{}({})", spec.op, spec.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")));
    let mut fields = vec![
        Field::new("intent", FieldKind::String, "the question that the change answers, in one sentence"),
        Field::new("op", FieldKind::Word(ops), &uses.collect::<Vec<_>>().join("; ")).or_null(),
    ];
    for field in EDITS.iter().flat_map(|spec| spec.fields) {
        if !fields.iter().any(|known| known.name == field.name) {
            let kind = if field.name == "outside" { FieldKind::Boolean } else { FieldKind::String };
            fields.push(Field::new(field.name, kind, field.doc).or_null());
        }
    }
    fields.push(Field::new("edits", FieldKind::Strings, "several edits at once, each a JSON object as text").or_null());
    fields.push(Field::new("predict", FieldKind::Strings, "conditions, such as `shuffled.accuracy < scene.accuracy`").or_null());
    fields.push(Field::new("more", FieldKind::Boolean, "true while further edits of the same intention follow").or_null());
    fields
}
