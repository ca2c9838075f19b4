//! The header of EDF, EDF+, BDF and BDF+: fixed fields of text.

use crate::calibrated::Signal;
use crate::source::{Source, part};
use crate::text;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, OR_ACCEPT, Place};
use std::collections::BTreeMap;

/// Bytes of the first part of the header, and of what each signal adds.
const BLOCK: u64 = 256;

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub format: Format,
    /// `EDF`, `EDF+C`, `EDF+D`, `BDF`, `BDF+C`, `BDF+D`.
    pub variant: String,
    /// The first byte of data.
    pub data: u64,
    /// Data records as the header has them; `None` for -1, which a recorder writes until it stops.
    pub records: Option<u64>,
    /// Seconds a record lasts.
    pub duration: f64,
    pub signals: Vec<Signal>,
    pub facts: BTreeMap<String, String>,
    pub notes: Vec<String>,
    /// Rules that the header breaks, and yet it can be read.
    pub damage: Vec<FormatError>,
}

impl Signal {
    /// Whether it holds annotations instead of samples.
    pub(super) fn is_annotations(&self) -> bool {
        matches!(self.label.as_str(), "EDF Annotations" | "BDF Annotations")
    }
}

/// Walks over the fields and knows where each stands.
struct Fields<'b> {
    format: Format,
    bytes: &'b [u8],
    at: usize,
}

impl Fields<'_> {
    fn take(&mut self, length: usize) -> String {
        let field = self.bytes.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        // The micro sign of Shift-JIS, which some Japanese recorders write.
        if field.starts_with(b"\x83\xcaV") { "µV".into() } else { text::field(field) }
    }

    fn number(&mut self, what: &str) -> Result<f64, FormatError> {
        let at = self.at as u64;
        let field = self.take(8);
        text::number(&field).ok_or_else(|| {
            let reason = format!("the {what} is `{}`, no number", field.escape_debug());
            FormatError::new(self.format, Place::Byte(at), reason, "correct this field of eight characters with an EDF editor")
        })
    }
}

/// Reads the header.
pub(super) fn read(source: &dyn Source) -> Result<Header, FormatError> {
    let magic = part(source, Format::Edf, 0..source.len().min(8))?;
    let format = match magic.as_ref() {
        [0xff, rest @ ..] if rest.starts_with(b"BIOSEMI") => Format::Bdf,
        [b'0', rest @ ..] if rest.iter().all(|byte| matches!(byte, b' ' | 0)) => Format::Edf,
        _ => {
            let reason = "the file begins neither with `0`, as EDF does, nor with 255 and `BIOSEMI`, as BDF does";
            return Err(FormatError::new(Format::Edf, Place::Byte(0), reason, "check that the path names an EDF or BDF file"));
        }
    };
    let first = part(source, format, 0..BLOCK)?;
    let mut fields = Fields { format, bytes: &first, at: 8 };
    let (mut facts, mut notes) = (BTreeMap::new(), Vec::new());
    let (patient, recording) = (fields.take(80), fields.take(80));
    let (date, time) = (fields.take(8), fields.take(8));
    let stated = fields.take(8);
    let reserved = fields.take(44);
    let records = fields.number("number of data records")?;
    let duration = fields.number("duration of a data record")?;
    let at = fields.at as u64;
    let written = fields.take(4);
    let Some(count) = text::number(&written).filter(|count| *count >= 0.0 && count.fract() == 0.0) else {
        let reason = format!("the number of signals is `{}`", written.escape_debug());
        return Err(FormatError::new(format, Place::Byte(at), reason, COPY_AGAIN));
    };
    // Four characters: at most 9999.
    let count = count.min(9999.0) as usize;
    let data = BLOCK * (count as u64 + 1);
    if text::number(&stated) != Some(data as f64) {
        notes.push(format!("the header gives its length as `{stated}` bytes; with {count} signals it is {data}, which is taken"));
    }
    let plus = ["EDF+C", "EDF+D", "BDF+C", "BDF+D"].into_iter().find(|variant| reserved.starts_with(variant));
    let variant = plus.unwrap_or(if format == Format::Bdf { "BDF" } else { "EDF" }).to_owned();
    people(&patient, &recording, &mut facts);
    start(&date, &time, &recording, &mut facts, &mut notes);
    let bytes = part(source, format, BLOCK..data)?;
    let signals = signals(format, &bytes, count)?;
    if !duration.is_finite() || duration < 0.0 {
        let reason = format!("a data record lasts {duration} s");
        return Err(FormatError::new(format, Place::Byte(244), reason, "write the duration of a data record in seconds"));
    }
    let mut damage = Vec::new();
    if records < 0.0 && records != -1.0 {
        let reason = format!("the header counts {records} data records; only -1 says that they are not counted");
        damage.push(FormatError::new(format, Place::Byte(236), reason, OR_ACCEPT));
    }
    let records = (records >= 0.0).then_some(records as u64);
    Ok(Header { format, variant, data, records, duration, signals, facts, notes, damage })
}

