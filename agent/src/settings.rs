//! `[agent]` of neuroflow.toml and of the user's own settings: what may be proposed, and what an approval needs. No edit can reach them.

use crate::budget::{BudgetSettings, PriceSettings};
use crate::proposal::Exposure;
use crate::review::Level;
use crate::secret::KeySettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much a kind of stage is left to the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// What is cheap and pure may be approved by a client.
    Auto,
    /// The same, and the person is told.
    Notify,
    /// A person says yes at a terminal.
    #[default]
    Ask,
}

/// What a model may try out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preview {
    /// Nothing.
    Off,
    /// Single steps on a few trials, aside.
    Sample,
}

/// Who the agent speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// Somebody to whom terms are explained, and who is asked more often.
    Novice,
    /// Somebody who knows the field.
    Expert,
}

impl Reader {
    /// What a model is told about the person.
    pub fn told(self) -> &'static str {
        match self {
            Reader::Novice => {
                "The person is new to this. Explain each term in a sentence when you first use it, propose small steps, and ask rather than assume; \
                 what they say about data or methods may be mistaken, so check it with the tools."
            }
            Reader::Expert => {
                "The person knows the field well. Be brief, use its terms, and do not explain what they know; what they say about their data and methods \
                 counts for more than your own knowledge."
            }
        }
    }
}

/// What is set for the agent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What an approval needs at least; a terminal unless set.
    pub approval: Option<Level>,
    /// Whether programs (`exec`) may be proposed by a model.
    pub allow_exec: bool,
    /// What of the data the agent may look at; names and shapes unless set.
    pub exposure: Option<Exposure>,
    /// What of the data another machine may be shown, by its name; names and shapes unless set.
    pub exposure_of: BTreeMap<String, Exposure>,
    /// What a model may try out; nothing unless set.
    pub preview: Option<Preview>,
    /// Columns that may be shown although they look like a participant's data.
    pub show_columns: Vec<String>,
    /// By stage or topic: how much is left to the agent.
    pub autonomy: BTreeMap<String, Autonomy>,
    /// Seconds of computing above which a client can't approve.
    pub most_seconds: Option<f64>,
    /// Who it speaks with.
    pub reader: Option<Reader>,
    /// The address of an OpenAI-compatible server, such as `http://127.0.0.1:8080/v1`.
    pub endpoint: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// A key itself; refused with advice, for a key has no place in a file of a project.
    pub key: Option<String>,
    /// The environment variable that holds the key.
    pub key_env: Option<String>,
    /// The file, of mode 0600 and outside of the project, that holds the key.
    pub key_file: Option<String>,
    /// The name of the key in the system's keyring.
    pub key_keyring: Option<String>,
    /// How long a conversation may be in tokens, as far as the model goes.
    pub window: Option<u64>,
    /// What may be spent.
    pub budget: BudgetSettings,
    /// What tokens cost, by model.
    pub prices: BTreeMap<String, PriceSettings>,
}

