//! Answers that were recorded once and are said again: the model stands still while everything around it is real.
//!
//! A recording is one file, named by the question's key, with the question and the answer in it. A question that was never recorded is an error that shows where
//! it first differs from the nearest recording; nothing is made up.

use super::error::ModelError;
use super::reply::Reply;
use super::request::{Message, Request};
use super::{Model, OnText, excerpt};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recording {
    request: Request,
    reply: Reply,
    /// Who answered.
    model: String,
}

/// A folder of recordings.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Of this folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn place(&self, request: &Request) -> PathBuf {
        self.folder.join(format!("{}.json", request.key()))
    }

    fn read(path: &Path) -> Result<Recording, ModelError> {
        let failed = |reason: String| ModelError::Recording { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(format!("it is no recording ({error}); record it again")))
    }

    fn find(&self, request: &Request) -> Result<Recording, ModelError> {
        let path = self.place(request);
        if !path.is_file() {
            return Err(self.missing(request));
        }
        let recording = Self::read(&path)?;
        if recording.request.key() != request.key() {
            let reason = "the question in it is not the one that its name says; record it again".into();
            return Err(ModelError::Recording { path: path.display().to_string(), reason });
        }
        Ok(recording)
    }

    /// Says where a question first differs from the recording that goes along with it the longest.
    fn missing(&self, request: &Request) -> ModelError {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        files.sort();
        let recordings = files.iter().filter_map(|path| Some((path, Self::read(path).ok()?.request)));
        // The last of equals would change with the folder; the first by name does not.
        let nearest = recordings
            .map(|(path, other)| (common(request, &other), path, other))
            .min_by_key(|(common, path, _)| (usize::MAX - common, (*path).clone()));
        let difference = match nearest {
            None => format!("there are no recordings in {}", self.folder.display()),
            Some((common, path, other)) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                format!("the nearest is {name}, {}", difference(request, &other, common))
            }
        };
        ModelError::NotRecorded { key: request.key().to_string(), difference }
    }
}

/// How many messages are the same at the beginning.
fn common(one: &Request, other: &Request) -> usize {
    let messages = |request: &Request| request.canonical()["messages"].as_array().cloned().unwrap_or_default();
    messages(one).iter().zip(&messages(other)).take_while(|(one, other)| one == other).count()
}

fn difference(asked: &Request, recorded: &Request, common: usize) -> String {
    let shown = |request: &Request| match request.messages.get(common) {
        None => "no message".to_owned(),
        Some(message) => shown(message),
    };
    if common == asked.messages.len() && common == recorded.messages.len() {
        let part = |name: &str| asked.canonical()[name] != recorded.canonical()[name];
        let parts: Vec<&str> =
            ["tools", "choice", "format", "temperature", "seed", "max_tokens"].into_iter().filter(|name| part(name)).collect();
        return format!("which has the same messages but another `{}`", parts.join("`, `"));
    }
    format!("which first differs at message {}:\n  recorded: {}\n  asked:    {}", common + 1, shown(recorded), shown(asked))
}

fn shown(message: &Message) -> String {
    let (role, text) = match message {
        Message::System { text } => ("system", text.clone()),
        Message::User { text } => ("user", text.clone()),
        Message::Assistant { text, calls } => {
            let calls: Vec<String> = calls.iter().map(|call| format!("{}({})", call.name, call.arguments)).collect();
            ("assistant", format!("{text} {}", calls.join(" ")))
        }
        Message::Tool { name, content, .. } => ("tool", format!("{name}: {content}")),
    };
    format!("{role}: {}", excerpt(text.as_bytes(), 400))
}

/// Whether a recording may be replaced.
type MayReplace = dyn Fn(&Path) -> bool + Send + Sync;

/// A model that says recorded answers, or records those of another.
pub struct Replay {
    store: Store,
    recorded: Option<(Box<dyn Model>, Box<MayReplace>)>,
}

