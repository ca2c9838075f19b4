//! FIF: recordings and epochs as Elekta/MEGIN systems and MNE write them.
//!
//! [`open`] gives these items:
//!
//! | path | what |
//! |---|---|
//! | `signals` | a raw file's recording; pauses (skips) separate its stretches |
//! | `annotations` | annotations that MNE stored |
//! | `triggers` | events from the stimulus channels of a raw file: `value`, `previous`, `sample` on the measurement's clock |
//! | `epochs` | an array `[trial × channel × time]` of an epochs file, each trial labelled with its event |
//! | `events` | the events of the epochs: `label`, `value`, `previous`, `sample`, `trial` |
//! | `channels` | a table of the channels |
//!
//! Values are `stored × calibration × range` for raw files and `stored × calibration` for epochs, in the channel's unit. The clock of a raw file
//! counts
//! samples from the start of the measurement, as MNE's `first_samp` does: the first sample may have a time after 0.
//!
//! The layout is that of "Functional Image File Format" (Elekta Neuromag) and of MNE's constants. Complex samples are refused. A recording that was
//! split into several files is read file by file; each but the last is told to be a part.

mod blocks;
mod epochs;
mod info;
mod raw;
mod tags;

use crate::document::{Contents, Item, What};
use crate::edf::table_what;
use crate::reading::inflated;
use crate::recorded::{CHANNELS, RecordedDocument, SIGNALS};
use crate::series::{Element, Number, unique, unusable};
use crate::source::Source;
use crate::triggers::Triggers;
use info::Info;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use neuroflow_data::{Channel, Table, columns};
use std::sync::Arc;
use tags::{Tag, Tags, wrong};

const ANNOTATIONS: &str = "annotations";
const EPOCHS: &str = "epochs";
const EVENTS: &str = "events";

/// Opens a FIF file that holds a raw recording or epochs. Reads the directory and the measurement info. One that is gzip is inflated into memory.
///
/// # Errors
/// When it is no FIF file, its tags are damaged, its samples are of a type that is not read, or it holds neither a recording nor epochs.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<RecordedDocument, FormatError> {
    let tags = Tags::read(inflated(source, Format::Fif, limits)?)?;
    let mut sorted = blocks::sort(&tags, limits)?;
    let mut contents = Contents::new(Format::Fif, "");
    contents.facts = std::mem::take(&mut sorted.info.facts);
    contents.damage.clone_from(&tags.damage);
    let info = &sorted.info;
    if let Some(stated) = info.stated.filter(|&stated| usize::try_from(stated) != Ok(info.channels.len())) {
        let reason = format!("{stated} channels are stated, {} are described", info.channels.len());
        return Err(FormatError::new(Format::Fif, Place::File, reason, COPY_AGAIN));
    }
    if info.channels.is_empty() || !(info.rate.is_finite() && info.rate > 0.0) {
        let reason = "the file has no measurement info with channels and a sampling rate";
        return Err(FormatError::new(Format::Fif, Place::File, reason, "only raw and epochs files are read"));
    }
    if sorted.shielded {
        contents
            .notes
            .push("the samples were taken with active shielding (MaxShield) and need MaxFilter before they show brain activity".into());
    }
    if let Some(next) = &sorted.next {
        let reason = format!("the recording was split: it goes on in `{}`, which is not read with it", next.escape_debug());
        let help = "join the parts, as MNE does when it saves what it read, or take them one by one with `damaged = accept`";
        contents.damage.push(FormatError::new(Format::Fif, Place::File, reason, help));
    }
    if let Some(left @ 1..) = sorted.projections.checked_sub(sorted.applied) {
        contents.notes.push(format!(
            "{left} projections (SSP or an average reference) are stored with the samples and not applied to them, here neither: MNE applies them to \
             epochs unless it is told otherwise"
        ));
    }
    if sorted.metadata.is_some() {
        contents.notes.push("the table of metadata that MNE stored with the epochs is not read".into());
    }
    let table = channel_table(info).map_err(unusable(Format::Fif, CHANNELS))?;
    let mut document = RecordedDocument { contents, series: None, epochs: None, events: Vec::new(), triggers: None, channels: table };
    if let Some(own) = &sorted.raw {
        let series = raw::read(&tags, own, info, limits, &mut document.contents.damage)?;
        document.contents.items = series.items(SIGNALS, "");
        let series = Arc::new(series);
        document.triggers = Triggers::of(&series, Format::Fif);
        document.series = Some(series);
    }
    if let Some(own) = &sorted.epochs {
        let events = epochs::events(&tags, &sorted.events, own, info)?;
        let epochs = epochs::read(&tags, own, info, events.as_ref(), limits)?;
        let what = What::Array {
            shape: epochs.shape(),
            element: epochs.series.element(0).map_or("float32", Element::name).into(),
            unit: epochs.unit().into(),
            axes: vec!["trial".into(), "channel".into(), "time".into()],
        };
        document.contents.items.push(Item { path: EPOCHS.into(), what, about: String::new() });
        if let Some(events) = &events {
            let what = What::Events { count: events.len() as u64 };
            document.contents.items.push(Item { path: EVENTS.into(), what, about: "the event of each epoch".into() });
        }
        document.epochs = Some(epochs);
        document.events.extend(events.map(|events| (EVENTS, events)));
    }
    if document.series.is_none() && document.epochs.is_none() {
        let reason = "the file holds neither a raw recording nor epochs";
        return Err(FormatError::new(
            Format::Fif,
            Place::File,
            reason,
            "read averages, sources and matrices with MNE and save them as .npy",
        ));
    }
    if let Some(own) = &sorted.annotations {
        let annotations = raw::annotations(&tags, own, &mut document.contents.notes)?;
        let what = What::Events { count: annotations.len() as u64 };
        document.contents.items.push(Item { path: ANNOTATIONS.into(), what, about: String::new() });
        document.events.push((ANNOTATIONS, annotations));
    }
    document.contents.items.extend(document.triggers.as_ref().map(Triggers::item));
    let what = table_what(&document.channels);
    document.contents.items.push(Item { path: CHANNELS.into(), what, about: "what the measurement info says of each channel".into() });
    Ok(document)
}

