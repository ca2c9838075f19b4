//! `ingest.align`: spikes or samples around events become responses `[trial × unit × bin]`.
//!
//! For what: peri-stimulus activity from spike times, and from signals that are averaged in bins. Promises: half-open bins whose edges are
//! `start + k · bin`, without drift; a spike on an edge counts once, in the later bin; every column of the events becomes a trial column. Refuses: windows
//! that are no whole number of bins, and, unless asked to drop or fill them, trials that leave the time that was recorded. From: `numpy.histogram` of
//! `spikes − event`, whose last bin, unlike these, is closed.

use crate::condition::chosen;
use crate::cut::{Chosen, Dropped, choose, properties, trial_columns};
use crate::recorded::{Common, bins_of_window, spans_of};
use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::with_threads;
use neuroflow_data::{Axis, Events, Kind, Recording, Responses, Spikes, Tensor, Typed};
use neuroflow_stage::{
    Auto, Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Seconds, Signature, Stage, StageError, TimeWindow, Value, params,
    words,
};
use std::collections::BTreeSet;

/// The stage `ingest.align`.
pub struct Align;

/// The most bins of one window.
const MOST_BINS: usize = 10_000_000;

words! {
    /// What a bin holds.
    pub enum Measure {
        /// The number of spikes.
        Count = "count" {},
        /// The number of spikes divided by the length of the bin, in hertz.
        Rate = "rate" {},
        /// The mean of the samples whose time lies in the bin, of a recording.
        Mean = "mean" {},
    }
}

words! {
    /// What to do with trials whose window leaves the time that was recorded.
    pub enum Outside {
        /// Refuse, with their number and the first of them.
        Refuse = "refuse" {},
        /// Leave those trials out; the output `dropped` lists them.
        Drop = "drop" {},
        /// Keep those trials; bins that were not recorded wholly have this value.
        Fill = "fill" {
            /// The value.
            value: f64 = 0.0;
        },
    }
}

params! {
    /// Parameters of `ingest.align`.
    pub struct AlignParams {
        /// The window around each event, half-open.
        window: TimeWindow = Value::window(-0.5, 1.0);
        /// The length of a bin; the window is a whole number of them.
        bin: Seconds = Value::seconds(0.01), in 1e-6..=1e6;
        /// Only events with one of these labels; all when empty.
        label: Vec<String> = Value::List(Vec::new());
        /// Only events that fit this condition on their columns, such as `label = 'T1' and duration > 2`; all when empty.
        r#where: String = "";
        /// Only units (channels of a recording) with these names; `*` and `?` stand for any characters and one. All when empty.
        units: Vec<String> = Value::List(Vec::new());
        /// What a bin holds; `auto` is `count` for spikes and `mean` for recordings.
        measure: Auto<Measure> = Value::word("auto");
        /// What to do with trials whose window leaves the time that was recorded.
        edges: Outside = Value::word("refuse");
    }
}

const DOC: &str = r#"For each event and unit, the spikes in each bin of a window around the event's time; of a recording, the mean of the samples
in each bin. Bin `k` reaches from `start + k · bin` to `start + (k + 1) · bin`, its begin included and its end not, and lies on the bin axis at its
middle. All columns of the events are kept as columns of the trials, and those of the units as properties of the `unit` axis.

A trial counts as recorded when its window lies within one of the spans in which the units were observed; when the file does not say, that is from the
first spike of all units to the last. Trials outside are refused unless `edges = drop`, or `edges = fill` with a value that the user vouches for: a bin
without spikes and one that nobody recorded are not the same. `dropped` lists what was left out.

```nf
pipeline evoked "Spikes around events"
session = ingest.simulate_signals()
responses = ingest.align(session.spikes, session.events, window = -500 ms .. 1 s, bin = 10 ms, where = "label = 'left'")
report evoked { responses }
```"#;

