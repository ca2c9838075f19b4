//! What a conversation may take: tokens, money, turns and time.
//!
//! Before each question its largest possible cost is reserved (the prompt and all of `max_tokens`); afterwards what it really took is settled. A limit
//! is therefore reached before it is passed, unless an endpoint takes more than it was allowed. Asking the same question again after a failure
//! is not charged twice. At 80 % of a limit one line is said, once; at 100 % nothing more is asked until a person raises the limit: what was spent is
//! a plain value that is kept with the session, so that it goes on from there.
//!
//! Nothing here reads a clock: whoever asks says how long the session has taken and which day it is. A day that is earlier than the one that was counted last
//! begins no new one: a clock that is set back fills no budget.

mod day;
mod money;
mod settings;

pub use money::{NotMoney, Price, Prices, Usd};
pub use settings::{BudgetSettings, PriceSettings, SettingError, prices};

use crate::model::{RequestKey, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// `[agent.budget]`: each limit is optional.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetLimits {
    /// Tokens of a session, questions and answers together.
    pub tokens_per_session: Option<u64>,
    /// Money of a session.
    pub usd_per_session: Option<Usd>,
    /// Money of a day, over all sessions.
    pub usd_per_day: Option<Usd>,
    /// Questions of a session.
    pub turns: Option<u64>,
    /// How long a session may take.
    pub wall: Option<Duration>,
    /// How long trials of steps may compute in a day; what they took stands in the ledger.
    pub compute_per_day: Option<Duration>,
}

/// What a session has spent. Kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens, questions and answers together.
    pub tokens: u64,
    /// Of these, how many we counted ourselves because the endpoint did not say.
    pub estimated_tokens: u64,
    /// Money.
    pub usd: Usd,
    /// Questions.
    pub turns: u64,
    /// Limits of which 80 % were announced.
    announced: Vec<Kind>,
}

/// What all sessions of a day have spent. Kept in the user's own folder; one that says another day counts as nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpentToday {
    /// The day, as `2026-11-30`.
    pub day: String,
    /// Money.
    pub usd: Usd,
}

impl SpentToday {
    /// Begins a new day, when `day` is later than the one that is counted or that is none. Gives whether the counted one is later than `day`.
    fn turn_to(&mut self, day: &str) -> bool {
        let date = |text: &str| text.parse::<jiff::civil::Date>().ok();
        match (date(&self.day), date(day)) {
            (Some(counted), Some(now)) if now <= counted => now < counted,
            _ => {
                *self = SpentToday { day: day.to_owned(), usd: Usd(0) };
                false
            }
        }
    }

    /// What all sessions have spent: what is `kept`, to which others may have added, and what this one has spent since it saw `seen`.
    fn joined(&self, seen: &SpentToday, kept: &SpentToday) -> SpentToday {
        let mut all = kept.clone();
        // Nothing is spent here, or others are in a later day already.
        if self.day.is_empty() || all.turn_to(&self.day) {
            return all;
        }
        let before = if seen.day == self.day { seen.usd.0 } else { 0 };
        all.usd = Usd(all.usd.0.saturating_add(self.usd.0.saturating_sub(before)));
        all
    }
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `tokens_per_session`.
    Tokens,
    /// `usd_per_session`.
    Usd,
    /// `usd_per_day`.
    UsdPerDay,
    /// `turns`.
    Turns,
    /// `wall`.
    Wall,
}

impl Kind {
    fn setting(self) -> &'static str {
        match self {
            Self::Tokens => "tokens_per_session",
            Self::Usd => "usd_per_session",
            Self::UsdPerDay => "usd_per_day",
            Self::Turns => "turns",
            Self::Wall => "wall",
        }
    }

    fn amount(self, value: u64) -> String {
        match self {
            Self::Tokens => format!("{value} tokens"),
            Self::Usd | Self::UsdPerDay => Usd(value).to_string(),
            Self::Turns => format!("{value} turns"),
            Self::Wall => format!("{} s", value / 1000),
        }
    }
}

