//! `ingest.window`: the bins within a window of time.
//!
//! For what: an analysis that has no window of its own is restricted to a part of each trial. Promises: values unchanged. Refuses: a window without bins.

use crate::subset::of_bins;
use neuroflow_data::{Kind, Responses};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, params,
};

/// The stage `ingest.window`.
pub struct Window;

params! {
    /// Parameters of `ingest.window`.
    pub struct WindowParams {
        /// The window to keep, from stimulus onset; half-open: a bin at its end is left out.
        window: TimeWindow;
    }
}

const DOC: &str = r#"Keeps the bins whose time lies in `window`, which is half-open (`0 s .. 2 s` has the bin at 0 s and not the one at 2 s), of the activity and of the animal's
signals. Trials, units and values stay as they are.

Steps with a `window` of their own do not need this one.

```nf
pipeline stimulus_only "Only the stimulus"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
evoked = ingest.window(responses, window = 0 s .. 2 s)
report stimulus_only { evoked }
```"#;

impl Stage for Window {
    type Params = WindowParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.window",
            version: 1,
            summary: "Keeps the time bins within a window.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session.")],
            outputs: vec![OutputSpec::new("responses", Kind::Responses, "trial × unit × bin", "The activity within the window.")],
            params: Vec::new(),
            metrics: &[],
            sites: vec![ControlSite { control: "window", at: SiteAt::Parameter("window") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &WindowParams, _context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let bins = bins_in(&responses, &params.window)?;
        Outputs::new().with("responses", of_bins(&responses, &bins)?)
    }
}

/// The bins of a window, at least one.
pub(crate) fn bins_in(responses: &Responses, window: &TimeWindow) -> Result<Vec<usize>, StageError> {
    let (start, end) = (window.start.0, window.end.0);
    let bins = responses.bins_within(start, end);
    if !bins.is_empty() {
        return Ok(bins);
    }
    let times = responses.bin_times();
    let has = match (times.first(), times.last()) {
        (Some(first), Some(last)) => format!("its {} bins reach from {first} s to {last} s", times.len()),
        _ => "it has no bins".to_owned(),
    };
    Err(StageError::refused(format!("session `{}` has no bins in the window {start} s .. {end} s: {has}", responses.session)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run};
    use neuroflow_stage::Value;

    #[test]
    fn a_window_is_half_open_and_takes_the_animals_signals_along() {
        let responses = counted(3, 2, 5);
        let outputs = run(&Window, &responses, &[("window", Value::window(0.0, 0.25))], 0).unwrap();
        let kept: Responses = outputs.one("responses").unwrap();
        let all = responses.bins_within(0.0, 0.25);
        assert_eq!(kept.bin_times(), all.iter().map(|&bin| responses.bin_times()[bin]).collect::<Vec<_>>());
        assert!(kept.bin_times().iter().all(|time| (0.0..0.25).contains(time)));
        assert_eq!(kept.trace(2, 1), &responses.trace(2, 1)[all[0]..=*all.last().unwrap()]);
        assert_eq!(kept.covariates().unwrap().shape(), [3, 2, all.len()]);
        assert_eq!(kept.trials(), responses.trials());
    }

    #[test]
    fn a_window_of_everything_changes_nothing() {
        let responses = counted(3, 2, 5);
        let outputs = run(&Window, &responses, &[("window", Value::window(-9.0, 9.0))], 0).unwrap();
        assert_eq!(outputs.one::<Responses>("responses").unwrap(), responses);
    }

    #[test]
    fn a_window_without_bins_is_refused_with_the_times_that_exist() {
        let message = refusal(&Window, &counted(3, 2, 5), &[("window", Value::window(5.0, 6.0))]);
        assert_eq!(message, "session `counted` has no bins in the window 5 s .. 6 s: its 5 bins reach from -0.25 s to 0.75 s");
    }
}
