//! What a result is as a file: the suffix of its name, its form, and what a person needs to know to read it.

use neuroflow_data::export::{ExportFormat, export, tidy};
use neuroflow_data::{Artifact, Axis, Channel, Kind, Payload, Recording, Typed, columns};
use neuroflow_formats::write::nwb::Facts;
use neuroflow_formats::write::{AFFINE, Form, artifact_bytes, brainvision};
use serde_json::{Map, Value, json};

/// A result as files.
pub(super) struct Laid {
    /// The suffix: `events`, `psd`, `rdm`.
    pub(super) suffix: String,
    /// The files: an extension, and bytes. A folder's files have their names behind it.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Fields for its JSON.
    pub(super) about: Map<String, Value>,
    /// Of a recording in a form that says little of its channels: its `channels.tsv`.
    pub(super) channels: Option<Vec<u8>>,
}

/// Lays a result out. `datatype` is that of the recordings behind it, `name` what it is called in a file that has names inside, and `called` what files are
/// called that name each other, by their suffix.
///
/// # Errors
/// When its values can't be written, in words.
pub(super) fn laid(
    artifact: &Artifact,
    output: &str,
    datatype: &str,
    name: &str,
    called: &dyn Fn(&str) -> String,
    facts: &dyn Fn() -> Facts,
    file: Option<&str>,
) -> Result<Laid, String> {
    let kind = artifact.kind();
    let (mut about, mut channels) = (Map::new(), None);
    let one = |ending: &str, bytes: Vec<u8>| vec![(ending.to_owned(), bytes)];
    let arrow = || artifact.encode().map_err(|error| error.to_string());
    let (suffix, files) = match (artifact.payload(), kind) {
        (Payload::Bytes(bytes), _) => {
            let ending = file.and_then(|file| file.rsplit('/').next()?.split_once('.')).map_or("bin", |(_, ending)| ending);
            (kind.name().to_lowercase(), one(&format!(".{}", safe(ending)), bytes.to_vec()))
        }
        (Payload::Tree(tree), _) => {
            let files = tree.iter().map(|(path, bytes)| (format!("/{}", path.trim_start_matches('/')), bytes.to_vec()));
            ("files".to_owned(), files.filter(|(path, _)| path[1..].split('/').all(is_plain)).collect())
        }
        (Payload::Batch(_), Kind::Recording | Kind::Spikes | Kind::Responses) => {
            let suffix = match kind {
                Kind::Recording if matches!(datatype, "eeg" | "ieeg" | "meg" | "nirs" | "emg") => datatype,
                Kind::Recording => "timeseries",
                Kind::Spikes => "spikes",
                _ => "epochs",
            };
            about.extend(axes(&artifact.meta().axes));
            let recording = (kind == Kind::Recording).then(|| Recording::from_artifact(artifact).ok()).flatten();
            let plain = recording.as_ref().filter(|_| matches!(suffix, "eeg" | "ieeg"));
            if let Some(files) = plain.and_then(|recording| brainvision::recording(&called(suffix), recording).ok()) {
                about.extend(recording.iter().flat_map(|recording| recording.channels().next()).map(rate));
                channels = recording.as_ref().map(of_channels);
                (suffix.to_owned(), files.all().map(|(ending, bytes)| (ending.to_owned(), bytes)).into())
            } else {
                match artifact_bytes(Form::Nwb, name, artifact, &facts()) {
                    Ok(bytes) => (suffix.to_owned(), one(".nwb", bytes)),
                    Err(_) => (suffix.to_owned(), one(".arrow", arrow()?)),
                }
            }
        }
        (Payload::Batch(_), Kind::Tensor) if artifact.meta().attributes.contains_key(AFFINE) => {
            let suffix = if datatype == "func" && artifact.meta().axes.len() > 3 { "bold" } else { "map" };
            match artifact_bytes(Form::NiftiGz, name, artifact, &facts()) {
                Ok(bytes) => (suffix.to_owned(), one(".nii.gz", bytes)),
                Err(error) => return Err(format!("{}: {}", error.place, error.reason)),
            }
        }
        (Payload::Batch(_), Kind::Tensor | Kind::Rdm | Kind::Features) => {
            about.extend(axes(&artifact.meta().axes));
            let bytes = export(artifact, ExportFormat::Npy).map_err(|error| error.to_string())?;
            (of_array(artifact, output), one(".npy", bytes))
        }
        (Payload::Batch(_), Kind::Table | Kind::Events | Kind::Scores | Kind::Graph | Kind::Communities) => {
            let (bytes, described) = tabs(artifact)?;
            about.extend(described);
            (kind.name().to_lowercase(), one(".tsv", bytes))
        }
        _ => (kind.name().to_lowercase(), one(".arrow", arrow()?)),
    };
    about.extend(artifact.meta().unit.iter().map(|unit| ("Units".to_owned(), unit.clone().into())));
    Ok(Laid { suffix, files, about, channels })
}

fn rate(channel: &Channel) -> (String, Value) {
    ("SamplingFrequency".to_owned(), channel.rate.into())
}

