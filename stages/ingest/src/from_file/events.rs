//! `ingest.events`: markers, annotations and tables of intervals become events.

use super::{Damaged, Unsaid, document, refused};
use arrow::datatypes::DataType;
use neuroflow_data::{Events, Kind, Payload, Table, Typed, columns};
use neuroflow_formats::{Document, What};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

/// What the manual says of the input.
const FILE_OR_TABLE: &str =
    "A file, or several that belong together, as a reader gives them: `edf(\"…\")`, `nwb(\"…\")`, …; or a table with times.";

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
intervals of NWB such as `intervals/trials`, with their columns of one value for an event (`ingest.table` has the others too). A table as text or in a workbook
does too, or one that a step gives: `time`, `onset` or `start_time` are its times, and the first column of texts its labels, unless `time` and `label` name
others. Events without a time are refused; `damaged = accept` leaves them out.

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
            version: 4,
            summary: "Reads markers, annotations or intervals from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir, Kind::Table], "", FILE_OR_TABLE)],
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
        let accept = params.damaged == Damaged::Accept {};
        let mut events = match inputs.artifact("file") {
            Some(table) if matches!(table.payload(), Payload::Batch(_)) => {
                of_table(Table::from_artifact(table)?, &params.time, accept)?.ok_or_else(|| without_times(&params.time))?
            }
            _ => {
                let document = document(inputs, &Unsaid { reader: Some("csv"), damaged: params.damaged.clone(), ..Unsaid::default() })?;
                // A table with times is a table of events, whatever its format; what the format itself calls events comes first.
                match (document.events(&params.of), params.time.as_str()) {
                    (Ok(events), "") => events,
                    (told, time) => match of_document(document.as_ref(), &params.of, time, accept)? {
                        Some(events) => events,
                        None => return Err(refused(told.err().unwrap_or_else(|| document.contents().none("events", &params.of)))),
                    },
                }
            }
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

/// Events out of a table of a document; none when there is no such table, or it has no times.
fn of_document(document: &dyn Document, of: &str, time: &str, accept: bool) -> Result<Option<Events>, StageError> {
    // The samples of a recording have times as well, and are no events.
    if document.signals(of).is_ok() {
        return Ok(None);
    }
    let path = document.contents().path_of(of, "events", |what| matches!(what, What::Events { .. })).unwrap_or(of);
    let Ok(rows) = document.rows(path) else { return Ok(None) };
    let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
    of_table(Table::from_batch(rows.read(&columns, 0..rows.count()).map_err(refused)?), time, accept)
}

/// Events out of a table: its column of times is `time`, its columns `duration` and `label` stay, and so do all others. None when it has no times. Rows
/// without a time are left out where that is accepted.
fn of_table(mut table: Table, time: &str, accept: bool) -> Result<Option<Events>, StageError> {
    let names = table.column_names();
    let wanted = |name: &&String| if time.is_empty() { TIMES.contains(&name.as_str()) } else { *name == time };
    let Some(time) = names.iter().find(wanted) else { return Ok(None) };
    let mut times = table.numbers(time)?;
    let timed: Vec<usize> = (0..times.len()).filter(|row| times.get(*row).is_some_and(|time| time.is_finite())).collect();
    if timed.len() < times.len() && !accept {
        let first = timed.iter().zip(0..).find(|(row, position)| **row != *position).map_or(timed.len(), |(_, position)| position);
        let missing = times.len() - timed.len();
        return Err(StageError::refused_with_help(
            format!("row {} (counted from 1) has no `{time}`; {missing} of {} rows have none", first + 1, times.len()),
            "fill in the times, or write `damaged = accept` to leave out events without one",
        ));
    }
    if timed.len() < times.len() {
        table = table.select(&timed)?;
        times.retain(|time| time.is_finite());
    }
    let (field, array) = columns::from_numbers("time", times);
    table = table.with_column(field, array)?;
    if !names.iter().any(|name| name == "label") {
        // The first column of texts says what an event is.
        let schema = table.batch().schema();
        let texts = schema.fields().iter().find(|field| matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8));
        let labels = match texts {
            Some(column) => table.texts(column.name())?,
            None => vec!["event".to_owned(); table.rows()],
        };
        let (field, array) = columns::from_texts("label", &labels);
        table = table.with_column(field, array)?;
    }
    Ok(Some(Events::from_table(table)?))
}

fn without_times(time: &str) -> StageError {
    let wanted = if time.is_empty() { format!("`{}`", TIMES.join("`, `")) } else { format!("`{time}`") };
    StageError::refused_with_help(format!("the table has no column of times ({wanted})"), "name it: `time = \"…\"`, in seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run_on;

    fn table() -> Table {
        let times = columns::from_optional_numbers("onset", vec![Some(0.5), None, Some(f64::NAN), Some(2.0)]);
        Table::from_columns(vec![times, columns::from_texts("cue", &["a", "b", "c", "d"])]).unwrap()
    }

    #[test]
    fn a_row_without_a_time_is_refused_or_left_out_as_told() {
        let error = of_table(table(), "", false).unwrap_err();
        assert_eq!(error.to_string(), "row 2 (counted from 1) has no `onset`; 2 of 4 rows have none");
        let events = of_table(table(), "", true).unwrap().unwrap();
        assert_eq!((events.times(), events.labels()), (vec![0.5, 2.0], vec!["a".to_owned(), "d".to_owned()]));
    }

    #[test]
    fn the_result_of_a_step_is_a_table_of_events_when_it_has_times() {
        let mut inputs = Inputs::new();
        inputs.push("file", "", table().select(&[0, 3]).unwrap().into_artifact().unwrap());
        let run = |time: &str| run_on(&EventsOfFile, &inputs, &[("time", Value::Text(time.into()))], &Context::quiet(0));
        assert_eq!(run("").unwrap().one::<Events>("events").unwrap().labels(), ["a", "d"]);
        assert_eq!(run("when").unwrap_err().to_string(), "the table has no column of times (`when`)");
    }
}
