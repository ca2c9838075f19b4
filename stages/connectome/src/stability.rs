//! How well random starts agree, as a score.

use neuroflow_data::Score;

/// Below this the starts are said to disagree.
const STABLE: f64 = 0.8;

/// The mean of the agreements of starts, with a note `unstable: …` below 0.8; none when there is nothing to compare, as after a single start.
pub(crate) fn stability(agreements: &[f64], unstable: &str) -> Option<Score> {
    if agreements.is_empty() {
        return None;
    }
    let mut score = Score::new("stability", agreements.iter().sum::<f64>() / agreements.len() as f64, agreements.len());
    if score.value < STABLE {
        score.notes.push(format!("unstable: {unstable}"));
    }
    Some(score)
}