impl Stage for Align {
    type Params = AlignParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.align",
            version: 1,
            summary: "Counts spikes, or averages samples, in bins around events.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("activity", &[Kind::Spikes, Kind::Recording], "", "Spikes, or a recording."),
                InputSpec::one("events", &[Kind::Events], "", "The events; one trial each."),
            ],
            outputs: vec![
                OutputSpec::new("responses", Kind::Responses, "trial × unit × bin", "The activity around each event."),
                OutputSpec::new("dropped", Kind::Table, "", "A row for each event that was left out, and why."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &AlignParams, context: &Context) -> Result<Outputs, StageError> {
        let activity = inputs.artifact("activity").ok_or_else(|| StageError::Bug("input `activity` was not given".into()))?;
        let events: Events = inputs.one("events")?;
        let bins = Bins::of(params)?;
        let picked = choose(&events, &params.label, &params.r#where)?;
        match activity.kind() {
            Kind::Spikes => of_spikes(&Spikes::from_artifact(activity)?, &events, &picked, &bins, params, context),
            _ => of_recording(&Recording::from_artifact(activity)?, &events, &picked, &bins, params, context),
        }
    }
}

/// The bins of a window.
struct Bins {
    start: f64,
    width: f64,
    /// `edges[k]` is where bin `k` begins, from the event; one more than there are bins.
    edges: Vec<f64>,
}

impl Bins {
    fn of(params: &AlignParams) -> Result<Bins, StageError> {
        let (start, end, width) = (params.window.start.0, params.window.end.0, params.bin.0);
        let n = bins_of_window(start, end, width)?;
        if n > MOST_BINS {
            return Err(StageError::refused_with_help(
                format!("a window of {} s has {n} bins of {width} s; at most {MOST_BINS} are counted", end - start),
                "use longer bins or a shorter window",
            ));
        }
        Ok(Bins { start, width, edges: (0..=n).map(|bin| start + bin as f64 * width).collect() })
    }

    fn len(&self) -> usize {
        self.edges.len() - 1
    }

    fn axis(&self) -> Axis {
        Axis::numbers("bin", Some("s"), self.edges.windows(2).map(|edges| 0.5 * (edges[0] + edges[1])).collect())
    }

    /// The bin of a time from the event, if it is in the window.
    fn bin_of(&self, time: f64) -> Option<usize> {
        // The division may be off by one where rounding decides; the edges settle it.
        let guess = ((time - self.start) / self.width).floor().clamp(0.0, self.len() as f64) as usize;
        let first = guess.saturating_sub(1);
        let candidates = self.edges.get(first..)?.windows(2).take(3);
        let place = candidates.into_iter().position(|edges| edges[0] <= time && time < edges[1])?;
        Some(first + place)
    }

    /// The window around a time.
    fn around(&self, time: f64) -> (f64, f64) {
        (time + self.start, time + self.edges.last().copied().unwrap_or(self.start))
    }
}

/// The events that become trials, and the others, by whether their window was recorded.
fn recorded_trials(
    session: &str,
    spans: &[(f64, f64)],
    picked: &Chosen,
    bins: &Bins,
    edges: &Outside,
) -> Result<(Vec<usize>, Vec<f64>, Dropped), StageError> {
    let (mut rows, mut times, mut dropped) = (Vec::new(), Vec::new(), Dropped::default());
    // A nanosecond of slack: spans and events come from decimal numbers in files.
    let slack = 1e-9;
    for (&row, &time) in picked.rows.iter().zip(&picked.times) {
        let (start, end) = bins.around(time);
        let inside = spans.iter().any(|(from, to)| *from - slack <= start && end <= *to + slack);
        if inside || matches!(edges, Outside::Fill { .. }) {
            rows.push(row);
            times.push(time);
        } else {
            dropped.push(row, "window", format!("{start} s .. {end} s was not recorded wholly"));
        }
    }
    if *edges == (Outside::Refuse {}) && dropped.len() > 0 {
        let spans = spans.iter().take(4).map(|(from, to)| format!("{from} s .. {to} s")).collect::<Vec<_>>().join(", ");
        return Err(StageError::refused_with_help(
            format!(
                "session `{session}`: the windows of {} of {} events leave the recorded time, {spans}; the first is event {}: {}",
                dropped.len(),
                picked.rows.len(),
                dropped.first_row(),
                dropped.first_detail()
            ),
            "use a shorter window, or leave them out with `edges = drop`",
        ));
    }
    dropped.some_left(rows.len())?;
    Ok((rows, times, dropped))
}

fn of_spikes(
    spikes: &Spikes,
    events: &Events,
    picked: &Chosen,
    bins: &Bins,
    params: &AlignParams,
    context: &Context,
) -> Result<Outputs, StageError> {
    let session = spikes.session.as_str();
    let (scale, unit) = match &params.measure {
        Auto::Auto | Auto::Given(Measure::Count {}) => (1.0, "spikes"),
        Auto::Given(Measure::Rate {}) => (1.0 / bins.width, "Hz"),
        Auto::Given(Measure::Mean {}) => {
            return Err(StageError::refused_with_help("spikes have no mean in a bin", "use `measure = count` or `measure = rate`"));
        }
    };
    let names = spikes.names();
    let units = chosen(&names, &params.units, session, "unit")?;
    let spans = spans_of(spikes);
    let (rows, times, dropped) = recorded_trials(session, &spans, picked, bins, &params.edges)?;
    let n = bins.len();
    context.cancel.check()?;
    let one = |trial: usize| -> Vec<f64> {
        let mut counts = vec![0.0; units.len() * n];
        let time = times.get(trial).copied().unwrap_or(f64::NAN);
        let (start, end) = bins.around(time);
        for (place, &unit) in units.iter().enumerate() {
            let own = spikes.times(unit);
            // One place to spare on both sides: the edges decide, not these sums.
            let first = own.partition_point(|spike| *spike < start).saturating_sub(1);
            for spike in own.get(first..).unwrap_or(&[]) {
                if *spike > end + bins.width {
                    break;
                }
                if let Some(count) = bins.bin_of(spike - time).and_then(|bin| counts.get_mut(place * n + bin)) {
                    *count += scale;
                }
            }
        }
        if let Outside::Fill { value } = params.edges {
            let recorded = |bin: usize| {
                let (from, to) = (time + bins.edges[bin], time + bins.edges[bin + 1]);
                spans.iter().any(|(start, end)| *start - 1e-9 <= from && to <= *end + 1e-9)
            };
            let missing: Vec<usize> = (0..n).filter(|&bin| !recorded(bin)).collect();
            for unit in counts.chunks_exact_mut(n) {
                missing.iter().for_each(|&bin| unit[bin] = value);
            }
        }
        counts
    };
    let trials =
        with_threads(context.threads, || map_in_order(times.len(), one)).map_err(|error| StageError::refused(error.to_string()))?;
    context.cancel.check()?;
    let mut axis = Axis::labels("unit", units.iter().filter_map(|&unit| names.get(unit).cloned()).collect());
    axis.properties = properties(&spikes.units().select(&units)?, "unit");
    let axes = vec![Axis::count("trial", times.len()), axis, bins.axis()];
    let values = Tensor::new(axes, Some(unit), trials.concat())?;
    finish(session, values, events, &rows, &dropped, &spikes.sources)
}

fn of_recording(
    recording: &Recording,
    events: &Events,
    picked: &Chosen,
    bins: &Bins,
    params: &AlignParams,
    context: &Context,
) -> Result<Outputs, StageError> {
    let session = recording.session.as_str();
    if matches!(params.measure, Auto::Given(Measure::Count {} | Measure::Rate {})) {
        return Err(StageError::refused_with_help("a recording has samples, no spikes to count", "use `measure = mean`, or give spikes"));
    }
    let names: Vec<String> = recording.channels().map(|channel| channel.name.clone()).collect();
    let channels = chosen(&names, &params.units, session, "channel")?;
    let common = Common::of(recording, &channels)?;
    if bins.width * common.rate < 1.0 - 1e-9 {
        return Err(StageError::refused_with_help(
            format!("session `{session}`: a bin of {} s is shorter than a sample at {} Hz", bins.width, common.rate),
            "use longer bins, or cut samples with `ingest.epoch`",
        ));
    }
    let spans = common.spans();
    let (rows, times, dropped) = recorded_trials(session, &spans, picked, bins, &params.edges)?;
    let n = bins.len();
    // The samples of each bin of each trial: the same for all channels.
    let samples: Vec<std::ops::Range<usize>> = times
        .iter()
        .flat_map(|time| bins.edges.windows(2).map(move |edges| (time + edges[0], time + edges[1])))
        .map(|(from, to)| match spans.iter().any(|(start, end)| *start - 1e-9 <= from && to <= *end + 1e-9) {
            true => common.samples_between(from, to),
            false => 0..0,
        })
        .collect();
    let fill = if let Outside::Fill { value } = params.edges { Some(value) } else { None };
    if let Some(bin) = samples.iter().position(|samples| samples.is_empty()).filter(|_| fill.is_none()) {
        let time = times.get(bin / n).copied().unwrap_or(f64::NAN);
        return Err(StageError::refused_with_help(
            format!("session `{session}`: bin {} of the event at {time} s holds no sample", bin % n),
            "use longer bins, or leave such trials out with another window",
        ));
    }
    let one = |place: usize| -> Result<Vec<f64>, StageError> {
        context.cancel.check()?;
        let channel = channels.get(place).copied().unwrap_or(0);
        let mean = |samples: &std::ops::Range<usize>| match (samples.is_empty(), fill) {
            (true, Some(value)) => value,
            _ => {
                let values = recording.values(channel, samples.clone());
                values.iter().sum::<f64>() / values.len() as f64
            }
        };
        Ok(samples.iter().map(mean).collect())
    };
    let means = with_threads(context.threads, || map_in_order(channels.len(), one))
        .map_err(|error| StageError::refused(error.to_string()))?
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let mut values = Vec::with_capacity(times.len() * channels.len() * n);
    for trial in 0..times.len() {
        means.iter().for_each(|channel| values.extend_from_slice(channel.get(trial * n..(trial + 1) * n).unwrap_or(&[])));
    }
    let axes = vec![Axis::count("trial", times.len()), common.unit_axis(recording, &channels), bins.axis()];
    let values = Tensor::new(axes, common.unit.as_deref(), values)?;
    finish(session, values, events, &rows, &dropped, &recording.sources)
}

fn finish(
    session: &str,
    values: Tensor,
    events: &Events,
    rows: &[usize],
    dropped: &Dropped,
    sources: &BTreeSet<String>,
) -> Result<Outputs, StageError> {
    let mut responses = Responses::new(session, values, trial_columns(events, rows)?, None)?;
    responses.sources = sources.union(&events.sources).cloned().collect();
    Outputs::new().with("responses", responses)?.with("dropped", dropped.table(events)?)
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