/// Why nothing more is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exhausted {
    /// A limit would be passed.
    #[error("the budget is used up: {} of {} are spent (`{}`), and this question may take {}{}; nothing is lost: raise the limit under `[agent.budget]` and go on with the session", .kind.amount(*.spent), .kind.amount(*.limit), .kind.setting(), .kind.amount(*.asked), counted(.ahead.as_deref()))]
    Limit {
        /// Which.
        kind: Kind,
        /// The limit, in its own unit: tokens, millionths of a dollar, turns, milliseconds.
        limit: u64,
        /// What is spent or reserved.
        spent: u64,
        /// What this question may take.
        asked: u64,
        /// The day that is counted, where the clock says an earlier one.
        ahead: Option<String>,
    },
    /// Money is limited, and nobody knows what the model costs.
    #[error("money is limited (`{}`), but the price of `{model}` is not known; write it under `[agent.prices]` of the settings that limit it, in dollars for a million tokens", .kind.setting())]
    NoPrice {
        /// The limit.
        kind: Kind,
        /// The model.
        model: String,
    },
}

fn counted(ahead: Option<&str>) -> String {
    ahead.map(|day| format!("; what was spent counts for {day}, and the clock says an earlier day: set it right")).unwrap_or_default()
}

/// That 80 % of a limit are used: one line, once a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which.
    pub kind: Kind,
    /// The limit, in its own unit: see [`Exhausted::Limit`].
    pub limit: u64,
    /// What is spent.
    pub spent: u64,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, limit, spent } = self;
        write!(formatter, "{} of {} are spent (`{}`)", kind.amount(*spent), kind.amount(*limit), kind.setting())
    }
}

/// What is set aside for one question. It is handed back by [`Budget::settle`] or [`Budget::failed`]; one that never is stays charged in full.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is set aside stays charged until it is settled"]
pub struct Reservation {
    key: RequestKey,
    usage: Usage,
    usd: Usd,
}

/// The budget of a session.
#[derive(Debug, Clone)]
pub struct Budget {
    limits: BudgetLimits,
    price: Option<Price>,
    model: String,
    spent: Spent,
    today: SpentToday,
    /// What was kept of the day when it was last looked at.
    seen: SpentToday,
    /// What failed tries of a question were charged; the next try of the same takes it over.
    failed: BTreeMap<RequestKey, (Usage, Usd)>,
}

impl Budget {
    /// A session's budget, going on from what is spent. `price` is that of `model`, when it is known; [`Price::FREE`] on one's own machine.
    #[must_use]
    pub fn new(limits: BudgetLimits, model: impl Into<String>, price: Option<Price>, spent: Spent, today: SpentToday) -> Self {
        Self { limits, price, model: model.into(), spent, seen: today.clone(), today, failed: BTreeMap::new() }
    }

    /// What is spent, with what is set aside.
    #[must_use]
    pub fn spent(&self) -> &Spent {
        &self.spent
    }

    /// The limits and the price that count from now on; what is spent stays.
    pub fn set(&mut self, limits: BudgetLimits, price: Option<Price>) {
        (self.limits, self.price) = (limits, price);
    }

    /// Joins the day's money with what is kept of it, to which other sessions may have added meanwhile; what is to be kept now is [`Budget::today`].
    pub fn join_today(&mut self, kept: &SpentToday) {
        self.today = self.today.joined(&self.seen, kept);
        self.seen.clone_from(&self.today);
    }

    /// What is spent today, with what is set aside.
    #[must_use]
    pub fn today(&self) -> &SpentToday {
        &self.today
    }