/// The type of a channel in the words of BIDS; what it has no word for is MISC.
fn type_of(role: &str) -> String {
    const TYPES: &[&str] = &[
        "AUDIO", "DBS", "ECG", "ECOG", "EEG", "EMG", "EOG", "EYEGAZE", "GSR", "HEOG", "MISC", "OTHER", "PPG", "PUPIL", "REF", "RESP",
        "SEEG", "SYSCLOCK", "TEMP", "TRIG", "VEOG",
    ];
    let role = role.to_uppercase();
    if TYPES.contains(&role.as_str()) { role } else { "MISC".into() }
}

/// `channels.tsv`: name, type, unit and rate of each channel. Recordings from inside the skull must say which cutoffs they had, which is not known here.
fn of_channels(recording: &Recording) -> Vec<u8> {
    let mut text = String::from("name\ttype\tunits\tlow_cutoff\thigh_cutoff\tsampling_frequency\n");
    for channel in recording.channels() {
        let unit = if channel.unit.is_empty() { "n/a" } else { &channel.unit };
        text += &format!("{}\t{}\t{}\tn/a\tn/a\t{}\n", quoted(&channel.name), type_of(&channel.role), quoted(unit), channel.rate);
    }
    text.into_bytes()
}

/// A part of a path that leads nowhere else.
fn is_plain(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']) && !part.chars().any(char::is_control)
}

/// An ending without what names of files can't have.
fn safe(ending: &str) -> String {
    let kept: String = ending.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '.').take(20).collect();
    if kept.is_empty() { "bin".into() } else { kept }
}

/// What an array is called: by its axes, where the field has a word for it.
fn of_array(artifact: &Artifact, output: &str) -> String {
    let has = |names: &[&str]| artifact.meta().axes.iter().any(|axis| names.contains(&axis.name.as_str()));
    let (frequency, time) = (has(&["frequency"]), has(&["time", "bin", "sample"]));
    match artifact.kind() {
        Kind::Rdm => "rdm".into(),
        Kind::Features => "features".into(),
        _ if frequency && time => "tfr".into(),
        _ if frequency => "psd".into(),
        _ if time => "timeseries".into(),
        _ => {
            let word: String = output.chars().filter(char::is_ascii_alphanumeric).collect();
            if word.is_empty() { "array".into() } else { word.to_lowercase() }
        }
    }
}

/// The axes of an array, first to last, with where their positions lie.
fn axes(axes: &[Axis]) -> Option<(String, Value)> {
    use neuroflow_data::Coordinates;
    let values = |coordinates: &Coordinates| match coordinates {
        Coordinates::Count(_) => Value::Null,
        Coordinates::Numbers(numbers) => json!(numbers),
        Coordinates::Labels(labels) => json!(labels),
    };
    let one = |axis: &Axis| {
        let mut told = json!({ "Name": axis.name, "Length": axis.len() });
        if let Some(unit) = &axis.unit {
            told["Units"] = unit.clone().into();
        }
        let positions = values(&axis.coordinates);
        if !positions.is_null() {
            told["Values"] = positions;
        }
        let properties: Map<String, Value> = axis.properties.iter().map(|(name, of)| (name.clone(), values(of))).collect();
        if !properties.is_empty() {
            told["Properties"] = properties.into();
        }
        told
    };
    (!axes.is_empty()).then(|| ("Axes".to_owned(), axes.iter().map(one).collect()))
}

/// What is known of columns that have the same names everywhere: column, its name in BIDS, unit, description.
const KNOWN: &[(&str, &str, &str, &str, &str)] = &[
    ("Events", "time", "onset", "s", "When the event began, on the clock of the recording"),
    ("Events", "duration", "duration", "s", "How long it lasted; n/a when it has no duration or the source does not say"),
    ("Events", "label", "trial_type", "", "What kind of event it is"),
    ("Scores", "metric", "metric", "", "What was measured"),
    ("Scores", "value", "value", "", "The score"),
    ("Scores", "chance", "chance", "", "What guessing gives, where it is known without a control"),
    ("Scores", "ceiling", "ceiling", "", "The most that noise in the data allows, where it was estimated"),
    ("Scores", "interval_low", "interval_low", "", "The lower end of the interval of the value"),
    ("Scores", "interval_high", "interval_high", "", "The upper end of the interval of the value"),
    ("Scores", "n", "n", "", "The number of observations behind the value"),
    ("Scores", "null_mean", "null_mean", "", "The mean of the null draws of its first control"),
    ("Scores", "p", "p", "", "(1 + number of null draws at least as large) / (1 + number of null draws)"),
];