/// How samples of a type are stored; FIF is big-endian throughout.
fn element(tag: &Tag) -> Result<Element, FormatError> {
    let number = match tag.form & 0xff_ffff {
        2 | 16 => Number::I16,
        3 => Number::I32,
        4 => Number::F32,
        5 => Number::F64,
        20 | 21 => {
            return Err(wrong(
                tag.at,
                "the samples are complex numbers, which are not read",
                "save their real and imaginary parts, or their magnitude",
            ));
        }
        other => return Err(wrong(tag.at, format!("samples of type {other} are not read"), "save them with MNE as `single` or `double`")),
    };
    Ok(Element::big(number))
}

/// The channels with names of their own.
fn named(info: &Info, gain: impl Fn(&info::ChannelInfo) -> f64) -> Vec<Channel> {
    let mut channels = info.channels(gain);
    let mut names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    unique(&mut names);
    channels.iter_mut().zip(names).for_each(|(channel, name)| channel.name = name);
    channels
}

fn channel_table(info: &Info) -> Result<Table, neuroflow_data::DataError> {
    let channels = named(info, |own| f64::from(own.cal));
    let bads: std::collections::HashSet<&String> = info.bads.iter().collect();
    let of = |text: fn(&Channel) -> &str| channels.iter().map(text).collect::<Vec<_>>();
    let number = |number: fn(&info::ChannelInfo) -> f64| info.channels.iter().map(number).collect::<Vec<_>>();
    Table::from_columns(vec![
        columns::from_texts("channel", &of(|channel| &channel.name)),
        columns::from_texts("role", &of(|channel| &channel.role)),
        columns::from_texts("unit", &of(|channel| &channel.unit)),
        columns::from_booleans("bad", channels.iter().map(|channel| bads.contains(&channel.name)).collect()),
        columns::from_numbers("calibration", number(|own| f64::from(own.cal))),
        columns::from_numbers("range", number(|own| f64::from(own.range))),
        columns::from_integers("coil_type", info.channels.iter().map(|own| i64::from(own.coil)).collect()),
        columns::from_numbers("x_m", number(|own| f64::from(own.place[0]))),
        columns::from_numbers("y_m", number(|own| f64::from(own.place[1]))),
        columns::from_numbers("z_m", number(|own| f64::from(own.place[2]))),
    ])
}