    /// Sets aside what a question may take at most: its prompt, by our own count, and all of `max_tokens`.
    /// `elapsed` is how long the session has taken, `day` today's date.
    ///
    /// # Errors
    /// When that would pass a limit, or money is limited and the price is not known. Nothing is set aside then.
    pub fn reserve(&mut self, request: &crate::model::Request, elapsed: Duration, day: &str) -> Result<Reservation, Exhausted> {
        let is_ahead = self.today.turn_to(day);
        let key = request.key();
        let usage = Usage { prompt_tokens: request.estimated_tokens(), reply_tokens: u64::from(request.max_tokens), estimated: true };
        let money = [(Kind::Usd, self.limits.usd_per_session), (Kind::UsdPerDay, self.limits.usd_per_day)];
        if let (None, Some((kind, _))) = (self.price, money.iter().find(|(_, limit)| limit.is_some())) {
            return Err(Exhausted::NoPrice { kind: *kind, model: self.model.clone() });
        }
        let usd = self.price.unwrap_or(Price::FREE).of(&usage);
        // A second try of a question that failed takes the place of the first.
        let (before, before_usd) = self.failed.get(&key).copied().unwrap_or_default();
        let second = self.failed.contains_key(&key);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let checks = [
            (Kind::Tokens, self.limits.tokens_per_session, self.spent.tokens.saturating_sub(before.tokens()), usage.tokens()),
            (Kind::Usd, self.limits.usd_per_session.map(|usd| usd.0), self.spent.usd.0.saturating_sub(before_usd.0), usd.0),
            (Kind::UsdPerDay, self.limits.usd_per_day.map(|usd| usd.0), self.today.usd.0.saturating_sub(before_usd.0), usd.0),
            (Kind::Turns, self.limits.turns, self.spent.turns.saturating_sub(u64::from(second)), 1),
            (Kind::Wall, self.limits.wall.map(millis), millis(elapsed), 0),
        ];
        for (kind, limit, spent, asked) in checks {
            let Some(limit) = limit else { continue };
            let is_over = spent.saturating_add(asked) > limit || (kind == Kind::Wall && spent >= limit);
            if is_over {
                let ahead = (is_ahead && kind == Kind::UsdPerDay).then(|| self.today.day.clone());
                return Err(Exhausted::Limit { kind, limit, spent, asked, ahead });
            }
        }
        self.failed.remove(&key);
        self.uncharge(&before, before_usd);
        self.charge(&usage, usd);
        self.spent.turns = self.spent.turns.saturating_add(u64::from(!second));
        Ok(Reservation { key, usage, usd })
    }

    /// The same for a question that the person did not ask: it is no turn, and needs one to be left.
    ///
    /// # Errors
    /// As [`Budget::reserve`].
    pub fn reserve_aside(&mut self, request: &crate::model::Request, elapsed: Duration, day: &str) -> Result<Reservation, Exhausted> {
        let turns = self.spent.turns;
        let reservation = self.reserve(request, elapsed, day)?;
        self.spent.turns = turns;
        Ok(reservation)
    }

    /// Replaces what was set aside by what was taken. Gives one line for each limit of which 80 % are used by now, once a session.
    pub fn settle(&mut self, reservation: Reservation, usage: &Usage, elapsed: Duration) -> Vec<Notice> {
        self.uncharge(&reservation.usage, reservation.usd);
        let usd = self.price.unwrap_or(Price::FREE).of(usage);
        self.charge(usage, usd);
        self.notices(elapsed)
    }

    /// After a question that failed: `usage` is what it may have taken, none when nothing was sent. Asking it again is not charged a second time.
    pub fn failed(&mut self, reservation: Reservation, usage: Option<&Usage>) {
        self.uncharge(&reservation.usage, reservation.usd);
        let usage = usage.copied().unwrap_or_default();
        let usd = self.price.unwrap_or(Price::FREE).of(&usage);
        self.charge(&usage, usd);
        self.failed.insert(reservation.key, (usage, usd));
    }

    fn charge(&mut self, usage: &Usage, usd: Usd) {
        self.spent.tokens = self.spent.tokens.saturating_add(usage.tokens());
        if usage.estimated {
            self.spent.estimated_tokens = self.spent.estimated_tokens.saturating_add(usage.tokens());
        }
        self.spent.usd = Usd(self.spent.usd.0.saturating_add(usd.0));
        self.today.usd = Usd(self.today.usd.0.saturating_add(usd.0));
    }

    fn uncharge(&mut self, usage: &Usage, usd: Usd) {
        self.spent.tokens = self.spent.tokens.saturating_sub(usage.tokens());
        if usage.estimated {
            self.spent.estimated_tokens = self.spent.estimated_tokens.saturating_sub(usage.tokens());
        }
        self.spent.usd = Usd(self.spent.usd.0.saturating_sub(usd.0));
        self.today.usd = Usd(self.today.usd.0.saturating_sub(usd.0));
    }

