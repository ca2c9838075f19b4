//! Samples of channels that stand side by side in a file: the one way in which EDF, GDF, BrainVision, EEGLAB and FIF are read.
//!
//! A file's samples are *frames* of equal length, in one or more unbroken *sections*. In a frame each channel has a *lane*: so many samples, so many
//! bytes apart. An EDF frame is a data record; multiplexed samples are frames of one sample for each channel; a file that has one channel after the
//! other is a single frame. Only the frames, or within long frames the lanes, that a request touches are read.

mod element;
mod epochs;
mod rows;

pub(crate) use element::{Element, Number, Run, Sort, decode};
pub(crate) use epochs::Epochs;
pub(crate) use rows::{held, unusable};

use crate::document::{Item, Rows, Signals, What};
use crate::source::{Source, part};
use element::{Target, scale};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Channel, Recording, Samples};
use rows::SeriesRows;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Bytes fetched at once from a source that is not in memory.
const FETCH: u64 = 4 << 20;
/// Bytes worked on at once, so that they stay in the processor's nearest cache while each channel takes its part.
const BLOCK: u64 = 16 << 10;
/// From so many bytes of values on, channels are shared out among threads.
const SHARED: u64 = 8 << 20;
/// More threads than these wait for memory only.
const MOST_THREADS: usize = 8;
/// A lane this long is fetched alone, without the lanes beside it.
const LONG_LANE: u64 = 64 << 10;

/// Where a channel's samples stand in a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub element: Element,
    /// The first sample's byte in the frame.
    pub offset: u64,
    /// Samples in a frame.
    pub count: u64,
    /// Bytes from one sample to the next.
    pub stride: u64,
}

/// Frames that follow each other without a gap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    /// The first frame's byte in the file.
    pub at: u64,
    /// The number of frames.
    pub frames: u64,
}

/// Where all samples stand.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub sections: Vec<Section>,
    pub frame_bytes: u64,
}

/// A recording in a file.
#[derive(Debug)]
pub(crate) struct Series {
    source: Arc<dyn Source>,
    format: Format,
    most: u64,
    sections: Vec<(u64, Section)>,
    frames: u64,
    frame_bytes: u64,
    lanes: Vec<Lane>,
    channels: Vec<Channel>,
    sort: Sort,
    groups: Vec<Group>,
}

/// Channels of one rate.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub rate: f64,
    pub samples: u64,
    pub channels: Vec<usize>,
}

/// The most channels that a file of so many bytes may have: a channel takes a few hundred bytes in memory, however little it takes in the file.
pub(crate) fn most_channels(file_bytes: u64) -> u64 {
    65_536 + file_bytes / 512
}

/// Stretches that all channels together may have. Each takes 16 bytes.
pub(crate) const MOST_STRETCHES: usize = 2 << 20;

impl Series {
    /// A recording whose frames must lie in the source, and whose lanes must lie in a frame.
    pub(crate) fn new(
        source: Arc<dyn Source>,
        format: Format,
        limits: &Limits,
        layout: Layout,
        lanes: Vec<(Lane, Channel)>,
    ) -> Result<Series, FormatError> {
        let refuse = |at: u64, reason: String| Err(FormatError::new(format, Place::Byte(at), reason, COPY_AGAIN));
        let mut sections = Vec::with_capacity(layout.sections.len());
        let mut frames = 0u64;
        for section in layout.sections {
            let end = section.frames.checked_mul(layout.frame_bytes).and_then(|bytes| bytes.checked_add(section.at));
            if end.is_none_or(|end| end > source.len()) {
                return refuse(section.at, format!("{} blocks of {} bytes do not fit in the file", section.frames, layout.frame_bytes));
            }
            sections.push((frames, section));
            frames += section.frames;
        }
        let mut sort: Option<Sort> = None;
        for (lane, _) in &lanes {
            let last = lane.count.saturating_sub(1).checked_mul(lane.stride).and_then(|bytes| bytes.checked_add(lane.offset));
            let end = last.and_then(|last| last.checked_add(lane.element.size() as u64));
            if lane.count > 0 && end.is_none_or(|end| end > layout.frame_bytes) {
                return refuse(0, "a channel's samples do not fit in a block of samples".into());
            }
            sort = Some(sort.map_or(lane.element.sort(), |sort| sort.with(lane.element.sort())));
        }
        let (lanes, channels): (Vec<Lane>, Vec<Channel>) = lanes.into_iter().unzip();
        let (most, sort) = (limits.max_total_bytes, sort.unwrap_or(Sort::F64));
        let groups = groups(&lanes, &channels, frames);
        Ok(Series { source, format, most, sections, frames, frame_bytes: layout.frame_bytes, lanes, channels, sort, groups })
    }

