//! Which of a row of commits to look at next, to find the one from which on a condition holds.
//!
//! Of n commits, at most ⌈log₂ n⌉ are looked at beside the newest, unless some can't be decided: those are passed over for their neighbours, as
//! `git bisect skip` does.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The condition does not hold.
    Good,
    /// It holds.
    Bad,
    /// It can't be decided.
    Skipped,
}

/// A search among commits, oldest first.
#[derive(Debug, Clone)]
pub struct Bisection {
    /// The newest commit that is known to be good.
    good: Option<usize>,
    /// The oldest that is known to be bad.
    bad: usize,
    skipped: BTreeSet<usize>,
}

impl Bisection {
    /// A search among so many commits (at least one), of which the newest is bad.
    pub fn new(count: usize) -> Bisection {
        Bisection { good: None, bad: count.saturating_sub(1), skipped: BTreeSet::new() }
    }

    /// The first commit that may be the one.
    fn first(&self) -> usize {
        self.good.map_or(0, |good| good + 1)
    }

    /// The commit to look at next; none when nothing is left to be found out.
    pub fn next(&self) -> Option<usize> {
        let first = self.first();
        // What is known to be bad needs no second look.
        let open = (first..self.bad).filter(|commit| !self.skipped.contains(commit));
        // Either half has as many commits that may be the one, or one more.
        let middle = (first + self.bad).saturating_sub(1) / 2;
        open.min_by_key(|commit| commit.abs_diff(middle))
    }

    /// Takes in what became of a commit.
    pub fn tell(&mut self, commit: usize, verdict: Verdict) {
        match verdict {
            Verdict::Good if commit < self.bad => self.good = self.good.max(Some(commit)),
            Verdict::Bad if commit >= self.first() => self.bad = self.bad.min(commit),
            Verdict::Skipped => {
                self.skipped.insert(commit);
            }
            _ => {}
        }
    }

    /// The commits that may be the first bad one: one, unless some before it could not be decided.
    pub fn answer(&self) -> RangeInclusive<usize> {
        self.first()..=self.bad
    }

    /// The newest commit that is known to be good.
    pub fn good(&self) -> Option<usize> {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for the first bad commit of a row; gives the answer and how many were looked at.
    fn search(count: usize, first_bad: usize, skipped: &[usize]) -> (RangeInclusive<usize>, usize) {
        let (mut bisection, mut looked) = (Bisection::new(count), 0);
        while let Some(commit) = bisection.next() {
            let verdict = match commit {
                commit if skipped.contains(&commit) => Verdict::Skipped,
                commit if commit >= first_bad => Verdict::Bad,
                _ => Verdict::Good,
            };
            looked += usize::from(verdict != Verdict::Skipped);
            bisection.tell(commit, verdict);
            assert!(looked <= count);
        }
        (bisection.answer(), looked)
    }

    #[test]
    fn every_commit_of_every_row_is_found_in_few_looks() {
        for count in 1..=70usize {
            let most = usize::try_from(count.next_power_of_two().ilog2()).unwrap();
            for first_bad in 0..count {
                let (answer, looked) = search(count, first_bad, &[]);
                assert_eq!(answer, first_bad..=first_bad);
                assert!(looked <= most, "{count} commits: {looked} looks, {most} are enough");
            }
        }
    }

    #[test]
    fn what_is_skipped_widens_the_answer_only_where_it_stands_before_the_first_bad_one() {
        assert_eq!(search(20, 10, &[3, 4, 5]).0, 10..=10);
        assert_eq!(search(20, 10, &[11, 12]).0, 10..=10);
        assert_eq!(search(20, 10, &[9]).0, 9..=10);
        assert_eq!(search(20, 10, &[8, 9, 10]).0, 8..=11);
        assert_eq!(search(5, 4, &[0, 1, 2, 3]), (0..=4, 0));
    }
}
