//! Recordings and spikes, in the words of the stages that work on them: spans of time, channels that go together, work on each channel.

use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::{ComputeError, with_threads};
use neuroflow_data::{Axis, Channel, Coordinates, Recording, Samples, Spikes, Stretch};
use neuroflow_stage::{Context, StageError};
use std::ops::Range;

/// The most bins that one window or recording may have.
const MOST_BINS: f64 = 1e9;

/// The number of bins of a window, which must be whole.
pub(crate) fn bins_of_window(start: f64, end: f64, width: f64) -> Result<usize, StageError> {
    let bins = (end - start) / width;
    let whole = bins.round();
    if !(1.0..=MOST_BINS).contains(&whole) || (bins - whole).abs() > 1e-6 {
        return Err(StageError::refused_with_help(
            format!("a window of {} s is no whole number of bins of {width} s", end - start),
            "choose a bin that divides the window",
        ));
    }
    Ok(whole as usize)
}

/// The spans in which units were observed, in order and joined where they meet; when the file does not say, from the first spike of all units to the
/// last. None when there is no spike either.
pub(crate) fn spans_of(spikes: &Spikes) -> Vec<(f64, f64)> {
    let mut spans = spikes.observed.clone();
    if spans.is_empty() {
        let first = spikes.all_times().iter().copied().reduce(f64::min);
        let last = spikes.all_times().iter().copied().reduce(f64::max);
        spans.extend(first.zip(last));
    }
    spans.retain(|(start, end)| start <= end);
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (start, end) in spans {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// What channels of a recording must have in common to be one block of samples.
pub(crate) struct Common {
    pub(crate) rate: f64,
    pub(crate) samples: usize,
    /// Their unit; none when the channels differ in it or the file does not say.
    pub(crate) unit: Option<String>,
    /// The time line of each of them.
    pub(crate) line: Channel,
}

impl Common {
    /// # Errors
    /// When channels differ in rate, length or pauses.
    pub(crate) fn of(recording: &Recording, channels: &[usize]) -> Result<Common, StageError> {
        let session = &recording.session;
        let Some((line, samples)) = channels.first().and_then(|&channel| recording.channel(channel)) else {
            return Err(StageError::refused(format!("session `{session}`: no channel is chosen")));
        };
        let mut unit = Some(line.unit.clone()).filter(|unit| !unit.is_empty());
        for (other, own) in channels.iter().filter_map(|&channel| recording.channel(channel)) {
            let differ = |what: &str, a: String, b: String| {
                Err(StageError::refused_with_help(
                    format!("session `{session}`: channels `{}` and `{}` have {what}, {a} and {b}", line.name, other.name),
                    "choose channels of one kind with `channels`, or bring them to one rate with `ingest.resample` first",
                ))
            };
            if other.rate != line.rate {
                return differ("different sampling rates", format!("{} Hz", line.rate), format!("{} Hz", other.rate));
            }
            if own.len() != samples.len() {
                return differ("different lengths", format!("{} samples", samples.len()), format!("{} samples", own.len()));
            }
            if other.stretches != line.stretches {
                return differ("different pauses", format!("{} stretches", line.stretches.len()), format!("{}", other.stretches.len()));
            }
            if unit.as_deref() != Some(&other.unit) {
                unit = None;
            }
        }
        Ok(Common { rate: line.rate, samples: samples.len(), unit, line: line.clone() })
    }

    /// The samples of each stretch.
    pub(crate) fn stretches(&self) -> Vec<Range<usize>> {
        stretches(&self.line, self.samples)
    }

    /// The time of each stretch, from its first sample to one interval after its last.
    pub(crate) fn spans(&self) -> Vec<(f64, f64)> {
        let of = |(range, stretch): (Range<usize>, &Stretch)| (stretch.time, stretch.time + range.len() as f64 / self.rate);
        self.stretches().into_iter().zip(&self.line.stretches).map(of).collect()
    }

    /// The samples whose time lies in `[from, to)`; a time within a thousandth of a sample's counts as that sample's. Never across a pause: samples
    /// of the first stretch that has any.
    pub(crate) fn samples_between(&self, from: f64, to: f64) -> Range<usize> {
        let samples = self.samples as u64;
        let (first, end) = (self.line.sample_at(from, samples), self.line.sample_at(to, samples));
        first as usize..(end as usize).max(first as usize)
    }

    /// The `unit` axis of channels, with their role and unit as properties.
    pub(crate) fn unit_axis(&self, recording: &Recording, channels: &[usize]) -> Axis {
        let of = |text: fn(&Channel) -> &String| -> Vec<String> {
            channels.iter().filter_map(|&channel| recording.channel(channel)).map(|(channel, _)| text(channel).clone()).collect()
        };
        Axis::labels("unit", of(|channel| &channel.name))
            .with_property("role", Coordinates::Labels(of(|channel| &channel.role)))
            .with_property("physical_unit", Coordinates::Labels(of(|channel| &channel.unit)))
    }
}

/// The samples of each stretch of a channel with `samples` samples, in order; those past the end are empty.
pub(crate) fn stretches(channel: &Channel, samples: usize) -> Vec<Range<usize>> {
    let first = |stretch: &Stretch| usize::try_from(stretch.first).unwrap_or(usize::MAX).min(samples);
    let ends = channel.stretches.iter().skip(1).map(first).chain(std::iter::once(samples));
    channel.stretches.iter().zip(ends).map(|(stretch, end)| first(stretch)..end.max(first(stretch))).collect()
}

/// `work` on each of `n` channels on the threads of the context, with the results in order. The work may ask the context whether to stop.
pub(crate) fn each_channel<T: Send>(
    n: usize,
    context: &Context,
    work: impl Fn(usize) -> Result<T, StageError> + Sync + Send,
) -> Result<Vec<T>, StageError> {
    let one = |place: usize| {
        context.cancel.check()?;
        work(place)
    };
    let results = with_threads(context.threads, || map_in_order(n, one)).map_err(|error| StageError::refused(error.to_string()))?;
    results.into_iter().collect()
}

/// Whether a channel holds marks instead of a signal: it is carried along, never filtered.
pub(crate) fn is_marks(channel: &Channel) -> bool {
    channel.role == "trig"
}

/// Roles of electrodes whose potentials are measured against a common one, in the order in which one of them is chosen.
const POTENTIALS: [&str; 6] = ["eeg", "ecog", "seeg", "ieeg", "dbs", "lfp"];

/// The channels among `channels` that have a reference in common, which can be taken off: those of the first role of electrodes that there is, or all but
/// marks where no role says what is an electrode. What is beside them, such as an electrocardiogram, stays as it is.
///
/// # Errors
/// When they are not of one unit.
pub(crate) fn potentials(recording: &Recording, channels: &[usize]) -> Result<Vec<usize>, StageError> {
    let of = |wanted: &dyn Fn(&Channel) -> bool| -> Vec<usize> {
        channels.iter().copied().filter(|&own| recording.channel(own).is_some_and(|(channel, _)| wanted(channel))).collect()
    };
    // Files without roles have those of their names, of which some name a place on the scalp and some a contact (`B12` of BioSemi, `E128` of EGI).
    let by_role = POTENTIALS.iter().find(|role| !of(&|channel| channel.role == **role).is_empty()).map(|role| {
        let unit = |channel: &Channel| channel.unit.clone();
        let units: Vec<String> =
            of(&|channel| channel.role == *role).iter().filter_map(|&own| recording.channel(own)).map(|(own, _)| unit(own)).collect();
        of(&|channel| channel.role == *role || channel.role == "misc" && is_contact(&channel.name) && units.contains(&channel.unit))
    });
    let among = by_role.unwrap_or_else(|| of(&|channel| !is_marks(channel)));
    in_one_unit(recording, &among)?;
    Ok(among)
}

/// Whether a name is that of a contact: at most three letters, perhaps an apostrophe, and a number. Inputs beside the electrodes are called so too.
fn is_contact(name: &str) -> bool {
    const BESIDE: [&str; 14] = ["EXG", "AUX", "DC", "EOG", "ECG", "EKG", "EMG", "GSR", "EDA", "ACC", "STI", "ANA", "TRG", "AI"];
    let name = name.rsplit(' ').next().unwrap_or(name);
    let letters = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let own = letters.trim_end_matches('\'').to_ascii_uppercase();
    let is_numbered = (1..=3).contains(&(name.len() - letters.len()));
    is_numbered && (1..=3).contains(&own.len()) && own.bytes().all(|letter| letter.is_ascii_alphabetic()) && !BESIDE.contains(&own.as_str())
}

/// # Errors
/// When channels of which one is taken off another are in different units.
pub(crate) fn in_one_unit(recording: &Recording, among: &[usize]) -> Result<(), StageError> {
    let mut units = among.iter().filter_map(|&own| recording.channel(own)).map(|(channel, _)| channel);
    if let Some(first) = units.next()
        && let Some(other) = units.find(|other| other.unit != first.unit)
    {
        let unit = |channel: &Channel| if channel.unit.is_empty() { "no unit".to_owned() } else { format!("`{}`", channel.unit) };
        return Err(StageError::refused_with_help(
            format!(
                "session `{}`: channels `{}` and `{}` have no reference in common: they are in {} and {}",
                recording.session,
                first.name,
                other.name,
                unit(first),
                unit(other)
            ),
            "choose channels of one unit with `channels` of `ingest.recording`",
        ));
    }
    Ok(())
}

/// A recording whose channels have other samples, made by `work` from the values of each stretch: the position of the channel, the channel, the number of the
/// stretch, its values. Where the result has another length the channel's rate is to be changed by `describe`, which is told the channel. Single precision
/// where the samples were, else double.
pub(crate) fn each_stretch(
    recording: &Recording,
    context: &Context,
    work: impl Fn(usize, &Channel, usize, &[f64]) -> Result<Vec<f64>, ComputeError> + Sync + Send,
    describe: impl Fn(&mut Channel) + Sync + Send,
) -> Result<Recording, StageError> {
    let one = |place: usize| -> Result<(Channel, Samples), StageError> {
        let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
        let mut values = Vec::with_capacity(stored.len());
        let mut next: Vec<Stretch> = Vec::with_capacity(channel.stretches.len());
        for ((number, range), stretch) in stretches(channel, stored.len()).into_iter().enumerate().zip(&channel.stretches) {
            if range.is_empty() {
                continue;
            }
            next.push(Stretch { first: values.len() as u64, time: stretch.time });
            let made = work(place, channel, number, &recording.values(place, range));
            values.extend(made.map_err(|error| in_channel(recording, place, number, error))?);
        }
        if next.is_empty() {
            next.extend(channel.stretches.first().copied());
        }
        let mut channel = Channel { gain: 1.0, offset: 0.0, stretches: next, ..channel.clone() };
        describe(&mut channel);
        Ok((channel, as_stored(stored, values)))
    };
    rebuilt(recording, each_channel(recording.len(), context, one)?)
}

/// The mean of channels by sample, in pieces so that little is held.
pub(crate) fn mean_of(recording: &Recording, channels: &[usize], samples: usize, context: &Context) -> Result<Vec<f64>, StageError> {
    const PIECE: usize = 1 << 16;
    let mut mean = vec![0.0; samples];
    for (number, piece) in mean.chunks_mut(PIECE).enumerate() {
        context.cancel.check()?;
        for &channel in channels {
            let values = recording.values(channel, number * PIECE..number * PIECE + piece.len());
            piece.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        piece.iter_mut().for_each(|sum| *sum /= channels.len() as f64);
    }
    Ok(mean)
}

/// Values as samples: in single precision where they were so before, else in double.
pub(crate) fn as_stored(before: &Samples, values: Vec<f64>) -> Samples {
    match before {
        Samples::F32(_) => Samples::F32(values.into_iter().map(|value| value as f32).collect::<Vec<f32>>().into()),
        _ => Samples::F64(values.into()),
    }
}

/// A recording of other channels, with the session and sources of `from`.
pub(crate) fn rebuilt(from: &Recording, channels: Vec<(Channel, Samples)>) -> Result<Recording, StageError> {
    let mut next = Recording::new(from.session.clone(), channels)?;
    next.sources.clone_from(&from.sources);
    Ok(next)
}

/// A kernel's refusal with the session's and the channel's name.
pub(crate) fn in_channel(recording: &Recording, place: usize, stretch: usize, error: ComputeError) -> StageError {
    let name = recording.channel(place).map_or("", |(channel, _)| channel.name.as_str());
    let many = recording.channel(place).is_some_and(|(channel, _)| channel.stretches.len() > 1);
    let stretch = if many { format!(", stretch {stretch} (counted from 0)") } else { String::new() };
    StageError::refused(format!("session `{}`, channel `{name}`{stretch}: {error}", recording.session))
}
