//! The headers of GDF 1 and GDF 2: binary fields at fixed places.

use crate::calibrated::Signal;
use crate::source::{Source, part};
use crate::text;
use neuroflow_data::formats::bytes::{ByteOrder, Stored, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, OR_ACCEPT, Place};
use std::collections::BTreeMap;

const BLOCK: u64 = 256;

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub version: f64,
    /// The first byte of data.
    pub data: u64,
    /// Data records; `None` for -1.
    pub records: Option<u64>,
    /// Seconds a record lasts.
    pub duration: f64,
    /// Each channel with the code of its type of numbers.
    pub signals: Vec<(Signal, u32)>,
    pub facts: BTreeMap<String, String>,
    pub notes: Vec<String>,
    /// Rules that the header breaks, and yet it can be read.
    pub damage: Vec<FormatError>,
}

/// Numbers and texts at their places.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn number<S: Stored + Default>(&self, at: usize) -> S {
        number_at(self.0, at, ByteOrder::Little).unwrap_or_default()
    }

    fn text(&self, at: usize, length: usize) -> String {
        text::field(self.0.get(at..at + length).unwrap_or_default())
    }
}

fn wrong(at: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::Gdf, Place::Byte(at), reason, COPY_AGAIN)
}

/// Reads the header.
pub(super) fn read(source: &dyn Source) -> Result<Header, FormatError> {
    let magic = part(source, Format::Gdf, 0..source.len().min(8))?;
    let version = magic.strip_prefix(b"GDF ").map(text::field).and_then(|text| text::number(&text));
    let Some(version) = version.filter(|version| (1.0..4.0).contains(version)) else {
        let help = "check that the path names a GDF file";
        return Err(FormatError::new(Format::Gdf, Place::Byte(0), "the file does not begin with `GDF` and a version from 1 to 3", help));
    };
    let fixed = part(source, Format::Gdf, 0..BLOCK)?;
    let fixed = Fields(&fixed);
    let (mut facts, mut notes, mut damage) = (BTreeMap::new(), Vec::new(), Vec::new());
    let old = version < 1.9;
    let (stated, count) = if old {
        (u64::try_from(fixed.number::<i64>(184)).unwrap_or(0), u64::from(fixed.number::<u32>(252)))
    } else {
        (u64::from(fixed.number::<u16>(184)) * BLOCK, u64::from(fixed.number::<u16>(252)))
    };
    // The first part and one for each channel; further blocks may follow.
    let least = count.checked_add(1).and_then(|blocks| blocks.checked_mul(BLOCK)).unwrap_or(u64::MAX);
    if least > source.len() {
        return Err(wrong(252, format!("the header of {count} channels takes {least} bytes, the file has {}", source.len())));
    }
    let data = if stated >= least && stated <= source.len() {
        stated
    } else {
        notes.push(format!("the header gives its length as {stated} bytes; with {count} channels it is {least}, which is taken"));
        least
    };
    let (above, below) = (fixed.number::<u32>(244), fixed.number::<u32>(248));
    let mut duration = f64::from(above) / f64::from(below);
    if !(duration.is_finite() && duration > 0.0) {
        let reason = format!("the header says that a data record lasts {above}/{below} s; 1 s is taken");
        damage.push(FormatError::new(Format::Gdf, Place::Byte(244), reason, OR_ACCEPT));
        duration = 1.0;
    }
    people(&fixed, old, &mut facts);
    let records = fixed.number::<i64>(236);
    if records < -1 {
        let reason = format!("the header counts {records} data records; only -1 says that they are not counted");
        damage.push(FormatError::new(Format::Gdf, Place::Byte(236), reason, OR_ACCEPT));
    }
    let records = u64::try_from(records).ok();
    let bytes = part(source, Format::Gdf, BLOCK..least)?;
    let count = usize::try_from(count).unwrap_or(0);
    let signals = (0..count).map(|place| signal(&Fields(&bytes), place, count, old)).collect::<Result<_, _>>()?;
    Ok(Header { version, data, records, duration, signals, facts, notes, damage })
}