    /// The number of samples of a channel.
    pub(crate) fn len_of(&self, channel: usize) -> u64 {
        self.lanes.get(channel).map_or(0, |lane| lane.count.saturating_mul(self.frames))
    }

    /// How a channel's samples are stored.
    pub(crate) fn element(&self, channel: usize) -> Option<Element> {
        self.lanes.get(channel).map(|lane| lane.element)
    }

    pub(crate) fn channel_list(&self) -> &[Channel] {
        &self.channels
    }

    /// The path of a group's table: that of the recording for the highest rate, with the rate for the others.
    fn group_path(base: &str, place: usize, rate: f64) -> String {
        if place == 0 { base.to_owned() } else { format!("{base}@{rate}Hz") }
    }

    /// The items that this recording is in a file's contents: itself, and a table for each further rate.
    pub(crate) fn items(&self, base: &str, about: &str) -> Vec<Item> {
        let Some(Group { rate, .. }) = self.groups.first() else { return Vec::new() };
        let longest = (0..self.channels.len()).max_by_key(|&channel| self.len_of(channel)).unwrap_or(0);
        let unit = self.channels.first().map(|channel| channel.unit.clone()).unwrap_or_default();
        let what = What::Recording {
            channels: self.channels.len(),
            samples: self.len_of(longest),
            rate: *rate,
            span: self.span(),
            unit: if self.channels.iter().all(|channel| channel.unit == unit) { unit } else { String::new() },
        };
        let mut items = vec![Item { path: base.into(), what, about: about.into() }];
        for (place, Group { rate, samples, channels: own }) in self.groups.iter().enumerate().skip(1) {
            let mut columns = vec![("time".to_owned(), "float64".to_owned())];
            let names = own.iter().filter_map(|&channel| self.channels.get(channel));
            columns.extend(names.map(|channel| (channel.name.clone(), "float64".to_owned())));
            let about = format!("the samples of the channels at {rate} Hz");
            items.push(Item { path: Series::group_path(base, place, *rate), what: What::Table { rows: Some(*samples), columns }, about });
        }
        items
    }

    /// First and last time of any channel.
    pub(crate) fn span(&self) -> (f64, f64) {
        let mut span: Option<(f64, f64)> = None;
        for (position, channel) in self.channels.iter().enumerate() {
            if let Some(last) = self.len_of(position).checked_sub(1) {
                let own = (channel.time_of(0), channel.time_of(last));
                span = Some(span.map_or(own, |span| (span.0.min(own.0), span.1.max(own.1))));
            }
        }
        span.unwrap_or((0.0, 0.0))
    }

    /// The rows of the table at `path`, if it is one of this recording's.
    pub(crate) fn rows(self: &Arc<Series>, base: &str, path: &str) -> Option<Arc<dyn Rows>> {
        let mut groups = self.groups.iter().enumerate();
        let (_, group) = groups.find(|(place, group)| Series::group_path(base, *place, group.rate) == path)?;
        Some(Arc::new(SeriesRows::new(Arc::clone(self), group.channels.clone(), group.samples)))
    }

    /// Values of some channels, which all have as many samples in a frame as the first, at `samples`.
    pub(crate) fn values(&self, channels: &[usize], samples: Range<u64>) -> Result<Vec<Vec<f64>>, FormatError> {
        let mut all: Vec<Vec<f64>> = vec![Vec::new(); channels.len()];
        self.values_into(channels, &samples, &mut all)?;
        Ok(all)
    }

    /// As [`Series::values`], behind what is in `all` already.
    fn values_into(&self, channels: &[usize], samples: &Range<u64>, all: &mut [Vec<f64>]) -> Result<(), FormatError> {
        let scales: Vec<(f64, f64)> =
            channels.iter().map(|&channel| self.channels.get(channel).map_or((1.0, 0.0), |own| (own.gain, own.offset))).collect();
        // While the numbers are still in the processor's cache.
        self.gather(channels, samples, all, |place, new| {
            let (gain, offset) = scales.get(place).copied().unwrap_or((1.0, 0.0));
            scale(new, gain, offset);
        })
    }