    fn notices(&mut self, elapsed: Duration) -> Vec<Notice> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let used = [
            (Kind::Tokens, self.limits.tokens_per_session, self.spent.tokens),
            (Kind::Usd, self.limits.usd_per_session.map(|usd| usd.0), self.spent.usd.0),
            (Kind::UsdPerDay, self.limits.usd_per_day.map(|usd| usd.0), self.today.usd.0),
            (Kind::Turns, self.limits.turns, self.spent.turns),
            (Kind::Wall, self.limits.wall.map(millis), millis(elapsed)),
        ];
        let mut notices = Vec::new();
        for (kind, limit, spent) in used {
            let Some(limit) = limit else { continue };
            let reached = u128::from(spent) * 5 >= u128::from(limit) * 4;
            if reached && !self.spent.announced.contains(&kind) {
                self.spent.announced.push(kind);
                notices.push(Notice { kind, limit, spent });
            }
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Request};
    use proptest::prelude::*;

    const DAY: &str = "2026-11-30";

    fn question(words: &str, max_tokens: u32) -> Request {
        Request::new(vec![Message::user(words)], max_tokens)
    }

    fn took(prompt_tokens: u64, reply_tokens: u64) -> Usage {
        Usage { prompt_tokens, reply_tokens, estimated: false }
    }

    fn budget(limits: BudgetLimits, price: Option<Price>) -> Budget {
        Budget::new(limits, "m", price, Spent::default(), SpentToday::default())
    }

    fn reserve(budget: &mut Budget, words: &str) -> Result<Reservation, Exhausted> {
        budget.reserve(&question(words, 100), Duration::ZERO, DAY)
    }

    #[test]
    fn what_is_set_aside_is_the_prompt_and_all_of_max_tokens_and_gives_way_to_what_was_taken() {
        let mut budget = budget(BudgetLimits::default(), Some(Price { prompt: Usd(2_000_000), reply: Usd(10_000_000) }));
        let prompt = question("hello", 100).estimated_tokens();
        let reservation = reserve(&mut budget, "hello").unwrap();
        assert_eq!(budget.spent().tokens, prompt + 100);
        assert_eq!(budget.spent().usd, Usd(2 * prompt + 1000));
        budget.settle(reservation, &took(50, 7), Duration::ZERO);
        assert_eq!((budget.spent().tokens, budget.spent().estimated_tokens), (57, 0));
        assert_eq!((budget.spent().usd, budget.today().usd, budget.spent().turns), (Usd(170), Usd(170), 1));
    }

    #[test]
    fn a_question_that_could_pass_a_limit_is_not_asked_and_sets_nothing_aside() {
        let mut budget = budget(BudgetLimits { tokens_per_session: Some(120), ..Default::default() }, None);
        let error = reserve(&mut budget, "hello").unwrap_err();
        assert!(matches!(error, Exhausted::Limit { kind: Kind::Tokens, limit: 120, spent: 0, .. }));
        assert!(error.to_string().contains("raise the limit"), "{error}");
        assert_eq!(budget.spent(), &Spent::default());
    }

    #[test]
    fn an_endpoint_that_takes_more_than_it_may_ends_the_session_there() {
        let mut budget = budget(BudgetLimits { tokens_per_session: Some(1000), ..Default::default() }, None);
        let reservation = reserve(&mut budget, "a").unwrap();
        budget.settle(reservation, &took(u64::MAX, u64::MAX), Duration::ZERO);
        assert!(reserve(&mut budget, "b").is_err());
    }

    #[test]
    fn a_second_try_of_the_same_question_is_not_charged_twice() {
        let mut budget =
            budget(BudgetLimits { turns: Some(2), ..Default::default() }, Some(Price { prompt: Usd(1_000_000), reply: Usd(1_000_000) }));
        for _ in 0..5 {
            let reservation = reserve(&mut budget, "a").unwrap();
            budget.failed(reservation, Some(&took(40, 3)));
            assert_eq!((budget.spent().tokens, budget.spent().usd, budget.spent().turns), (43, Usd(43), 1));
        }
        let reservation = reserve(&mut budget, "a").unwrap();
        budget.settle(reservation, &took(40, 20), Duration::ZERO);
        assert_eq!((budget.spent().tokens, budget.spent().turns), (60, 1));
        // What was answered is another question the next time.
        let reservation = reserve(&mut budget, "a").unwrap();
        budget.failed(reservation, None);
        assert_eq!((budget.spent().tokens, budget.spent().turns), (60, 2));
        assert!(matches!(reserve(&mut budget, "b"), Err(Exhausted::Limit { kind: Kind::Turns, .. })));
    }

