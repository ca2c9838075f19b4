//! `ingest.events`: markers, annotations and tables of intervals become events.

use super::{Damaged, FILE, Unsaid, document, refused};
use arrow::datatypes::DataType;
use neuroflow_data::{Events, Kind, Table, columns};
use neuroflow_formats::Document;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

/// The stage `ingest.events`.
pub struct EventsOfFile;

params! {
    /// Parameters of `ingest.events`.
    pub struct EventsOfFileParams {
        /// Which events, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// The column of times in seconds, of a table that calls it otherwise than `time`, `onset`, `start_time` or `timestamp`.
        time: String = "";
        /// The column that gives the labels; empty for what the file says.
        label: String = "";
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives a row for each event: `time` and `duration` in seconds on the file's clock, `label`, and whatever further columns the file has. Annotations of EDF+ and BDF+,
markers of BrainVision, events of GDF, EEGLAB and FIF, `triggers` of the status channel of BDF and of the stimulus channels of FIF as MNE finds them, tables of
intervals of NWB such as `intervals/trials`. A table as text or in a workbook does too: `time`, `onset` or `start_time` are its times, and the first column of texts its labels, unless `time` and `label` name others.

```nf
pipeline reading "Cues"
input run = edf("run.edf")
cues = ingest.events(run)
report reading { cues }
```"#;

impl Stage for EventsOfFile {
    type Params = EventsOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.events",
            version: 3,
            summary: "Reads markers, annotations or intervals from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("events", Kind::Events, "", "The events, in the order of the file.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &EventsOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        let document = document(inputs, &Unsaid { reader: Some("csv"), damaged: params.damaged.clone(), ..Unsaid::default() })?;
        // A table with times is a table of events, whatever its format; what the format itself calls events comes first.
        let mut events = match (document.events(&params.of), params.time.as_str()) {
            (Ok(events), "") => events,
            (told, time) => match of_table(document.as_ref(), &params.of, time)? {
                Some(events) => events,
                None => return Err(refused(told.err().unwrap_or_else(|| document.contents().none("events", &params.of)))),
            },
        };
        if !params.label.is_empty() {
            let labels = events.table().texts(&params.label)?;
            let (field, array) = columns::from_texts("label", &labels);
            events = Events::from_table(events.table().with_column(field, array)?)?;
        }
        Outputs::new().with("events", events)
    }
}

/// Columns that are taken for the time of events, in seconds.
const TIMES: [&str; 4] = ["time", "onset", "start_time", "timestamp"];

/// Events out of a table: its column of times is `time`, its columns `duration` and `label` stay, and so do all others. None when it has no times.
fn of_table(document: &dyn Document, of: &str, time: &str) -> Result<Option<Events>, StageError> {
    // The samples of a recording have times as well, and are no events.
    if document.signals(of).is_ok() {
        return Ok(None);
    }
    let Ok(rows) = document.rows(of) else { return Ok(None) };
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    let wanted = |name: &&String| if time.is_empty() { TIMES.contains(&name.as_str()) } else { *name == time };
    let Some(time) = names.iter().find(wanted) else { return Ok(None) };
    let columns: Vec<usize> = (0..names.len()).collect();
    let mut table = Table::from_batch(rows.read(&columns, 0..rows.count()).map_err(refused)?);
    let times = table.numbers(time)?;
    let (field, array) = columns::from_numbers("time", times);
    table = table.with_column(field, array)?;
    if !names.iter().any(|name| name == "label") {
        // The first column of texts says what an event is.
        let texts = rows.schema().fields().iter().position(|field| matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8));
        let labels = match texts.and_then(|column| names.get(column)) {
            Some(column) => table.texts(column)?,
            None => vec!["event".to_owned(); table.rows()],
        };
        let (field, array) = columns::from_texts("label", &labels);
        table = table.with_column(field, array)?;
    }
    Ok(Some(Events::from_table(table)?))
}