impl Replay {
    /// Says what was recorded, and nothing else.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, recorded: None }
    }

    /// Asks `model` each time and records its answers. Before a recording with another answer is replaced, `may_replace` is asked with the file's path.
    pub fn record(store: Store, model: impl Model + 'static, may_replace: impl Fn(&Path) -> bool + Send + Sync + 'static) -> Self {
        Self { store, recorded: Some((Box::new(model), Box::new(may_replace))) }
    }

    fn write(&self, request: &Request, reply: &Reply, model: &str, may_replace: &MayReplace) -> Result<(), ModelError> {
        let path = self.store.place(request);
        let failed = |reason: String| ModelError::Recording { path: path.display().to_string(), reason };
        if path.exists() {
            let same = Store::read(&path).is_ok_and(|old| old.reply == *reply);
            if same {
                return Ok(());
            }
            if !may_replace(&path) {
                return Err(failed("it holds another answer, and was not to be replaced".into()));
            }
        }
        let recording = Recording { request: request.clone(), reply: reply.clone(), model: model.to_owned() };
        let text = serde_json::to_string_pretty(&recording).map_err(|error| failed(error.to_string()))?;
        let written = std::fs::create_dir_all(&self.store.folder).and_then(|()| {
            // Written aside and renamed, so that a recording is whole or not there.
            let aside = path.with_extension("part");
            std::fs::write(&aside, format!("{text}\n"))?;
            std::fs::rename(&aside, &path)
        });
        written.map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Model for Replay {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        if let Some((model, may_replace)) = &self.recorded {
            let reply = model.reply(request, on_text).await?;
            self.write(request, &reply, &model.name(), may_replace)?;
            return Ok(reply);
        }
        let reply = self.store.find(request)?.reply;
        if !reply.text.is_empty() {
            on_text(&reply.text);
        }
        Ok(reply)
    }

    fn name(&self) -> String {
        self.recorded.as_ref().map_or_else(|| "recording".into(), |(model, _)| model.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Scripted, ToolCall};
    use serde_json::json;

    fn question(words: &[&str]) -> Request {
        Request::new(words.iter().map(|word| Message::user(*word)).collect(), 10)
    }

    fn saying(text: &'static str) -> Scripted {
        Scripted::new(move |request, _| Ok(Reply::text(request, text)))
    }

    async fn ask(model: &Replay, question: &Request) -> Result<String, ModelError> {
        let mut shown = String::new();
        let reply = model.reply(question, &mut |piece| shown.push_str(piece)).await?;
        assert_eq!(reply.text, shown);
        Ok(reply.text)
    }

    #[tokio::test]
    async fn what_was_recorded_is_said_again_whatever_the_ids() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("new"));
        let with_id = |id: &str| {
            let mut question = question(&["hello"]);
            let calls = vec![ToolCall { id: id.into(), name: "plan".into(), arguments: json!({}) }];
            question.messages.push(Message::Assistant { text: String::new(), calls });
            question
        };
        ask(&Replay::record(store.clone(), saying("good day"), |_| false), &with_id("call_a")).await.unwrap();
        assert_eq!(ask(&Replay::new(store), &with_id("call_b")).await.unwrap(), "good day");
    }

    #[tokio::test]
    async fn a_miss_is_loud_and_shows_the_first_difference_from_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert!(ask(&Replay::new(store.clone()), &question(&["a"])).await.unwrap_err().to_string().contains("no recordings"));
        let recorder = Replay::record(store.clone(), saying("x"), |_| false);
        ask(&recorder, &question(&["a", "b", "c"])).await.unwrap();
        ask(&recorder, &question(&["z"])).await.unwrap();
        let error = ask(&Replay::new(store.clone()), &question(&["a", "b", "changed \u{1b}[2J"])).await.unwrap_err().to_string();
        assert!(error.contains("differs at message 3:\n  recorded: user: c\n  asked:    user: changed \\u{1b}[2J"), "{error}");
        assert!(error.contains(&question(&["a", "b", "c"]).key().to_string()), "{error}");
        let shorter = ask(&Replay::new(store.clone()), &question(&["a", "b"])).await.unwrap_err().to_string();
        assert!(shorter.contains("asked:    no message"), "{shorter}");
        let other = Request { seed: Some(3), max_tokens: 11, ..question(&["z"]) };
        let error = ask(&Replay::new(store), &other).await.unwrap_err().to_string();
        assert!(error.contains("same messages but another `seed`, `max_tokens`"), "{error}");
    }

    #[tokio::test]
    async fn another_answer_replaces_a_recording_only_when_that_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let question = question(&["a"]);
        ask(&Replay::record(store.clone(), saying("old"), |_| panic!("there is nothing to replace")), &question).await.unwrap();
        ask(&Replay::record(store.clone(), saying("old"), |_| panic!("it is the same")), &question).await.unwrap();
        assert!(ask(&Replay::record(store.clone(), saying("new"), |_| false), &question).await.is_err());
        assert_eq!(ask(&Replay::new(store.clone()), &question).await.unwrap(), "old");
        ask(&Replay::record(store.clone(), saying("new"), |_| true), &question).await.unwrap();
        assert_eq!(ask(&Replay::new(store), &question).await.unwrap(), "new");
    }

    #[tokio::test]
    async fn a_recording_under_a_wrong_name_or_in_pieces_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        ask(&Replay::record(store.clone(), saying("x"), |_| false), &question(&["a"])).await.unwrap();
        let (right, wrong) = (store.place(&question(&["a"])), store.place(&question(&["b"])));
        std::fs::rename(&right, &wrong).unwrap();
        assert!(ask(&Replay::new(store.clone()), &question(&["b"])).await.unwrap_err().to_string().contains("not the one"));
        std::fs::write(&wrong, "{").unwrap();
        assert!(ask(&Replay::new(store), &question(&["b"])).await.unwrap_err().to_string().contains("no recording"));
    }
}
