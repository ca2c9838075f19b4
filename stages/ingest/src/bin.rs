//! `ingest.bin`: spikes as a continuous signal of counts.
//!
//! For what: analyses of continuous signals (affinities, correlations, decoding of behaviour) on spikes. Promises: half-open bins without drift, one
//! stretch for each span in which units were observed, no bin that was recorded in part. Refuses: spans without a whole bin. From: `numpy.histogram`; for
//! smoothing `scipy.ndimage.gaussian_filter1d` with its defaults, which keeps the number of spikes.

use crate::condition::chosen;
use crate::recorded::{bins_of_window, each_channel, spans_of};
use neuroflow_compute::signal::gaussian_smoothed;
use neuroflow_data::{Channel, Kind, Recording, Samples, Spikes, Stretch};
use neuroflow_stage::params::Either;
use neuroflow_stage::{
    Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Seconds, Signature, Stage, StageError, TimeWindow, Value, params, words,
};

/// The stage `ingest.bin`.
pub struct Bin;

/// The most counts of all units together: 4 GB while they are made.
const MOST_COUNTS: f64 = 1e9;

words! {
    /// All of the time in which units were observed.
    pub enum Whole {
        /// From the first span to the last.
        All = "all" {},
    }
}

params! {
    /// Parameters of `ingest.bin`.
    pub struct BinParams {
        /// The length of a bin.
        bin: Seconds = Value::seconds(0.02), in 1e-6..=1e6;
        /// The time that is binned, on the recording's clock; `all` is what was observed.
        window: Either<Whole, TimeWindow> = Value::word("all");
        /// The standard deviation of a Gaussian that smooths the counts; 0 s leaves them as they are.
        smooth: Seconds = Value::seconds(0.0), in 0.0..=1e6;
        /// Only units with these names; `*` and `?` stand for any characters and one. All when empty.
        units: Vec<String> = Value::List(Vec::new());
    }
}

const DOC: &str = r#"A recording with a channel for each unit, whose samples are the numbers of spikes in bins of equal length. Bin `k` reaches from
`start + k · bin` to `start + (k + 1) · bin`, its begin included and its end not; its time is its middle. Each span in which the units were observed is a
stretch of its own, and begins with a bin of its own: no bin reaches over a pause, and what is left at the end of a span is not counted. When the file does
not say when units were observed, it is from the first spike of all units to the last.

`smooth` spreads each count by a Gaussian, cut at four standard deviations and reflected at the ends of a stretch, so the number of spikes stays.

```nf
pipeline counts "Spikes in bins of 20 ms"
session = ingest.simulate_signals()
counts = ingest.bin(session.spikes, bin = 20 ms, smooth = 50 ms)
report counts { counts }
```"#;