fn signals(format: Format, bytes: &[u8], count: usize) -> Result<Vec<Signal>, FormatError> {
    let mut signals: Vec<Signal> = (0..count).map(|_| Signal::default()).collect();
    let mut fields = Fields { format, bytes, at: 0 };
    signals.iter_mut().for_each(|signal| signal.label = fields.take(16));
    signals.iter_mut().for_each(|signal| signal.transducer = fields.take(80));
    signals.iter_mut().for_each(|signal| signal.unit = fields.take(8));
    // Places in errors are those in the file.
    let moved = |mut error: FormatError| {
        if let Place::Byte(byte) = &mut error.place {
            *byte += BLOCK;
        }
        error
    };
    let mut limits = [const { Vec::new() }; 4];
    for (own, what) in limits.iter_mut().zip(["physical minimum", "physical maximum", "digital minimum", "digital maximum"]) {
        for (place, signal) in signals.iter().enumerate() {
            // What an annotation channel has here means nothing.
            let number = fields.number(&format!("{what} of signal {} (`{}`)", place + 1, signal.label));
            own.push(if signal.is_annotations() { number.unwrap_or(0.0) } else { number.map_err(moved)? });
        }
    }
    let [lows, highs, firsts, lasts] = limits;
    for (signal, ((low, high), (first, last))) in signals.iter_mut().zip(lows.into_iter().zip(highs).zip(firsts.into_iter().zip(lasts))) {
        (signal.physical, signal.digital) = ((low, high), (first, last));
    }
    signals.iter_mut().for_each(|signal| signal.prefilter = fields.take(80));
    for (place, signal) in signals.iter_mut().enumerate() {
        let at = fields.at as u64 + BLOCK;
        let samples = fields.number(&format!("number of samples of signal {} (`{}`)", place + 1, signal.label)).map_err(moved)?;
        if samples < 0.0 || samples.fract() != 0.0 {
            let reason = format!("signal {} (`{}`) has {samples} samples in a data record", place + 1, signal.label);
            return Err(FormatError::new(format, Place::Byte(at), reason, COPY_AGAIN));
        }
        signal.samples = samples as u64;
    }
    Ok(signals)
}

/// The subfields of EDF+ (specification, section 2.1.3.3): `X` and `_` stand for unknown and for a blank.
fn people(patient: &str, recording: &str, facts: &mut BTreeMap<String, String>) {
    let mut fact = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty() && *value != "X") {
            facts.insert(name.into(), value.replace('_', " "));
        }
    };
    let words: Vec<&str> = patient.split(' ').collect();
    if words.len() >= 4 && matches!(words.get(1), Some(&("M" | "F" | "X"))) {
        for (name, value) in ["subject", "sex", "birth_date", "name"].into_iter().zip(&words) {
            fact(name, Some(value));
        }
        let rest = words.get(4..).unwrap_or_default().join(" ");
        fact("patient_notes", Some(&rest));
    } else {
        fact("subject", Some(patient));
    }
    let words: Vec<&str> = recording.split(' ').collect();
    if words.first() == Some(&"Startdate") && words.len() >= 5 {
        for (name, value) in ["start_date", "administration", "technician", "device"].into_iter().zip(words.iter().skip(1)) {
            fact(name, Some(value));
        }
        let rest = words.get(5..).unwrap_or_default().join(" ");
        fact("recording_notes", Some(&rest));
    } else {
        fact("recording", Some(recording));
    }
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// The time at which the recording starts, local time without a zone.
fn start(date: &str, time: &str, recording: &str, facts: &mut BTreeMap<String, String>, notes: &mut Vec<String>) {
    let triple = |text: &str, by: &[char]| -> Option<[u32; 3]> {
        let mut parts = text.split(by).map(|part| part.trim().parse::<u32>().ok());
        Some([parts.next()??, parts.next()??, parts.next()??])
    };
    // EDF+ repeats the date with all digits of the year.
    let long = recording.split(' ').nth(1).filter(|_| recording.starts_with("Startdate ")).and_then(|word| {
        let mut parts = word.split('-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let month = MONTHS.iter().position(|own| own.eq_ignore_ascii_case(month))?;
        Some((year.parse::<u32>().ok()?, u32::try_from(month).ok()? + 1, day.parse::<u32>().ok()?))
    });
    let short =
        triple(date, &['.', '/', '-', ':']).map(|[day, month, year]| (if year < 85 { 2000 + year } else { 1900 + year }, month, day));
    let clock = triple(time, &['.', ':']);
    let (hour, minute, second) = clock.map_or((0, 0, 0), |[hour, minute, second]| (hour, minute, second));
    let instant = long.or(short).and_then(|(year, month, day)| text::instant(i64::from(year), month, day, hour, minute, f64::from(second)));
    match instant {
        Some(instant) => {
            facts.insert("start".into(), instant);
            facts.remove("start_date");
        }
        None => notes.push(format!("the start is `{date}` `{time}`, no date and time that can be read")),
    }
}