    #[test]
    fn what_was_never_settled_stays_charged() {
        let mut budget = budget(BudgetLimits::default(), None);
        drop(reserve(&mut budget, "a").unwrap());
        assert!(budget.spent().tokens >= 100);
    }

    #[test]
    fn at_80_percent_one_line_is_said_once_also_after_the_session_went_on() {
        let limits = BudgetLimits { tokens_per_session: Some(1000), ..Default::default() };
        let mut first = budget(limits.clone(), None);
        let reservation = reserve(&mut first, "a").unwrap();
        assert!(first.settle(reservation, &took(700, 99), Duration::ZERO).is_empty());
        let reservation = reserve(&mut first, "b").unwrap();
        let notices = first.settle(reservation, &took(1, 0), Duration::ZERO);
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0].to_string(), "800 tokens of 1000 tokens are spent (`tokens_per_session`)");
        let kept = serde_json::to_string(first.spent()).unwrap();
        let mut second = Budget::new(limits, "m", None, serde_json::from_str(&kept).unwrap(), first.today().clone());
        let reservation = second.reserve(&question("c", 10), Duration::ZERO, DAY).unwrap();
        assert!(second.settle(reservation, &took(50, 0), Duration::ZERO).is_empty());
        assert_eq!(second.spent().tokens, 850);
    }

    #[test]
    fn money_needs_a_price_and_a_free_model_none() {
        let limits = BudgetLimits { usd_per_session: Some(Usd::from_dollars(0.5).unwrap()), ..Default::default() };
        let error = reserve(&mut budget(limits.clone(), None), "a").unwrap_err();
        assert!(error.to_string().contains("`m`") && error.to_string().contains("[agent.prices]"), "{error}");
        assert!(reserve(&mut budget(limits, Some(Price::FREE)), "a").is_ok());
    }

    #[test]
    fn a_days_money_is_shared_by_sessions_and_new_the_next_day() {
        let limits = BudgetLimits { usd_per_day: Some(Usd(1000)), ..Default::default() };
        let price = Some(Price { prompt: Usd(0), reply: Usd(1_000_000) });
        let today = SpentToday { day: DAY.into(), usd: Usd(950) };
        let mut budget = Budget::new(limits, "m", price, Spent::default(), today);
        assert!(matches!(reserve(&mut budget, "a"), Err(Exhausted::Limit { kind: Kind::UsdPerDay, .. })));
        assert!(budget.reserve(&question("a", 100), Duration::ZERO, "2026-12-01").is_ok());
        assert_eq!(budget.today(), &SpentToday { day: "2026-12-01".into(), usd: Usd(100) });
    }

    #[test]
    fn two_sessions_at_once_lose_nothing_of_each_other() {
        let limits = BudgetLimits { usd_per_day: Some(Usd(1000)), ..Default::default() };
        let price = Some(Price { prompt: Usd(0), reply: Usd(1_000_000) });
        let mut kept = SpentToday { day: DAY.into(), usd: Usd(500) };
        let session = |today: &SpentToday| Budget::new(limits.clone(), "m", price, Spent::default(), today.clone());
        let (mut one, mut other) = (session(&kept), session(&kept));
        let mut idle = session(&SpentToday::default());
        idle.join_today(&kept);
        assert_eq!(idle.today(), &kept);
        for (turn, words) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let budget = if turn % 2 == 0 { &mut one } else { &mut other };
            drop(budget.reserve(&question(words, 100), Duration::ZERO, DAY).unwrap());
            budget.join_today(&kept);
            kept = budget.today().clone();
        }
        assert_eq!(kept, SpentToday { day: DAY.into(), usd: Usd(900) });
        // The first has not looked since; when it does, it knows what the other took.
        one.join_today(&kept);
        assert!(one.reserve(&question("e", 101), Duration::ZERO, DAY).is_err());
        // The other goes on into the next day, and what the first brings of the old one does not count there.
        drop(other.reserve(&question("f", 100), Duration::ZERO, "2026-12-01").unwrap());
        other.join_today(&kept);
        assert_eq!(other.today(), &SpentToday { day: "2026-12-01".into(), usd: Usd(100) });
        kept = other.today().clone();
        one.join_today(&kept);
        assert_eq!(one.today(), &kept);
    }

    #[test]
    fn a_clock_that_is_set_back_fills_no_budget() {
        let limits = BudgetLimits { usd_per_day: Some(Usd(1000)), ..Default::default() };
        let price = Some(Price { prompt: Usd(0), reply: Usd(1_000_000) });
        let at = |budget: &mut Budget, words: &str, day: &str| budget.reserve(&question(words, 100), Duration::ZERO, day);
        let mut budget = Budget::new(limits.clone(), "m", price, Spent::default(), SpentToday { day: DAY.into(), usd: Usd(950) });
        for day in ["2026-11-29", "2025-12-31", "1970-01-01", DAY] {
            let error = at(&mut budget, "a", day).unwrap_err();
            assert!(matches!(error, Exhausted::Limit { kind: Kind::UsdPerDay, spent: 950, .. }));
            assert_eq!(error.to_string().contains("counts for 2026-11-30"), day != DAY, "{error}");
        }
        // What is taken meanwhile counts for the day that was there, and is still counted when the clock is right again.
        let mut budget = Budget::new(limits.clone(), "m", price, Spent::default(), SpentToday { day: DAY.into(), usd: Usd(850) });
        drop(at(&mut budget, "a", "2026-11-01").unwrap());
        assert_eq!(budget.today(), &SpentToday { day: DAY.into(), usd: Usd(950) });
        assert!(at(&mut budget, "b", DAY).is_err());
        assert!(at(&mut budget, "b", "2026-12-01").is_ok());
        // What is no day counts as nothing.
        let mut budget = Budget::new(limits, "m", price, Spent::default(), SpentToday { day: "zzz".into(), usd: Usd(950) });
        assert!(at(&mut budget, "a", DAY).is_ok());
    }

    #[test]
    fn time_ends_a_session_too() {
        let limits = BudgetLimits { wall: Some(Duration::from_secs(60)), ..Default::default() };
        let mut budget = budget(limits, None);
        let reservation = budget.reserve(&question("a", 1), Duration::from_secs(40), DAY).unwrap();
        assert_eq!(budget.settle(reservation, &took(1, 1), Duration::from_secs(50)).len(), 1);
        let error = budget.reserve(&question("b", 1), Duration::from_secs(60), DAY).unwrap_err();
        assert!(error.to_string().contains("60 s of 60 s"), "{error}");
    }

    proptest! {
        /// With an endpoint that keeps to `max_tokens` and to our count of the prompt, no limit is ever passed, whatever fails in between.
        #[test]
        fn no_limit_is_passed(limit in 0_u64..2000, steps in prop::collection::vec((0_u8..3, 0_u64..40, 0_u64..=100, 0_u8..4), 0..60)) {
            let price = Price { prompt: Usd(3_000_000), reply: Usd(7_000_000) };
            let limits = BudgetLimits { tokens_per_session: Some(limit), usd_per_session: Some(Usd(limit * 3)), ..Default::default() };
            let mut budget = budget(limits, Some(price));
            for (what, prompt, reply, word) in steps {
                if let Ok(reservation) = reserve(&mut budget, &"x".repeat(usize::from(word))) {
                    let usage = took(prompt, reply);
                    match what {
                        0 => budget.failed(reservation, Some(&usage)),
                        1 => budget.failed(reservation, None),
                        _ => drop(budget.settle(reservation, &usage, Duration::ZERO)),
                    }
                }
                prop_assert!(budget.spent().tokens <= limit);
                prop_assert!(budget.spent().usd.0 <= limit * 3);
                prop_assert_eq!(budget.spent().usd, budget.today().usd);
            }
        }
    }
}
