//! All stages of a program, by name.

use crate::call::AnyStage;
use std::collections::BTreeMap;

/// The stages that a pipeline may name.
#[derive(Default)]
pub struct Registry {
    stages: BTreeMap<&'static str, &'static dyn AnyStage>,
}

impl Registry {
    /// A registry of the stages in `topics` (each topic crate has a slice `STAGES`).
    pub fn new(topics: &[&[&'static dyn AnyStage]]) -> Registry {
        let stages = topics.iter().flat_map(|topic| topic.iter()).map(|stage| (stage.name(), *stage)).collect();
        Registry { stages }
    }

    /// A stage by name.
    pub fn get(&self, name: &str) -> Option<&'static dyn AnyStage> {
        self.stages.get(name).copied()
    }

    /// All stages, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn AnyStage> {
        self.stages.values().copied()
    }

    /// The stage name nearest to a misspelt one.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.stages.keys().copied())
    }
}

/// The candidate nearest to a misspelt word by edit distance (insert, delete, replace, swap of neighbours), when it is near enough to be meant:
/// at most a third of the word's length, and at least one.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1).min(rows[i][j] + usize::from(from != to));
            if i > 0 && j > 0 && a[i - 1] == *to && *from == b[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_strange_one_finds_none() {
        let names = ["decode.classify", "decode.transfer", "connectome.ntf"];
        assert_eq!(nearest("decode.clasify", names), Some("decode.classify"));
        assert_eq!(nearest("conectome.nft", names), Some("connectome.ntf"));
        assert_eq!(nearest("weather.forecast", names), None);
    }
}