/// One channel. Each field stands once for every channel, one field after the other.
fn signal(fields: &Fields<'_>, place: usize, count: usize, old: bool) -> Result<(Signal, u32), FormatError> {
    let of = |before: usize, size: usize| before * count + size * place;
    let mut signal = Signal { label: fields.text(of(0, 16), 16), transducer: fields.text(of(16, 80), 80), ..Signal::default() };
    let unit = fields.text(of(96, 8), 8);
    signal.physical = (fields.number(of(104, 8)), fields.number(of(112, 8)));
    let samples: i32 = fields.number(of(216, 4));
    if old {
        signal.unit = unit;
        signal.digital = (fields.number::<i64>(of(120, 8)) as f64, fields.number::<i64>(of(128, 8)) as f64);
        signal.prefilter = fields.text(of(136, 80), 80);
    } else {
        signal.unit = unit_of(fields.number(of(102, 2)));
        signal.digital = (fields.number(of(120, 8)), fields.number(of(128, 8)));
        let (low, high, notch) = (fields.number::<f32>(of(204, 4)), fields.number::<f32>(of(208, 4)), fields.number::<f32>(of(212, 4)));
        let known = |name: &str, value: f32| (value.is_finite() && value > 0.0).then(|| format!("{name}:{value}Hz"));
        let all = [known("LP", low), known("HP", high), known("N", notch)];
        signal.prefilter = all.into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    let at = BLOCK + of(216, 4) as u64;
    signal.samples =
        u64::try_from(samples).map_err(|_| wrong(at, format!("channel {} has {samples} samples in a data record", place + 1)))?;
    Ok((signal, fields.number(of(220, 4))))
}

/// Units by their code: five bits of decimal prefix, the rest the unit.
fn unit_of(code: u16) -> String {
    let unit = match code & !0x1f {
        0 | 512 => return String::new(),
        544 => "%",
        736 => "deg",
        768 => "rad",
        2496 => "Hz",
        3872 => "mmHg",
        4256 => "V",
        4288 => "Ohm",
        6048 => "degC",
        3072 => "B/min",
        4416 => "K",
        2176 => "s",
        _ => return format!("code {code}"),
    };
    let prefix = match code & 0x1f {
        0 => "",
        1 => "da",
        2 => "h",
        3 => "k",
        4 => "M",
        5 => "G",
        16 => "d",
        17 => "c",
        18 => "m",
        19 => "u",
        20 => "n",
        21 => "p",
        _ => return format!("code {code}"),
    };
    format!("{prefix}{unit}")
}

fn people(fixed: &Fields<'_>, old: bool, facts: &mut BTreeMap<String, String>) {
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() && value != "X" {
            facts.insert(name.into(), value);
        }
    };
    let patient = fixed.text(8, if old { 80 } else { 66 });
    let (id, name) = patient.split_once(' ').unwrap_or((patient.as_str(), ""));
    fact("subject", id.to_owned());
    fact("name", name.trim().to_owned());
    if old {
        fact("recording", fixed.text(88, 80));
        let digits = fixed.text(168, 16);
        let part = |range: std::ops::Range<usize>| digits.get(range).and_then(|own| own.trim().parse::<u32>().ok());
        let hundredths = f64::from(part(14..16).unwrap_or(0)) / 100.0;
        let start = (|| {
            let second = f64::from(part(12..14)?) + hundredths;
            text::instant(i64::from(part(0..4)?), part(4..6)?, part(6..8)?, part(8..10)?, part(10..12)?, second)
        })();
        fact("start", start.unwrap_or_default());
        return;
    }
    fact("recording", fixed.text(88, 64));
    // Days since the year 0, in units of 2⁻³² days; 719 529 days before 1970.
    let instant = |at: usize| match fixed.number::<u64>(at) {
        0 => None,
        ticks => text::since_1970((ticks as f64 / 4_294_967_296.0 - 719_529.0) * 86_400.0),
    };
    fact("start", instant(168).unwrap_or_default());
    fact("birth_date", instant(176).and_then(|date| date.get(..10).map(str::to_owned)).unwrap_or_default());
    let word = |bits: u8, words: [&str; 4]| words.get(usize::from(bits & 3)).copied().unwrap_or_default().to_owned();
    let (weight, height, body) = (fixed.number::<u8>(85), fixed.number::<u8>(86), fixed.number::<u8>(87));
    fact("sex", word(body, ["", "M", "F", ""]));
    fact("hand", word(body >> 2, ["", "right", "left", "both"]));
    for (name, value) in [("weight_kg", weight), ("height_cm", height)] {
        if !matches!(value, 0 | 255) {
            fact(name, value.to_string());
        }
    }
}