impl Stage for Bin {
    type Params = BinParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.bin",
            version: 1,
            summary: "Counts the spikes of each unit in bins over the whole recording.",
            doc: DOC,
            inputs: vec![InputSpec::one("spikes", &[Kind::Spikes], "", "Spikes by unit.")],
            outputs: vec![OutputSpec::new("recording", Kind::Recording, "channel × sample", "The counts; channels are units.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &BinParams, context: &Context) -> Result<Outputs, StageError> {
        let spikes: Spikes = inputs.one("spikes")?;
        let session = spikes.session.as_str();
        let names = spikes.names();
        let units = chosen(&names, &params.units, session, "unit")?;
        let width = params.bin.0;
        let mut spans = spans_of(&spikes);
        if let Either::Right(window) = &params.window {
            let (start, end) = (window.start.0, window.end.0);
            bins_of_window(start, end, width)?;
            // What a person asks for is binned also where nothing is said to be observed, but never where it is said not to be.
            spans = match spikes.observed.is_empty() {
                true => vec![(start, end)],
                false => spans.into_iter().map(|(from, to)| (from.max(start), to.min(end))).collect(),
            };
        }
        let bins: Vec<(f64, usize)> = spans
            .iter()
            .map(|(start, end)| (*start, ((end - start) / width + 1e-6).floor().clamp(0.0, 1e12) as usize))
            .filter(|(_, bins)| *bins > 0)
            .collect();
        if bins.is_empty() {
            let spans = spans.iter().take(4).map(|(from, to)| format!("{from} s .. {to} s")).collect::<Vec<_>>().join(", ");
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: no span holds a bin of {width} s; units were observed over {}",
                    if spans.is_empty() { "nothing" } else { &spans }
                ),
                "use shorter bins, or a `window` within the recording",
            ));
        }
        let all: usize = bins.iter().map(|(_, bins)| bins).sum();
        if all as f64 * units.len() as f64 > MOST_COUNTS {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: {} units in {all} bins of {width} s are {:.1e} counts; at most {MOST_COUNTS:.1e} are made",
                    units.len(),
                    all as f64 * units.len() as f64
                ),
                "use longer bins, fewer `units`, or a shorter `window`",
            ));
        }
        let firsts = bins.iter().scan(0u64, |first, (start, bins)| {
            let stretch = Stretch { first: *first, time: start + 0.5 * width };
            *first += *bins as u64;
            Some(stretch)
        });
        let stretches: Vec<Stretch> = firsts.collect();
        let smooth = params.smooth.0 / width;
        let one = |place: usize| -> Result<(Channel, Vec<u32>, Vec<f64>), StageError> {
            let unit = units.get(place).copied().unwrap_or(0);
            let mut counts = Vec::new();
            let mut smoothed = Vec::new();
            for (start, bins) in &bins {
                let own = counted(spikes.times(unit), *start, width, *bins);
                if smooth > 0.0 {
                    let values: Vec<f64> = own.iter().map(|&count| f64::from(count)).collect();
                    smoothed.extend(gaussian_smoothed(&values, smooth).map_err(|error| crate::traces::refused(session, error))?);
                } else {
                    counts.extend(own);
                }
            }
            let name = names.get(unit).cloned().unwrap_or_default();
            let channel = Channel { role: "units".into(), stretches: stretches.clone(), ..Channel::new(name, "spikes", 1.0 / width) };
            Ok((channel, counts, smoothed))
        };
        let channels = each_channel(units.len(), context, one)?;
        let most = channels.iter().flat_map(|(_, counts, _)| counts.iter().copied()).max().unwrap_or(0);
        let samples = |counts: Vec<u32>, smoothed: Vec<f64>| match (smooth > 0.0, i16::try_from(most)) {
            (true, _) => Samples::F64(smoothed.into()),
            // Counts are small whole numbers: two bytes each instead of eight.
            (false, Ok(_)) => {
                Samples::I16(counts.into_iter().map(|count| i16::try_from(count).unwrap_or(i16::MAX)).collect::<Vec<_>>().into())
            }
            (false, Err(_)) => Samples::F64(counts.into_iter().map(f64::from).collect::<Vec<_>>().into()),
        };
        let channels = channels.into_iter().map(|(channel, counts, smoothed)| (channel, samples(counts, smoothed))).collect();
        let mut recording = Recording::new(session, channels)?;
        recording.sources.clone_from(&spikes.sources);
        Outputs::new().with("recording", recording)
    }
}

/// The number of spikes in each bin from `start`.
fn counted(spikes: &[f64], start: f64, width: f64, bins: usize) -> Vec<u32> {
    let mut counts = vec![0u32; bins];
    let edge = |bin: usize| start + bin as f64 * width;
    for &spike in spikes.get(spikes.partition_point(|spike| *spike < start)..).unwrap_or(&[]) {
        // The division may be off by one where rounding decides; the edges settle it.
        let guess = ((spike - start) / width).floor();
        if guess > bins as f64 {
            break;
        }
        let guess = guess as usize;
        let inside = |bin: &usize| edge(*bin) <= spike && spike < edge(bin + 1);
        if let Some(count) = (guess.saturating_sub(1)..=guess + 1).find(inside).and_then(|bin| counts.get_mut(bin)) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
#[path = "bin_tests.rs"]
mod tests;
