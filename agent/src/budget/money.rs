//! Money, and what models cost.

use crate::model::Usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Money, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(pub u64);

impl Usd {
    /// From dollars, as written in settings.
    ///
    /// # Errors
    /// When it is negative, not a number, or more than a billion.
    pub fn from_dollars(dollars: f64) -> Result<Self, NotMoney> {
        if !(0.0..=1e9).contains(&dollars) {
            return Err(NotMoney(dollars));
        }
        Ok(Self((dollars * 1e6).round() as u64))
    }
}

impl std::fmt::Display for Usd {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.0.is_multiple_of(10_000) { 2 } else { 4 };
        write!(formatter, "${:.digits$}", self.0 as f64 / 1e6)
    }
}

/// A number that is no sum of money.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no sum of dollars; a number from 0 to 1000000000 is expected")]
pub struct NotMoney(f64);

/// What a model costs: for a million tokens of the question, and of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Price {
    /// For a million tokens of questions.
    pub prompt: Usd,
    /// For a million tokens of answers.
    pub reply: Usd,
}

impl Price {
    /// A model on one's own machine costs nothing.
    pub const FREE: Self = Self { prompt: Usd(0), reply: Usd(0) };

    /// What an answer costs, rounded up to a millionth of a dollar.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> Usd {
        let part = |price: Usd, tokens: u64| u128::from(price.0) * u128::from(tokens);
        let total = (part(self.prompt, usage.prompt_tokens) + part(self.reply, usage.reply_tokens)).div_ceil(1_000_000);
        Usd(u64::try_from(total).unwrap_or(u64::MAX))
    }
}

/// What models cost, as the user has written it down; nothing is looked up anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// Of these models.
    #[must_use]
    pub fn new(prices: BTreeMap<String, Price>) -> Self {
        Self(prices)
    }

    /// What a model costs: what is written down for exactly this name; else nothing on one's own machine, and unknown elsewhere.
    #[must_use]
    pub fn of(&self, model: &str, is_local: bool) -> Option<Price> {
        self.0.get(model).copied().or_else(|| is_local.then_some(Price::FREE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(prompt_tokens: u64, reply_tokens: u64) -> Usage {
        Usage { prompt_tokens, reply_tokens, estimated: false }
    }

    #[test]
    fn money_is_rounded_up_and_shown_as_dollars() {
        let price = Price { prompt: Usd(1), reply: Usd(0) };
        assert_eq!(price.of(&took(1, 0)), Usd(1));
        assert_eq!(Usd::from_dollars(2.5).unwrap().to_string(), "$2.50");
        assert_eq!(Usd(1700).to_string(), "$0.0017");
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Usd::from_dollars(wrong).is_err());
        }
    }

    #[test]
    fn a_model_here_is_free_unless_it_has_a_price_and_one_elsewhere_must_have_one() {
        let price = Price { prompt: Usd(1), reply: Usd(2) };
        let prices = Prices::new(BTreeMap::from([("big".to_owned(), price)]));
        assert_eq!([prices.of("big", true), prices.of("big", false)], [Some(price); 2]);
        assert_eq!((prices.of("small", true), prices.of("small", false)), (Some(Price::FREE), None));
    }
}
