//! The measurement info: channels, rate, dates, the subject.

use super::tags::{Tag, Tags, wrong};
use crate::text;
use neuroflow_data::Channel;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::{COPY_AGAIN, FormatError};
use std::collections::BTreeMap;

/// One channel as the file has it.
#[derive(Debug, Clone)]
pub(super) struct ChannelInfo {
    pub name: String,
    pub kind: i32,
    pub range: f32,
    pub cal: f32,
    pub unit: i32,
    pub multiplier: i32,
    pub coil: i32,
    /// Where it sits, in metres.
    pub place: [f32; 3],
}

/// What the info says.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub rate: f64,
    pub channels: Vec<ChannelInfo>,
    /// Names longer than the 15 bytes that a channel's own tag has room for.
    pub long_names: Vec<String>,
    pub bads: Vec<String>,
    pub facts: BTreeMap<String, String>,
    pub stated: Option<i32>,
}

impl Info {
    /// Takes a tag that stands directly in the info block.
    pub(super) fn take(&mut self, tags: &Tags, tag: &Tag) -> Result<(), FormatError> {
        let mut fact = |name: &str, value: String| {
            if !value.is_empty() {
                self.facts.insert(name.into(), value);
            }
        };
        match tag.kind {
            200 => self.stated = Some(tags.int(tag)?),
            201 => self.rate = tags.float(tag)?,
            203 => self.channels.push(channel(tags, tag)?),
            204 => {
                if let [seconds, rest @ ..] = tags.ints(tag)?.as_slice()
                    && *seconds != i32::MIN
                {
                    let micros = rest.first().copied().unwrap_or(0);
                    fact(
                        "start",
                        text::since_1970(f64::from(*seconds) + f64::from(micros) / 1e6).map(|text| text + "Z").unwrap_or_default(),
                    );
                }
            }
            206 => fact("description", tags.text(tag)?),
            212 => fact("experimenter", tags.text(tag)?),
            219 => fact("lowpass_Hz", tags.float(tag)?.to_string()),
            223 => fact("highpass_Hz", tags.float(tag)?.to_string()),
            235 => fact("line_frequency_Hz", tags.float(tag)?.to_string()),
            501 => fact("project", tags.text(tag)?),
            _ => {}
        }
        Ok(())
    }

    /// Takes a tag of the subject block.
    pub(super) fn take_subject(&mut self, tags: &Tags, tag: &Tag) -> Result<(), FormatError> {
        let (name, value) = match tag.kind {
            400 => ("subject_number", tags.int(tag)?.to_string()),
            401 => ("first_name", tags.text(tag)?),
            403 => ("last_name", tags.text(tag)?),
            405 => ("sex", ["", "M", "F"].get(usize::try_from(tags.int(tag)?).unwrap_or(0)).copied().unwrap_or_default().into()),
            406 => (
                "hand",
                ["", "right", "left", "both"].get(usize::try_from(tags.int(tag)?).unwrap_or(0)).copied().unwrap_or_default().into(),
            ),
            410 => ("subject", tags.text(tag)?),
            _ => return Ok(()),
        };
        if !value.is_empty() {
            self.facts.insert(name.into(), value);
        }
        Ok(())
    }

    /// The channels as they are read: `gain` is chosen by the caller, as raw files apply a range and epochs do not.
    pub(super) fn channels(&self, gain: impl Fn(&ChannelInfo) -> f64) -> Vec<Channel> {
        let long = self.long_names.len() == self.channels.len();
        let named = self.channels.iter().enumerate().map(|(place, info)| {
            let name = self.long_names.get(place).filter(|name| long && !name.is_empty()).unwrap_or(&info.name);
            let mut channel = Channel::new(name.clone(), unit(info), self.rate);
            channel.role = role(info).into();
            channel.gain = gain(info);
            channel
        });
        named.collect()
    }
}

/// A channel's structure (`fiffChInfoRec`).
fn channel(tags: &Tags, tag: &Tag) -> Result<ChannelInfo, FormatError> {
    let bytes = tags.raw(tag)?;
    let int = |at: usize| number_at::<i32>(&bytes, at, ByteOrder::Big);
    let float = |at: usize| number_at::<f32>(&bytes, at, ByteOrder::Big);
    let place = [float(24), float(28), float(32)].map(|own| own.unwrap_or(f32::NAN));
    let parsed = (|| {
        let name = text::field(bytes.get(80..96)?);
        let (kind, range, cal, coil) = (int(8)?, float(12)?, float(16)?, int(20)?);
        Some(ChannelInfo { name, kind, range, cal, unit: int(72)?, multiplier: int(76)?, coil, place })
    })();
    parsed.ok_or_else(|| wrong(tag.at, format!("a channel takes 96 bytes, this one has {}", bytes.len()), COPY_AGAIN))
}

/// The unit by FIF's code, with the power of ten as a prefix.
fn unit(info: &ChannelInfo) -> String {
    let unit = match info.unit {
        1 => "m",
        2 => "kg",
        3 => "s",
        4 => "A",
        5 => "K",
        6 => "mol",
        7 => "rad",
        101 => "Hz",
        102 => "N",
        103 => "Pa",
        104 => "J",
        105 => "W",
        106 => "C",
        107 => "V",
        108 => "F",
        109 => "Ohm",
        110 => "S",
        111 => "Wb",
        112 => "T",
        113 => "H",
        114 => "degC",
        115 => "lm",
        116 => "lx",
        117 => "V/m^2",
        201 => "T/m",
        202 => "Am",
        203 => "Am/m^2",
        204 => "Am/m^3",
        210 => "px",
        _ => return String::new(),
    };
    let prefix = match info.multiplier {
        18 => "E",
        15 => "P",
        12 => "T",
        9 => "G",
        6 => "M",
        3 => "k",
        -3 => "m",
        -6 => "u",
        -9 => "n",
        -12 => "p",
        -15 => "f",
        -18 => "a",
        _ => "",
    };
    format!("{prefix}{unit}")
}

/// The role by FIF's kind of channel.
fn role(info: &ChannelInfo) -> &'static str {
    match info.kind {
        1 if info.unit == 201 => "meggrad",
        1 => "megmag",
        301 => "megrefmag",
        2 => "eeg",
        3 => "trig",
        102 => "bio",
        202 => "eog",
        302 => "emg",
        402 => "ecg",
        602 => "resp",
        802 => "seeg",
        803 => "dbs",
        900 => "sysclock",
        902 => "ecog",
        1100 => "nirs",
        1200 => "temp",
        1300 => "gsr",
        1400 => "eyegaze",
        _ => "misc",
    }
}
