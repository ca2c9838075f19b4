//! `[agent.budget]` and `[agent.prices]`, as a person writes them.

use super::{BudgetLimits, NotMoney, Price, Prices, Usd};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `[agent.budget]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// Tokens of a session, questions and answers together.
    pub tokens_per_session: Option<u64>,
    /// Dollars of a session.
    pub usd_per_session: Option<f64>,
    /// Dollars of a day, over all sessions.
    pub usd_per_day: Option<f64>,
    /// Questions of a session.
    pub turns: Option<u64>,
    /// How long a session may take, such as `"30 min"`.
    pub wall: Option<String>,
    /// How long trials may compute in a day, such as `"10 min"`.
    pub compute_per_day: Option<String>,
}

/// `[agent.prices.MODEL]`: dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSettings {
    /// Of the question.
    pub prompt: f64,
    /// Of the answer.
    pub reply: f64,
}

/// A setting that can't be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A sum of money is none.
    #[error("`{key}`: {error}")]
    Money {
        /// The setting.
        key: String,
        /// What is wrong.
        error: NotMoney,
    },
    /// A time is none.
    #[error("`{key} = \"{text}\"` is no duration: write a number and a unit, like \"30 min\" or \"2 h\"")]
    Time {
        /// The setting.
        key: &'static str,
        /// As written.
        text: String,
    },
}

impl BudgetSettings {
    /// The smaller of two in everything.
    #[must_use]
    pub fn and(self, other: BudgetSettings) -> BudgetSettings {
        fn least<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(if b < a { b } else { a }),
                (a, b) => a.or(b),
            }
        }
        // A time that can't be read stays, so that it is refused and not passed over.
        let shorter = |a: Option<String>, b: Option<String>| match (a, b) {
            (Some(a), Some(b)) => Some(match (duration(&a), duration(&b)) {
                (Some(_), None) => b,
                (Some(first), Some(second)) if second < first => b,
                _ => a,
            }),
            (a, b) => a.or(b),
        };
        BudgetSettings {
            tokens_per_session: least(self.tokens_per_session, other.tokens_per_session),
            usd_per_session: least(self.usd_per_session, other.usd_per_session),
            usd_per_day: least(self.usd_per_day, other.usd_per_day),
            turns: least(self.turns, other.turns),
            wall: shorter(self.wall, other.wall),
            compute_per_day: shorter(self.compute_per_day, other.compute_per_day),
        }
    }

    /// The limits.
    ///
    /// # Errors
    /// When money is negative or not finite, or a time is no duration of at most 400 days.
    pub fn limits(&self) -> Result<BudgetLimits, SettingError> {
        let usd = |key: &str, dollars: Option<f64>| dollars.map(|dollars| money(key, dollars)).transpose();
        Ok(BudgetLimits {
            tokens_per_session: self.tokens_per_session,
            usd_per_session: usd("usd_per_session", self.usd_per_session)?,
            usd_per_day: usd("usd_per_day", self.usd_per_day)?,
            turns: self.turns,
            wall: time("wall", self.wall.as_deref())?,
            compute_per_day: time("compute_per_day", self.compute_per_day.as_deref())?,
        })
    }
}

/// The prices of models.
///
/// # Errors
/// When a price is negative or not finite.
pub fn prices(settings: &BTreeMap<String, PriceSettings>) -> Result<Prices, SettingError> {
    let price = |model: &String, set: &PriceSettings| {
        let of = |part: &str, dollars: f64| money(&format!("prices.{model}.{part}"), dollars);
        Ok((model.clone(), Price { prompt: of("prompt", set.prompt)?, reply: of("reply", set.reply)? }))
    };
    settings.iter().map(|(model, set)| price(model, set)).collect::<Result<_, _>>().map(Prices::new)
}

fn money(key: &str, dollars: f64) -> Result<Usd, SettingError> {
    Usd::from_dollars(dollars).map_err(|error| SettingError::Money { key: key.to_owned(), error })
}

fn time(key: &'static str, text: Option<&str>) -> Result<Option<Duration>, SettingError> {
    text.map(|text| duration(text).ok_or_else(|| SettingError::Time { key, text: text.to_owned() })).transpose()
}

fn duration(text: &str) -> Option<Duration> {
    let read = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    read.filter(|duration| *duration <= Duration::from_secs(400 * 86400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_dollars_and_with_units() {
        let settings: BudgetSettings = serde_json::from_str(
            r#"{"tokens_per_session": 5000, "usd_per_day": 1.25, "turns": 9, "wall": "30 min", "compute_per_day": "90 s"}"#,
        )
        .unwrap();
        let expected = BudgetLimits {
            tokens_per_session: Some(5000),
            usd_per_session: None,
            usd_per_day: Some(Usd(1_250_000)),
            turns: Some(9),
            wall: Some(Duration::from_secs(1800)),
            compute_per_day: Some(Duration::from_secs(90)),
        };
        assert_eq!(settings.limits().unwrap(), expected);
        assert_eq!(BudgetSettings::default().limits().unwrap(), BudgetLimits::default());
    }

    #[test]
    fn what_can_not_be_is_refused_with_its_name() {
        let with = |wall: Option<&str>, usd: Option<f64>| BudgetSettings {
            wall: wall.map(str::to_owned),
            usd_per_session: usd,
            ..Default::default()
        };
        for wall in ["30", "30 mV", "-1 s", "soon", "1e300 h"] {
            assert!(with(Some(wall), None).limits().unwrap_err().to_string().contains("30 min"), "{wall}");
        }
        for usd in [-1.0, f64::NAN] {
            assert!(with(None, Some(usd)).limits().unwrap_err().to_string().contains("`usd_per_session`"));
        }
        assert!(serde_json::from_str::<BudgetSettings>(r#"{"tokens": 5}"#).is_err());
        let wrong = BTreeMap::from([("big".to_owned(), PriceSettings { prompt: 1.0, reply: -1.0 })]);
        assert!(prices(&wrong).unwrap_err().to_string().contains("`prices.big.reply`"));
    }

    #[test]
    fn prices_are_dollars_for_a_million_tokens() {
        let prices = prices(&BTreeMap::from([("big".to_owned(), PriceSettings { prompt: 0.15, reply: 0.6 })])).unwrap();
        assert_eq!(prices.of("big", false), Some(Price { prompt: Usd(150_000), reply: Usd(600_000) }));
    }
}