    /// All samples of some channels, as they are stored.
    pub(crate) fn all_stored(&self, channels: &[usize]) -> Result<Vec<Samples>, FormatError> {
        Ok(match self.sort {
            Sort::I16 => self.stored_as::<i16>(channels)?.into_iter().map(|own| Samples::I16(own.into())).collect(),
            Sort::I32 => self.stored_as::<i32>(channels)?.into_iter().map(|own| Samples::I32(own.into())).collect(),
            Sort::F32 => self.stored_as::<f32>(channels)?.into_iter().map(|own| Samples::F32(own.into())).collect(),
            Sort::F64 => self.stored_as::<f64>(channels)?.into_iter().map(|own| Samples::F64(own.into())).collect(),
        })
    }

    fn stored_as<T: Target>(&self, channels: &[usize]) -> Result<Vec<Vec<T>>, FormatError> {
        let mut all = vec![Vec::new(); channels.len()];
        self.gather(channels, &(0..u64::MAX), &mut all, |_, _| {})?;
        Ok(all)
    }

    /// Appends the samples of `channels` in `samples`, cut to what is there, in one walk over the file. `finish` is given each piece that was
    /// appended.
    fn gather<T: Target>(
        &self,
        channels: &[usize],
        samples: &Range<u64>,
        all: &mut [Vec<T>],
        finish: impl Fn(usize, &mut [T]) + Sync,
    ) -> Result<(), FormatError> {
        let mut wanted = Vec::with_capacity(channels.len());
        let mut bytes = 0u64;
        for &channel in channels {
            let lane = self.lanes.get(channel).copied().ok_or_else(|| {
                let reason = format!("there is no channel {channel}, the recording has {}", self.lanes.len());
                FormatError::new(self.format, Place::File, reason, "count channels from 0")
            })?;
            let end = samples.end.min(self.len_of(channel));
            let start = samples.start.min(end);
            bytes = bytes.saturating_add((end - start).saturating_mul(size_of::<T>() as u64));
            wanted.push((lane, start..end));
        }
        if bytes > self.most {
            let reason = format!("the samples asked for take {bytes} bytes in memory, more than the {} allowed", self.most);
            return Err(FormatError::new(self.format, Place::File, reason, RAISE_LIMIT));
        }
        for ((_, range), into) in wanted.iter().zip(all.iter_mut()) {
            into.reserve_exact(usize::try_from(range.end - range.start).unwrap_or(0));
        }
        let shared = bytes >= SHARED && wanted.len() > 1 && self.source.whole().is_some();
        let threads = if shared { std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS) } else { 1 };
        if threads == 1 {
            return self.walk(&wanted, all, finish);
        }
        let each = wanted.len().div_ceil(threads);
        let failed = |reason: &str| FormatError::new(self.format, Place::File, reason, "try again when the machine is less busy");
        let finish = &finish;
        std::thread::scope(|scope| {
            let mut working = Vec::with_capacity(threads);
            for (part, (wanted, all)) in wanted.chunks(each).zip(all.chunks_mut(each)).enumerate() {
                let work = move || self.walk(wanted, all, |place, new| finish(part * each + place, new));
                working.push(std::thread::Builder::new().spawn_scoped(scope, work).map_err(|_| failed("no thread can be started"))?);
            }
            working.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(failed("a thread gave up"))))
        })
    }

    /// One walk over the file for lanes and their samples.
    fn walk<T: Target>(
        &self,
        wanted: &[(Lane, Range<u64>)],
        all: &mut [Vec<T>],
        finish: impl Fn(usize, &mut [T]),
    ) -> Result<(), FormatError> {
        let frame_of = |lane: &Lane, sample: u64| sample.checked_div(lane.count).unwrap_or(0);
        let first = wanted.iter().filter(|(_, range)| !range.is_empty()).map(|(lane, range)| frame_of(lane, range.start)).min();
        let last = wanted.iter().filter(|(_, range)| !range.is_empty()).map(|(lane, range)| frame_of(lane, range.end - 1)).max();
        let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
        let lane_bytes = |lane: &Lane| lane.count.saturating_mul(lane.stride);
        let alone = wanted.iter().map(|(lane, _)| lane_bytes(lane)).sum::<u64>() < self.frame_bytes / 2
            && wanted.iter().all(|(lane, _)| lane_bytes(lane) >= LONG_LANE && lane.stride == lane.element.size() as u64);
        let long = self.frame_bytes > FETCH || alone;
        for (begin, section) in &self.sections {
            let (from, to) = (first.max(*begin), (last + 1).min(begin + section.frames));
            if from >= to {
                continue;
            }
            if long {
                for frame in from..to {
                    let at = section.at + (frame - begin) * self.frame_bytes;
                    for (place, ((lane, range), into)) in wanted.iter().zip(all.iter_mut()).enumerate() {
                        self.lane_alone(at, *lane, frame, range, into, |new| finish(place, new))?;
                    }
                }
            } else {
                self.blocks(section.at, *begin, from..to, |bytes, frames| {
                    for (place, ((lane, range), into)) in wanted.iter().zip(all.iter_mut()).enumerate() {
                        let before = into.len();
                        lane_of_block(bytes, self.frame_bytes, *lane, &frames, range, into);
                        finish(place, into.get_mut(before..).unwrap_or_default());
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Whole frames, a block at a time.
    fn blocks(&self, at: u64, begin: u64, frames: Range<u64>, mut take: impl FnMut(&[u8], Range<u64>)) -> Result<(), FormatError> {
        let frame_bytes = self.frame_bytes.max(1);
        let (fetched, worked) = ((FETCH / frame_bytes).max(1), (BLOCK / frame_bytes).max(1));
        let mut frame = frames.start;
        while frame < frames.end {
            let end = frame.saturating_add(fetched).min(frames.end);
            let range = at + (frame - begin) * self.frame_bytes..at + (end - begin) * self.frame_bytes;
            let bytes = part(self.source.as_ref(), self.format, range)?;
            let mut rest = bytes.as_ref();
            while frame < end {
                let next = frame.saturating_add(worked).min(end);
                let length = usize::try_from((next - frame) * self.frame_bytes).unwrap_or(usize::MAX).min(rest.len());
                let (block, left) = rest.split_at(length);
                take(block, frame..next);
                (rest, frame) = (left, next);
            }
        }
        Ok(())
    }

    /// The bytes of some lanes in every frame, for what is no signal: annotations. `visit` is given the frame, the place in `lanes`, and the bytes.
    pub(crate) fn each_lane(
        &self,
        lanes: &[Lane],
        mut visit: impl FnMut(u64, usize, &[u8]) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let size = |lane: &Lane| lane.count.saturating_mul(lane.stride);
        let own: u64 = lanes.iter().map(size).sum();
        let apart = self.source.whole().is_none() && self.frame_bytes > LONG_LANE && own < self.frame_bytes / 8;
        for (begin, section) in &self.sections {
            if apart || self.frame_bytes > FETCH {
                for frame in 0..section.frames {
                    for (place, lane) in lanes.iter().enumerate() {
                        let at = section.at + frame * self.frame_bytes + lane.offset;
                        visit(begin + frame, place, &part(self.source.as_ref(), self.format, at..at + size(lane))?)?;
                    }
                }
                continue;
            }
            let mut problem = Ok(());
            self.blocks(section.at, *begin, *begin..begin + section.frames, |bytes, frames| {
                for (frame, bytes) in frames.zip(bytes.chunks(usize::try_from(self.frame_bytes).unwrap_or(usize::MAX).max(1))) {
                    for (place, lane) in lanes.iter().enumerate() {
                        let range =
                            usize::try_from(lane.offset).unwrap_or(usize::MAX)..usize::try_from(lane.offset + size(lane)).unwrap_or(0);
                        if problem.is_ok() {
                            problem = visit(frame, place, bytes.get(range).unwrap_or_default());
                        }
                    }
                }
            })?;
            problem?;
        }
        Ok(())
    }

    /// One lane of one frame, without the lanes beside it.
    fn lane_alone<T: Target>(
        &self,
        at: u64,
        lane: Lane,
        frame: u64,
        range: &Range<u64>,
        into: &mut Vec<T>,
        finish: impl Fn(&mut [T]),
    ) -> Result<(), FormatError> {
        let own = frame * lane.count;
        let (mut from, to) = (range.start.max(own), range.end.min(own + lane.count));
        let in_memory = self.source.whole().is_some();
        let steps = (if in_memory { BLOCK } else { FETCH } / lane.stride.max(1)).max(1);
        while from < to {
            let next = from.saturating_add(steps).min(to);
            let first = at + lane.offset + (from - own) * lane.stride;
            let bytes = (next - from - 1) * lane.stride + lane.element.size() as u64;
            let bytes = part(self.source.as_ref(), self.format, first..first + bytes)?;
            let (stride, count) = (usize::try_from(lane.stride).unwrap_or(1), usize::try_from(next - from).unwrap_or(0));
            let before = into.len();
            decode(lane.element, &bytes, Run { first: 0, stride, count }, into);
            finish(into.get_mut(before..).unwrap_or_default());
            from = next;
        }
        Ok(())
    }
}

/// Channels of one rate, the highest rate first.
fn groups(lanes: &[Lane], channels: &[Channel], frames: u64) -> Vec<Group> {
    let mut places: HashMap<(u64, u64), usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (channel, (lane, own)) in lanes.iter().zip(channels).enumerate() {
        let samples = lane.count.saturating_mul(frames);
        let place = *places.entry((own.rate.to_bits(), samples)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.channels.push(channel),
            None => groups.push(Group { rate: own.rate, samples, channels: vec![channel] }),
        }
    }
    groups.sort_by(|one, two| two.rate.total_cmp(&one.rate));
    groups
}

/// A lane's samples in a block of whole frames, those that are in `range`.
fn lane_of_block<T: Target>(bytes: &[u8], frame_bytes: u64, lane: Lane, frames: &Range<u64>, range: &Range<u64>, into: &mut Vec<T>) {
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (offset, stride, frame_bytes) = (index(lane.offset), index(lane.stride), index(frame_bytes));
    if lane.count == 1 {
        let (from, to) = (range.start.max(frames.start), range.end.min(frames.end));
        if from < to {
            let first = index(from - frames.start) * frame_bytes + offset;
            decode(lane.element, bytes, Run { first, stride: frame_bytes, count: index(to - from) }, into);
        }
        return;
    }
    for frame in frames.clone() {
        let own = frame * lane.count;
        let (from, to) = (range.start.max(own), range.end.min(own + lane.count));
        if from < to {
            let first = index(frame - frames.start) * frame_bytes + offset + index(from - own) * stride;
            decode(lane.element, bytes, Run { first, stride, count: index(to - from) }, into);
        }
    }
}

impl Signals for &Series {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn samples(&self, channel: usize) -> u64 {
        self.len_of(channel)
    }

    fn read(&self, channel: usize, samples: Range<u64>, into: &mut Vec<f64>) -> Result<(), FormatError> {
        self.values_into(&[channel], &samples, std::slice::from_mut(into))
    }

    fn stored(&self, channel: usize) -> Result<Samples, FormatError> {
        self.all_stored(&[channel])?.pop().ok_or_else(|| {
            let reason = format!("there is no channel {channel}, the recording has {}", self.channels.len());
            FormatError::new(self.format, Place::File, reason, "count channels from 0")
        })
    }

    fn recording(&self, format: Format, session: &str, channels: &[usize]) -> Result<Recording, FormatError> {
        let known: Vec<usize> = channels.iter().copied().filter(|&channel| channel < self.channels.len()).collect();
        let samples = self.all_stored(&known)?;
        let named = known.iter().filter_map(|&channel| self.channels.get(channel).cloned());
        Recording::new(session, named.zip(samples).collect())
            .map_err(|error| FormatError::new(format, Place::File, error.to_string(), "choose other channels"))
    }
}

/// Names made unique as MNE does it: those that are there more than once get `-0`, `-1`, …
pub(crate) fn unique(names: &mut [String]) -> bool {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for name in names.iter() {
        *seen.entry(name.clone()).or_default() += 1;
    }
    let mut taken: std::collections::HashSet<String> = names.iter().cloned().collect();
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut changed = false;
    for name in names.iter_mut() {
        if seen.get(name).copied().unwrap_or(0) > 1 {
            let number = next.entry(name.clone()).or_default();
            let mut candidate = format!("{name}-{number}");
            // A name with such an ending may be there already.
            while taken.contains(&candidate) {
                *number += 1;
                candidate = format!("{name}-{number}");
            }
            *number += 1;
            taken.insert(candidate.clone());
            *name = candidate;
            changed = true;
        }
    }
    changed
}
