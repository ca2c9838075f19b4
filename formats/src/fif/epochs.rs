//! Epochs: one matrix `[trial × channel × time]`, and the events that the trials were cut around.

use super::info::Info;
use super::tags::{Tag, Tags, wrong};
use super::{EVENTS, element, named};
use crate::series::{Epochs, Lane, Layout, Section, Series, unusable};
use crate::source::part;
use neuroflow_data::formats::bytes::{ByteOrder, decode};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use neuroflow_data::{Events, Table, columns};
use std::collections::HashMap;
use std::sync::Arc;

const FIRST: i32 = 208;
const LAST: i32 = 209;
const EPOCH: i32 = 302;
const LIST: i32 = 3561;
const NAMES: i32 = 206;
const RAW_RATE: i32 = 3803;
/// The flag of a dense matrix, whose dimensions follow its values.
const MATRIX: u32 = 0x4000_0000;

/// The epochs whose tags are `own`.
pub(super) fn read(tags: &Tags, own: &[Tag], info: &Info, events: Option<&Events>, limits: &Limits) -> Result<Epochs, FormatError> {
    let find = |kind: i32| own.iter().find(|tag| tag.kind == kind);
    let need = |kind: i32, what: &str| {
        find(kind)
            .ok_or_else(|| FormatError::new(Format::Fif, Place::File, format!("the epochs have no {what}"), "save them anew with MNE"))
    };
    let (first, last) = (tags.int(need(FIRST, "first sample")?)?, tags.int(need(LAST, "last sample")?)?);
    let data = need(EPOCH, "samples")?;
    let length = u64::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or(0);
    if length == 0 {
        return Err(wrong(data.at, format!("epochs reach from sample {first} to {last}"), COPY_AGAIN));
    }
    let element = element(data)?;
    if data.form & MATRIX == 0 {
        return Err(wrong(data.at, "the epochs are not stored as one matrix", "save them anew with MNE"));
    }
    let (channels, size) = (info.channels.len() as u64, element.size() as u64);
    // Three dimensions and their number follow the values.
    let bytes = u64::from(data.size).saturating_sub(16);
    let frame_bytes = channels.saturating_mul(length).saturating_mul(size);
    let trials = bytes / frame_bytes;
    let stated = events.map_or(trials, |events| events.len() as u64);
    if trials * frame_bytes != bytes || trials != stated {
        let reason = format!("{bytes} bytes of samples are no {stated} epochs of {channels} channels and {length} samples");
        return Err(wrong(data.at, reason, COPY_AGAIN));
    }
    if trials == 0 {
        // Nothing would bound the length that is stated.
        return Err(wrong(data.at, "the file holds no epochs", "save them anew, when some are left"));
    }
    let end = data.data() + u64::from(data.size);
    let dims = part(tags.source.as_ref(), Format::Fif, end.saturating_sub(16)..end)?;
    let dims: Vec<i32> = decode(&dims, ByteOrder::Big, |value: i32| value);
    let as_i32 = |count: u64| i32::try_from(count).unwrap_or(-1);
    if dims != [as_i32(length), as_i32(channels), as_i32(trials), 3] {
        let reason = format!("a matrix of {trials} epochs, {channels} channels and {length} samples says that its shape is {dims:?}");
        return Err(wrong(data.at, reason, COPY_AGAIN));
    }
    let lane = |place: usize| Lane { element, offset: place as u64 * length * size, count: length, stride: size };
    let named = named(info, |own| f64::from(own.cal));
    let lanes = named.into_iter().enumerate().map(|(place, channel)| (lane(place), channel)).collect();
    let layout = Layout { sections: vec![Section { at: data.data(), frames: trials }], frame_bytes };
    let series = Arc::new(Series::new(Arc::clone(&tags.source), Format::Fif, limits, layout, lanes)?);
    let labels = events.map(Events::labels).unwrap_or_default();
    Ok(Epochs { series, trials, length, begin: f64::from(first) / info.rate, rate: info.rate, labels })
}

/// The event of each epoch. Times are those of the recording the epochs were cut from.
pub(super) fn events(tags: &Tags, list: &[Tag], own: &[Tag], info: &Info) -> Result<Option<Events>, FormatError> {
    let Some(tag) = list.iter().find(|tag| tag.kind == LIST) else { return Ok(None) };
    let numbers = tags.ints(tag)?;
    let described = list.iter().find(|tag| tag.kind == NAMES).map(|tag| tags.text(tag)).transpose()?.unwrap_or_default();
    let names: HashMap<i32, &str> = described
        .split(';')
        .filter_map(|pair| pair.rsplit_once(':'))
        .filter_map(|(name, id)| Some((id.trim().parse().ok()?, name)))
        .collect();
    let raw_rate = own.iter().find(|tag| tag.kind == RAW_RATE).map(|tag| tags.float(tag)).transpose()?;
    let rate = raw_rate.filter(|rate| rate.is_finite() && *rate > 0.0).unwrap_or(info.rate);
    let rows: Vec<[i32; 3]> = numbers.as_chunks::<3>().0.to_vec();
    let labels: Vec<String> =
        rows.iter().map(|[_, _, id]| names.get(id).map_or_else(|| id.to_string(), |name| (*name).to_owned())).collect();
    let column = |place: usize| rows.iter().map(|row| i64::from(row.get(place).copied().unwrap_or(0))).collect::<Vec<_>>();
    let table = Table::from_columns(vec![
        columns::from_numbers("time", rows.iter().map(|[sample, _, _]| f64::from(*sample) / rate).collect()),
        columns::from_optional_numbers("duration", vec![None; rows.len()]),
        columns::from_texts("label", &labels),
        columns::from_integers("value", column(2)),
        columns::from_integers("previous", column(1)),
        columns::from_integers("sample", column(0)),
        columns::from_integers("trial", (0..rows.len() as i64).collect()),
    ]);
    table.and_then(Events::from_table).map(Some).map_err(unusable(Format::Fif, EVENTS))
}