/// A table as tab separated text, with a description of each column.
fn tabs(artifact: &Artifact) -> Result<(Vec<u8>, Map<String, Value>), String> {
    let table = tidy(artifact).map_err(|error| error.to_string())?;
    let batch = table.batch();
    let kind = artifact.kind().name();
    let mut described = Map::new();
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for field in batch.schema().fields() {
        let known = KNOWN.iter().find(|(of, column, ..)| *of == kind && column == field.name());
        let name = known.map_or(field.name().as_str(), |(_, _, name, ..)| name);
        let axis = artifact.meta().axes.iter().find(|axis| axis.name == *field.name());
        let mut said = match known {
            Some((.., description)) => json!({ "Description": description }),
            None if axis.is_some() => json!({ "Description": format!("The position along the axis `{}`", field.name()) }),
            None => json!({ "Description": format!("The column `{}` of the result", field.name()) }),
        };
        let unit = known.map(|(_, _, _, unit, _)| (*unit).to_owned()).or_else(|| axis.and_then(|axis| axis.unit.clone()));
        if let Some(unit) = unit.filter(|unit| !unit.is_empty()) {
            said["Units"] = unit.into();
        }
        described.insert(name.to_owned(), said);
        let is_float = field.data_type().is_floating();
        let cells = columns::texts(batch, field.name()).map_err(|error| error.to_string())?;
        // What is missing has one word in tables of BIDS, and so has what is no number.
        let missing = |cell: &String| cell.is_empty() || is_float && cell == "NaN";
        let cells = cells.iter().map(|cell| if missing(cell) { "n/a".to_owned() } else { quoted(cell) }).collect();
        all.push((quoted(name), cells));
    }
    let first = ["onset", "duration", "trial_type"];
    // Events begin with the columns that they must have.
    all.sort_by_key(|(name, _)| first.iter().position(|of| kind == "Events" && of == name).unwrap_or(first.len()));
    if kind == "Events" && !all.iter().any(|(name, _)| name == "duration") {
        all.insert(1.min(all.len()), ("duration".into(), vec!["n/a".into(); batch.num_rows()]));
        described.insert("duration".into(), json!({ "Description": "The source has no durations", "Units": "s" }));
    }
    let line = |cells: Vec<&str>| format!("{}\n", cells.join("\t"));
    let mut text = line(all.iter().map(|(name, _)| name.as_str()).collect());
    for row in 0..batch.num_rows() {
        text += &line(all.iter().map(|(_, cells)| cells[row].as_str()).collect());
    }
    Ok((text.into_bytes(), described))
}

/// A cell as it stands between tabs.
fn quoted(cell: &str) -> String {
    if cell.contains(['\t', '\n', '\r', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Events, Table, Tensor};

    fn of(artifact: &Artifact) -> Laid {
        laid(artifact, "power", "eeg", "x", &str::to_owned, &Facts::default, None).unwrap()
    }

    #[test]
    fn events_have_the_columns_of_bids_in_their_order() {
        let events = Events::new(vec![0.5, 2.0], vec![None, Some(1.0)], &["go".into(), "a\tb".into()]).unwrap();
        let laid = of(&events.into_artifact().unwrap());
        assert_eq!((laid.suffix.as_str(), laid.files[0].0.as_str()), ("events", ".tsv"));
        let text = String::from_utf8(laid.files[0].1.clone()).unwrap();
        assert_eq!(text, "onset\tduration\ttrial_type\n0.5\tn/a\tgo\n2.0\t1.0\t\"a\tb\"\n");
        assert_eq!(laid.about["onset"]["Units"], "s");
        let without = Table::from_columns(vec![columns::from_texts("label", &["go"]), columns::from_numbers("time", vec![1.0])]).unwrap();
        let laid = of(&Events::from_table(without).unwrap().into_artifact().unwrap());
        assert_eq!(String::from_utf8(laid.files[0].1.clone()).unwrap(), "onset\tduration\ttrial_type\n1.0\tn/a\tgo\n");
    }

    #[test]
    fn an_array_is_called_by_its_axes_and_says_where_they_lie() {
        let tensor = |axis: Axis| Tensor::new(vec![axis], Some("uV"), vec![1.0, f64::NAN]).unwrap().into_artifact().unwrap();
        let power = of(&tensor(Axis::numbers("frequency", Some("Hz"), vec![1.0, 2.0])));
        assert_eq!((power.suffix.as_str(), power.files[0].0.as_str()), ("psd", ".npy"));
        assert_eq!(power.about["Units"], "uV");
        assert_eq!(power.about["Axes"], json!([{ "Name": "frequency", "Length": 2, "Units": "Hz", "Values": [1.0, 2.0] }]));
        assert_eq!(of(&tensor(Axis::count("time", 2))).suffix, "timeseries");
        assert_eq!(of(&tensor(Axis::labels("unit", vec!["a".into(), "b".into()]))).suffix, "power");
    }

    #[test]
    fn a_number_that_is_none_is_missing_and_a_word_stays_one() {
        let table = Table::from_columns(vec![
            columns::from_optional_numbers("x", vec![Some(f64::NAN), None, Some(0.25)]),
            columns::from_texts("word", &["NaN", "", "n"]),
        ]);
        let laid = of(&table.unwrap().into_artifact().unwrap());
        assert_eq!(String::from_utf8(laid.files[0].1.clone()).unwrap(), "x\tword\nn/a\tNaN\nn/a\tn/a\n0.25\tn\n");
    }
}
