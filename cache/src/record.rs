//! Action records: the answer to a key, and how it is written.
//!
//! A record has a *head*, which is all that planning needs, and a *tail* (its summary), which is read when somebody asks why. The head is a compact binary
//! form beginning with a version: planning a million unchanged tasks reads a million heads.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};

/// One output of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOutput {
    /// The output's name.
    pub slot: String,
    /// Its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What an action gave, and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// What kind of work it was, for statistics.
    pub stage: String,
    /// The version of that work.
    pub version: u32,
    /// Its outputs.
    pub outputs: Vec<ActionOutput>,
    /// The run that did it.
    pub run: String,
    /// When it began, milliseconds since 1970.
    pub started_unix_ms: i64,
    /// Milliseconds that it took.
    pub wall_ms: f64,
    /// Milliseconds of processor time, where that is known.
    pub cpu_ms: Option<f64>,
    /// The most bytes of memory that it had at once, where that is known.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// Its log, as an object.
    pub log: Option<Digest>,
    /// What made the key, in words, and whatever else the caller wants beside the result. A member `scores` can be had without reading the rest.
    pub summary: serde_json::Value,
}

/// What planning needs of a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brief {
    /// The outputs.
    pub outputs: Vec<ActionOutput>,
    /// The run that did it.
    pub run: String,
    /// Milliseconds that it took.
    pub wall_ms: f64,
    /// The member `scores` of the summary, when there is one.
    pub scores: Option<serde_json::Value>,
}

const VERSION: u8 = 1;

/// The head of a record.
pub(crate) fn write_head(record: &ActionRecord) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    bytes.push(VERSION);
    bytes.extend(u32::try_from(record.outputs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for output in &record.outputs {
        text(&mut bytes, &output.slot);
        bytes.extend(output.digest.as_bytes());
        bytes.extend(output.size.to_le_bytes());
    }
    text(&mut bytes, &record.run);
    bytes.extend(record.wall_ms.to_le_bytes());
    let scores = record.summary.get("scores").and_then(|scores| serde_json::to_vec(scores).ok()).unwrap_or_default();
    bytes.extend(u32::try_from(scores.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(scores);
    text(&mut bytes, &record.stage);
    bytes.extend(record.version.to_le_bytes());
    bytes.extend(record.started_unix_ms.to_le_bytes());
    let flags = u8::from(record.cpu_ms.is_some()) | u8::from(record.peak_bytes.is_some()) << 1 | u8::from(record.log.is_some()) << 2;
    bytes.push(flags);
    bytes.extend(record.cpu_ms.into_iter().flat_map(f64::to_le_bytes));
    bytes.extend(record.peak_bytes.into_iter().flat_map(u64::to_le_bytes));
    bytes.extend(record.log.iter().flat_map(|log| log.as_bytes()));
    bytes
}

/// Texts in a head are short names; what is longer is cut, which a reader of names can see.
fn text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(&text.as_bytes()[..length]);
}

/// Reads what [`write_head`] wrote; none when it is anything else.
pub(crate) struct Head<'a> {
    left: &'a [u8],
}

impl<'a> Head<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Head<'a> {
        Head { left: bytes }
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.bytes(usize::from(length))?).ok()
    }

    /// The outputs: slot, digest, size.
    fn outputs(&mut self) -> Option<Vec<ActionOutput>> {
        let [version] = self.array()?;
        if version != VERSION {
            return None;
        }
        let count = u32::from_le_bytes(self.array()?) as usize;
        // An output has at least 42 bytes: no more is made room for than can be there.
        let mut outputs = Vec::with_capacity(count.min(self.left.len() / 42));
        for _ in 0..count {
            let slot = self.text()?.to_owned();
            outputs.push(ActionOutput { slot, digest: Digest::from_bytes(self.array()?), size: u64::from_le_bytes(self.array()?) });
        }
        Some(outputs)
    }

    fn scores(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.bytes(length as usize)
    }

    /// What planning needs.
    pub(crate) fn brief(mut self) -> Option<Brief> {
        let outputs = self.outputs()?;
        let run = self.text()?.to_owned();
        let wall_ms = f64::from_le_bytes(self.array()?);
        let scores = match self.scores()? {
            [] => None,
            bytes => Some(serde_json::from_slice(bytes).ok()?),
        };
        Some(Brief { outputs, run, wall_ms, scores })
    }

    /// All but the summary.
    pub(crate) fn record(mut self) -> Option<ActionRecord> {
        let outputs = self.outputs()?;
        let run = self.text()?.to_owned();
        let wall_ms = f64::from_le_bytes(self.array()?);
        self.scores()?;
        let stage = self.text()?.to_owned();
        let version = u32::from_le_bytes(self.array()?);
        let started_unix_ms = i64::from_le_bytes(self.array()?);
        let [flags] = self.array()?;
        let cpu_ms = if flags & 1 == 0 { None } else { Some(f64::from_le_bytes(self.array()?)) };
        let peak_bytes = if flags & 2 == 0 { None } else { Some(u64::from_le_bytes(self.array()?)) };
        let log = if flags & 4 == 0 { None } else { Some(Digest::from_bytes(self.array()?)) };
        let summary = serde_json::Value::Null;
        let whole = flags < 8 && self.left.is_empty();
        whole.then_some(ActionRecord { stage, version, outputs, run, started_unix_ms, wall_ms, cpu_ms, peak_bytes, log, summary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = ActionRecord> {
        let output = (".{0,8}", any::<[u8; 32]>(), any::<u64>()).prop_map(|(slot, digest, size)| ActionOutput {
            slot,
            digest: Digest::from_bytes(digest),
            size,
        });
        let cost = (-1e9..1e9f64, prop::option::of(0.0..1e9f64), prop::option::of(any::<u64>()), prop::option::of(any::<[u8; 32]>()));
        (".{0,8}", any::<u32>(), prop::collection::vec(output, 0..4), ".{0,8}", any::<i64>(), cost, any::<bool>()).prop_map(
            |(stage, version, outputs, run, started_unix_ms, (wall_ms, cpu_ms, peak_bytes, log), scored)| ActionRecord {
                stage,
                version,
                outputs,
                run,
                started_unix_ms,
                wall_ms,
                cpu_ms,
                peak_bytes,
                log: log.map(Digest::from_bytes),
                summary: if scored {
                    serde_json::json!({ "scores": [{ "name": "accuracy", "value": 0.5 }] })
                } else {
                    serde_json::Value::Null
                },
            },
        )
    }

    proptest! {
        #[test]
        fn a_head_reads_back_and_a_cut_one_does_not(mut record in record(), cut in any::<prop::sample::Index>()) {
            let bytes = write_head(&record);
            let brief = Head::new(&bytes).brief().unwrap();
            prop_assert_eq!(&brief.outputs, &record.outputs);
            prop_assert_eq!(&brief.run, &record.run);
            prop_assert_eq!(brief.scores.as_ref(), record.summary.get("scores"));
            let read = Head::new(&bytes).record().unwrap();
            record.summary = serde_json::Value::Null;
            prop_assert_eq!(read, record);
            prop_assert!(Head::new(&bytes[..cut.index(bytes.len())]).record().is_none());
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::new(&bytes).brief();
            let _ = Head::new(&bytes).record();
        }
    }
}
