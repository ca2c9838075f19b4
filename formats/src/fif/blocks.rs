//! Blocks: tags 104 and 105 put the tags between them into blocks, as brackets do.

use super::info::Info;
use super::tags::{Tag, Tags, wrong};
use neuroflow_data::formats::{COPY_AGAIN, FormatError, Limits};

const BEGIN: i32 = 104;
const END: i32 = 105;

pub(super) const MEAS_INFO: i32 = 101;
const RAW_DATA: i32 = 102;
const SUBJECT: i32 = 106;
const CONTINUOUS: i32 = 112;
const CH_INFO: i32 = 113;
const REF: i32 = 118;
const IAS_RAW: i32 = 119;
const OLD_EPOCHS: i32 = 122;
const BADS: i32 = 359;
const EVENTS: i32 = 361;
const EPOCHS: i32 = 373;
const ANNOTATIONS: i32 = 3810;
const METADATA: i32 = 3811;
const PROJECTION: i32 = 314;

/// What a file holds, sorted by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub info: Info,
    /// The tags of the first block of samples of each sort.
    pub raw: Option<Vec<Tag>>,
    pub shielded: bool,
    pub epochs: Option<Vec<Tag>>,
    /// The event list and its description.
    pub events: Vec<Tag>,
    pub annotations: Option<Vec<Tag>>,
    pub metadata: Option<Tag>,
    /// Projections that are stored, and how many of them the samples have already.
    pub projections: usize,
    pub applied: usize,
    /// The file that goes on where this one ends.
    pub next: Option<String>,
}

/// Sorts the tags.
pub(super) fn sort(tags: &Tags, limits: &Limits) -> Result<Blocks, FormatError> {
    let mut blocks = Blocks::default();
    let mut stack: Vec<i32> = Vec::new();
    let (mut raw, mut continuous, mut shielded) = (None, None, None);
    let (mut infos, mut events, mut next) = (0, 0, Reference::default());
    for tag in &tags.all {
        match tag.kind {
            BEGIN => {
                if stack.len() >= limits.max_depth {
                    return Err(wrong(tag.at, format!("blocks nest deeper than {}", limits.max_depth), COPY_AGAIN));
                }
                let block = tags.int(tag)?;
                stack.push(block);
                match block {
                    MEAS_INFO => infos += 1,
                    CH_INFO => blocks.info.long_names.push(String::new()),
                    EVENTS => events += 1,
                    PROJECTION => blocks.projections += 1,
                    REF => next = Reference::default(),
                    _ => {}
                }
                continue;
            }
            END => {
                let ended = stack.pop();
                if ended == Some(REF) && next.goes_on {
                    blocks.next = Some(next.name.take().unwrap_or_else(|| "the next of its numbered files".into()));
                }
                if let Some(sort) = ended.and_then(samples) {
                    // Only the first block of each sort is read.
                    let taken = match sort {
                        RAW_DATA => &mut raw,
                        CONTINUOUS => &mut continuous,
                        _ => &mut shielded,
                    };
                    taken.get_or_insert_with(|| (Vec::new(), false)).1 = true;
                }
                continue;
            }
            _ => {}
        }
        match stack.last().copied() {
            Some(MEAS_INFO) if infos == 1 => blocks.info.take(tags, tag)?,
            Some(SUBJECT) => blocks.info.take_subject(tags, tag)?,
            Some(CH_INFO) if tag.kind == 258 => {
                if let Some(name) = blocks.info.long_names.last_mut() {
                    *name = tags.text(tag)?;
                }
            }
            Some(BADS) if tag.kind == 3507 => blocks.info.bads = names(&tags.text(tag)?),
            Some(EPOCHS | OLD_EPOCHS) => blocks.epochs.get_or_insert_default().push(*tag),
            Some(EVENTS) if events == 1 => blocks.events.push(*tag),
            Some(ANNOTATIONS) => blocks.annotations.get_or_insert_default().push(*tag),
            // Whether the samples have it already.
            Some(PROJECTION) if tag.kind == 3560 && tags.int(tag)? != 0 => blocks.applied += 1,
            Some(METADATA) if tag.kind == 206 => blocks.metadata = Some(*tag),
            Some(REF) => match tag.kind {
                115 => next.goes_on = tags.int(tag)? == 2,
                118 => next.name = Some(tags.text(tag)?),
                _ => {}
            },
            Some(block) if samples(block).is_some() => {
                let taken = match block {
                    RAW_DATA => &mut raw,
                    CONTINUOUS => &mut continuous,
                    _ => &mut shielded,
                };
                let (own, ended) = taken.get_or_insert_with(|| (Vec::new(), false));
                if !*ended {
                    own.push(*tag);
                }
            }
            _ => {}
        }
    }
    blocks.shielded = raw.is_none() && continuous.is_none() && shielded.is_some();
    blocks.raw = raw.or(continuous).or(shielded).map(|(tags, _)| tags);
    Ok(blocks)
}

#[derive(Default)]
struct Reference {
    goes_on: bool,
    name: Option<String>,
}

/// Blocks that hold samples.
fn samples(block: i32) -> Option<i32> {
    matches!(block, RAW_DATA | CONTINUOUS | IAS_RAW).then_some(block)
}

/// A list of names joined by colons.
pub(super) fn names(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(':').map(|name| name.replace("{COLON}", ":")).collect() }
}