/// Settings that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl Settings {
    /// Reads the section `[agent]` of a settings file; other sections are somebody else's.
    ///
    /// # Errors
    /// When it is no TOML, or the section has something unknown in it.
    pub fn parse(text: &str) -> Result<Settings, SettingsError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct File {
            agent: Settings,
        }
        toml::from_str::<File>(text).map(|file| file.agent).map_err(|error| SettingsError(error.to_string()))
    }

    /// The stricter of two in everything that is a limit; where a model is found is the first one's word, else the second's.
    #[must_use]
    pub fn and(self, other: Settings) -> Settings {
        // Another machine is shown what the project says, and never more than the person says.
        let mut exposure_of = self.exposure_of;
        for (host, theirs) in &other.exposure_of {
            exposure_of.entry(host.clone()).and_modify(|mine| *mine = (*mine).min(*theirs));
        }
        let mut autonomy = self.autonomy;
        for (stage, theirs) in other.autonomy {
            let mine = autonomy.get(&stage).copied().unwrap_or(theirs);
            autonomy.insert(stage, mine.max(theirs));
        }
        // With a price of nothing a project could get around a person's limit in dollars: there only what the person priced has a price.
        let is_limited = other.budget.usd_per_session.is_some() || other.budget.usd_per_day.is_some();
        let mut prices = self.prices;
        prices.retain(|model, _| !is_limited || other.prices.contains_key(model));
        for (model, theirs) in other.prices {
            let mine = prices.entry(model).or_insert(theirs);
            *mine = PriceSettings { prompt: mine.prompt.max(theirs.prompt), reply: mine.reply.max(theirs.reply) };
        }
        // A person's key goes to the endpoint that the person named it for, and not to one that a project brings along.
        let is_theirs = self.endpoint.is_none() || self.endpoint == other.endpoint;
        let strictest = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Settings {
            approval: self.approval.max(other.approval),
            allow_exec: self.allow_exec && other.allow_exec,
            exposure: match (self.exposure, other.exposure) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            exposure_of,
            preview: match (self.preview, other.preview) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            show_columns: self.show_columns,
            autonomy,
            most_seconds: strictest(self.most_seconds, other.most_seconds),
            reader: self.reader.or(other.reader),
            endpoint: self.endpoint.or(other.endpoint),
            model: self.model.or(other.model),
            key: self.key.or(other.key.filter(|_| is_theirs)),
            key_env: self.key_env.or(other.key_env.filter(|_| is_theirs)),
            key_file: self.key_file.or(other.key_file.filter(|_| is_theirs)),
            key_keyring: self.key_keyring.or(other.key_keyring.filter(|_| is_theirs)),
            window: self.window.or(other.window),
            budget: self.budget.and(other.budget),
            prices,
        }
    }

    /// What an approval needs at least.
    pub fn level(&self) -> Level {
        self.approval.unwrap_or(Level::Terminal)
    }

    /// What of the data a model may be shown: on this machine what is set, elsewhere what is set for that host, and never more than on this machine.
    pub fn exposure(&self, host: Option<&str>) -> Exposure {
        let here = self.exposure.unwrap_or(Exposure::Schema);
        match host {
            None => here,
            Some(host) => self.exposure_of.get(host).copied().unwrap_or(Exposure::Schema).min(here),
        }
    }

    /// Where the key is, as written.
    pub fn key_settings(&self) -> KeySettings<'_> {
        KeySettings {
            key: self.key.as_deref(),
            variable: self.key_env.as_deref(),
            file: self.key_file.as_deref(),
            keyring: self.key_keyring.as_deref(),
        }
    }

    /// Whether a key is named.
    pub fn has_key(&self) -> bool {
        self.key_env.is_some() || self.key_file.is_some() || self.key_keyring.is_some()
    }

    /// How much a stage is left to the agent: as set for the stage, else for its topic, else nothing.
    pub fn autonomy_of(&self, stage: &str) -> Autonomy {
        let topic = stage.split('.').next().unwrap_or(stage);
        self.autonomy.get(stage).or_else(|| self.autonomy.get(topic)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_word_counts() {
        let project =
            Settings::parse("[agent]\napproval = \"client\"\nallow_exec = true\n[agent.autonomy]\nconnectome = \"auto\"\n").unwrap();
        let user = Settings::parse("[agent]\napproval = \"signed\"\n[agent.autonomy]\nconnectome = \"notify\"\n[cache]\nx = 1\n").unwrap();
        let both = project.clone().and(user);
        assert_eq!((both.level(), both.allow_exec), (Level::Signed, false));
        assert_eq!(both.autonomy_of("connectome.sbm"), Autonomy::Notify);
        assert_eq!(both.autonomy_of("decode.classify"), Autonomy::Ask);
        assert_eq!(Settings::default().level(), Level::Terminal);
        // What another machine is shown: a person can take away, and not add.
        let project = Settings::parse("[agent]\nexposure = \"sample\"\n[agent.exposure_of]\nhosted = \"sample\"\n").unwrap();
        let user = Settings::parse("[agent.exposure_of]\nhosted = \"aggregate\"\nother = \"sample\"\n").unwrap();
        let both = project.and(user);
        assert_eq!((both.exposure(Some("hosted")), both.exposure(Some("other"))), (Exposure::Aggregate, Exposure::Schema));
        assert_eq!(both.exposure(None), Exposure::Sample);
        let cheap = "[agent.budget]\nusd_per_day = 1000.0\nwall = \"3 h\"\n[agent.prices.big]\nprompt = 0.0\nreply = 0.0\n";
        let careful = "[agent.budget]\nusd_per_day = 2.0\nturns = 9\nwall = \"20 min\"\n[agent.prices.big]\nprompt = 1.5\nreply = 3.0\n";
        let both = Settings::parse(cheap).unwrap().and(Settings::parse(careful).unwrap());
        assert_eq!((both.budget.usd_per_day, both.budget.turns, both.budget.wall.as_deref()), (Some(2.0), Some(9), Some("20 min")));
        assert_eq!(both.prices["big"], PriceSettings { prompt: 1.5, reply: 3.0 });
        let project = || Settings::parse("[agent.prices.m]\nprompt = 0.0\nreply = 0.0\n").unwrap();
        let limited = Settings::parse("[agent.budget]\nusd_per_day = 0.01\n").unwrap();
        assert!(project().and(limited).prices.is_empty(), "a price that only the project names");
        assert_eq!(project().and(Settings::default()).prices.len(), 1);
        // A person's key is for the endpoint that it was written down for.
        let mine = || Settings::parse("[agent]\nendpoint = \"https://mine\"\nkey_env = \"MINE\"\n").unwrap();
        let brought = Settings::parse("[agent]\nendpoint = \"https://other\"\n").unwrap().and(mine());
        assert_eq!((brought.endpoint.as_deref(), brought.key_env), (Some("https://other"), None));
        assert_eq!(Settings::default().and(mine()).key_env.as_deref(), Some("MINE"));
        assert!(Settings::parse("[agent]\naproval = \"client\"").unwrap_err().to_string().contains("aproval"));
    }
}
