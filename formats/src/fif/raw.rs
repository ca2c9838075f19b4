//! A raw recording: buffers of samples with skips between them, and annotations.

use super::blocks::names;
use super::info::Info;
use super::tags::{Tag, Tags, wrong};
use super::{ANNOTATIONS, element, named};
use crate::series::{Lane, Layout, MOST_STRETCHES, Section, Series, unusable};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT};
use neuroflow_data::{Events, Stretch};
use std::sync::Arc;

const FIRST_SAMPLE: i32 = 208;
const BUFFER: i32 = 300;
const SKIP: i32 = 301;
const SKIP_SAMPLES: i32 = 303;

/// The recording whose tags are `own`.
pub(super) fn read(tags: &Tags, own: &[Tag], info: &Info, limits: &Limits, damage: &mut Vec<FormatError>) -> Result<Series, FormatError> {
    let channels = info.channels.len() as u64;
    let Some(first) = own.iter().find(|tag| tag.kind == BUFFER) else {
        return Err(wrong(own.first().map_or(0, |tag| tag.at), "the block of samples has no buffer", COPY_AGAIN));
    };
    let element = element(first)?;
    let frame_bytes = channels * element.size() as u64;
    let mut sections = Vec::new();
    // The sample's number in the file and on the measurement's clock.
    let (mut sample, mut clock) = (0u64, 0i64);
    let (mut stretches, mut skipped, mut rest) = (Vec::new(), 0i64, 0u64);
    for tag in own {
        match tag.kind {
            FIRST_SAMPLE if sections.is_empty() => clock = i64::from(tags.int(tag)?),
            SKIP => skipped = skipped.saturating_add(i64::from(tags.int(tag)?).max(0)),
            SKIP_SAMPLES => clock = clock.saturating_add(i64::from(tags.int(tag)?).max(0)),
            BUFFER => {
                if super::element(tag)? != element {
                    return Err(wrong(
                        tag.at,
                        "a buffer holds another type of samples than the first one",
                        "save the recording anew with MNE",
                    ));
                }
                let frames = u64::from(tag.size) / frame_bytes;
                rest += u64::from(tag.size) % frame_bytes;
                // A skip is counted in buffers of the size of the one that follows it.
                clock = clock.saturating_add(skipped.saturating_mul(i64::try_from(frames).unwrap_or(0)));
                skipped = 0;
                let expected: Option<&(u64, i64)> = stretches.last();
                if expected.is_none_or(|(first, time)| time + i64::try_from(sample - first).unwrap_or(0) != clock) && frames > 0 {
                    stretches.push((sample, clock));
                }
                sections.push(Section { at: tag.data(), frames });
                sample += frames;
                clock = clock.saturating_add(i64::try_from(frames).unwrap_or(0));
            }
            _ => {}
        }
    }
    if rest > 0 {
        let reason = format!("{rest} bytes at the ends of buffers are no whole samples of {channels} channels and are left out");
        damage.push(wrong(first.at, reason, OR_ACCEPT));
    }
    if stretches.is_empty() {
        stretches.push((0, clock));
    }
    if stretches.len().saturating_mul(info.channels.len()) > MOST_STRETCHES {
        return Err(wrong(first.at, format!("the recording pauses {} times", stretches.len()), "save it in parts"));
    }
    let stretches: Vec<Stretch> = stretches.into_iter().map(|(first, clock)| Stretch { first, time: clock as f64 / info.rate }).collect();
    let mut all = named(info, |own| f64::from(own.range) * f64::from(own.cal));
    all.iter_mut().for_each(|channel| channel.stretches.clone_from(&stretches));
    let size = element.size() as u64;
    let lane = |place: usize| Lane { element, offset: place as u64 * size, count: 1, stride: size };
    let lanes = all.into_iter().enumerate().map(|(place, channel)| (lane(place), channel)).collect();
    Series::new(Arc::clone(&tags.source), Format::Fif, limits, Layout { sections, frame_bytes }, lanes)
}

/// Annotations: lists of begins, ends and descriptions.
pub(super) fn annotations(tags: &Tags, own: &[Tag], notes: &mut Vec<String>) -> Result<Events, FormatError> {
    let (mut begins, mut ends, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for tag in own {
        match tag.kind {
            3568 => begins = tags.floats(tag)?,
            3569 => ends = tags.floats(tag)?,
            206 => labels = names(&tags.text(tag)?),
            _ => {}
        }
    }
    let count = begins.len().min(ends.len()).min(labels.len());
    if begins.len() != count || ends.len() != count || labels.len() != count {
        notes.push(format!(
            "{} begins, {} ends and {} descriptions of annotations; the first {count} are read",
            begins.len(),
            ends.len(),
            labels.len()
        ));
    }
    labels.truncate(count);
    let durations = begins.iter().zip(&ends).map(|(begin, end)| Some(end - begin)).collect();
    begins.truncate(count);
    Events::new(begins, durations, &labels).map_err(unusable(Format::Fif, ANNOTATIONS))
}
