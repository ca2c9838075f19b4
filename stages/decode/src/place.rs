//! Where in the experiment something is wrong, in words: `session mrcuts28`.

use neuroflow_data::Responses;
use neuroflow_stage::StageError;
use neuroflow_stage::error::require_finite;
use std::fmt;

/// A session's name for messages.
pub(crate) struct Place<'a>(pub(crate) &'a Responses);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.session.is_empty() { f.write_str("this session") } else { write!(f, "session {}", self.0.session) }
    }
}

/// The largest value that is decoded; its inverse is the smallest. Squares and sums of squares of what lies between are numbers.
const LARGEST: f64 = 1e100;

/// Refuses responses with values that are not finite, so large or small that their squares are no numbers, or without units.
///
/// # Errors
/// With the number of such values and the first place.
pub(crate) fn require_usable(responses: &Responses) -> Result<(), StageError> {
    if responses.n_units() == 0 {
        return Err(StageError::refused_with_help(
            format!("{} has no units", Place(responses)),
            "look at the step that selected units, or leave the session out",
        ));
    }
    // A null distribution runs this hundreds of times: one branchless pass first, the search for the place only when it fails.
    let values = responses.values().values();
    let (finite, largest) =
        values.iter().fold((true, 0.0f64), |(finite, largest), value| (finite & (value.abs() <= f64::MAX), largest.max(value.abs())));
    if !finite {
        return require_finite(&Place(responses).to_string(), responses.values());
    }
    if largest > 0.0 && !(1.0 / LARGEST..=LARGEST).contains(&largest) {
        return Err(StageError::refused_with_help(
            format!("{}: the largest value is ±{largest:e}, whose square is no number that can be computed with", Place(responses)),
            "give the activity in another unit, or standardise it with `ingest.zscore`, before this step",
        ));
    }
    Ok(())
}
