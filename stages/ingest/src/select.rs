//! `ingest.select`: some units of spikes or responses, or some channels of a recording.
//!
//! For what: units that pass a quality criterion, channels of one kind or place. Promises: what is chosen keeps its order and everything that is known of it.
//! Refuses: names that are not there, conditions that do not fit the columns, and a choice of nothing.

use crate::condition::{chosen, rows_where};
use crate::subset::of_units;
use neuroflow_data::{Axis, Coordinates, DataError, Kind, Recording, Responses, Spikes, Table, Typed, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stage `ingest.select`.
pub struct Select;

params! {
    /// Parameters of `ingest.select`.
    pub struct SelectParams {
        /// Units or channels with these names; `*` and `?` stand for any characters and one. All when empty.
        names: Vec<String> = Value::List(Vec::new());
        /// Units or channels that fit this condition on their columns, such as `contamination < 0.1 and area = 'VISp'`. All when empty.
        r#where: String = "";
    }
}

const DOC: &str = r#"Keeps the units of spikes or responses, or the channels of a recording, that have one of `names` and fit `where`. A condition compares
columns: of spikes, those that the file has of its units; of responses, the properties of units; of a recording `channel`, `role`, `unit`, `rate`. A table given
beside, such as that of `ingest.quality`, adds its columns by its column `unit` (or `channel`), and must have a row for each of them.

Conditions: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in [...]`, `like` with `*` and `?`; `not`, `and`, `or` and parentheses; texts stand in single quotes, names of
columns with spaces in back quotes. A gap fits no comparison.

```nf
pipeline good "Only well isolated units"
session = ingest.simulate_signals()
quality = ingest.quality(session.spikes)
good = ingest.select(session.spikes, quality, where = "contamination < 0.1 and firing_rate > 0.5")
report good { good }
```"#;

impl Stage for Select {
    type Params = SelectParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.select",
            version: 1,
            summary: "Keeps some units or channels, by name or by a condition.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("data", &[Kind::Spikes, Kind::Recording, Kind::Responses], "", "What has units or channels."),
                InputSpec::optional("table", &[Kind::Table], "", "More columns of the units or channels, such as their quality."),
            ],
            outputs: vec![OutputSpec::like("selected", "data", Kind::Spikes, "", "The chosen units or channels.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SelectParams, _context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("data").ok_or_else(|| StageError::Bug("input `data` was not given".into()))?;
        let more: Option<Table> = inputs.optional("table")?;
        match given.kind() {
            Kind::Spikes => {
                let spikes = Spikes::from_artifact(given)?;
                let places = choose(&spikes.session, "unit", spikes.units().clone(), more.as_ref(), params)?;
                Outputs::new().with("selected", spikes.select(&places)?)
            }
            Kind::Responses => {
                let responses = Responses::from_artifact(given)?;
                let places = choose(&responses.session, "unit", of_axis(responses.units())?, more.as_ref(), params)?;
                let signals: Vec<usize> = (0..responses.covariates().map_or(0, |signals| signals.shape()[1])).collect();
                Outputs::new().with("selected", of_units(&responses, &places, &signals)?)
            }
            _ => {
                let recording = Recording::from_artifact(given)?;
                let places = choose(&recording.session, "channel", of_channels(&recording)?, more.as_ref(), params)?;
                let pick = |&place: &usize| recording.channel(place).map(|(channel, samples)| (channel.clone(), samples.clone()));
                let picked = places.iter().filter_map(pick).collect();
                Outputs::new().with("selected", crate::recorded::rebuilt(&recording, picked)?)
            }
        }
    }
}

/// The positions of what is chosen.
fn choose(session: &str, what: &str, table: Table, more: Option<&Table>, params: &SelectParams) -> Result<Vec<usize>, StageError> {
    let names = table.texts(what)?;
    let table = match more {
        Some(more) => joined(session, what, table, &names, more)?,
        None => table,
    };
    let mut places = chosen(&names, &params.names, session, what)?;
    let fits = rows_where(&table, &params.r#where, &format!("the {what}s of session `{session}`"))?;
    places.retain(|place| fits.binary_search(place).is_ok());
    if places.is_empty() {
        return Err(StageError::refused_with_help(
            format!("session `{session}`: none of {} {what}s is chosen", names.len()),
            "loosen `names` and `where`",
        ));
    }
    Ok(places)
}

/// The table with the columns of another, row by row of the same name.
fn joined(session: &str, what: &str, table: Table, names: &[String], more: &Table) -> Result<Table, StageError> {
    let columns = more.column_names();
    let Some(key) = ["unit", "channel"]
        .into_iter()
        .find(|key| columns.iter().any(|column| column == key) && (*key == what || !columns.iter().any(|column| column == what)))
    else {
        return Err(StageError::refused_with_help(
            format!(
                "the table has no column `{what}`; it has {}",
                columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
            format!("give a table with a row for each {what}, such as that of `ingest.quality`"),
        ));
    };
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for (row, name) in more.texts(key)?.into_iter().enumerate() {
        if let Some(first) = rows.insert(name.clone(), row) {
            return Err(StageError::refused(format!("the table has `{name}` twice, in rows {first} and {row} (counted from 0)")));
        }
    }
    let order: Result<Vec<usize>, StageError> = names
        .iter()
        .map(|name| {
            rows.get(name).copied().ok_or_else(|| {
                let message = format!("the table has no row for {what} `{name}` of session `{session}`");
                StageError::refused_with_help(message, "give the table that was made of the same data")
            })
        })
        .collect();
    let ordered = more.select(&order?)?;
    let mut table = table;
    for (field, array) in ordered.batch().schema().fields().iter().zip(ordered.batch().columns()).filter(|(field, _)| field.name() != key) {
        table = table.with_column(field.as_ref().clone(), Arc::clone(array))?;
    }
    Ok(table)
}

/// A unit axis as a table.
fn of_axis(axis: &Axis) -> Result<Table, DataError> {
    let names: Vec<String> = (0..axis.len()).map(|unit| axis.coordinates.label(unit)).collect();
    let mut pairs = vec![columns::from_texts("unit", &names)];
    for (name, values) in axis.properties.iter().filter(|(name, _)| name != "unit") {
        pairs.push(match values {
            Coordinates::Numbers(numbers) => columns::from_numbers(name, numbers.clone()),
            Coordinates::Labels(labels) => columns::from_texts(name, labels),
            Coordinates::Count(n) => columns::from_integers(name, (0..*n).map(|place| i64::try_from(place).unwrap_or(i64::MAX)).collect()),
        });
    }
    Table::from_columns(pairs)
}

/// What is known of channels as a table.
fn of_channels(recording: &Recording) -> Result<Table, DataError> {
    let texts =
        |name: &str, of: fn(&neuroflow_data::Channel) -> &str| columns::from_texts(name, &recording.channels().map(of).collect::<Vec<_>>());
    Table::from_columns(vec![
        texts("channel", |channel| &channel.name),
        texts("role", |channel| &channel.role),
        texts("unit", |channel| &channel.unit),
        columns::from_numbers("rate", recording.channels().map(|channel| channel.rate).collect()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{artifact, list, recording, run_with, said, session, spikes};

    #[test]
    fn units_are_chosen_by_their_columns_and_by_those_of_a_table() {
        let spikes = spikes(&[vec![1.0], vec![2.0, 3.0], vec![4.0]], &[(0.0, 9.0)]);
        let quality = Table::from_columns(vec![
            columns::from_texts("unit", &["c", "a", "b"]),
            columns::from_optional_numbers("rate", vec![Some(5.0), Some(0.1), None]),
        ])
        .unwrap();
        let names = |given: &[(&str, neuroflow_data::Artifact)], params: &[(&str, Value)]| {
            run_with(&Select, given, params).unwrap().one::<Spikes>("selected").unwrap().names()
        };
        let alone = [("data", artifact(&spikes))];
        assert_eq!(names(&alone, &[("where", "area = 'VISp'".into())]), ["a", "c"]);
        assert_eq!(names(&alone, &[("names", list(&["c", "b"]))]), ["b", "c"]);
        let both = [("data", artifact(&spikes)), ("table", artifact(&quality))];
        assert_eq!(names(&both, &[("where", "rate > 1 or area = 'VISl'".into())]), ["b", "c"]);
        assert_eq!(names(&both, &[("where", "not rate > 1".into()), ("names", list(&["a"]))]), ["a"]);
        assert!(said(run_with(&Select, &both, &[("where", "rate > 10".into())])).contains("none of 3 units is chosen"));
        let few = [("data", artifact(&spikes)), ("table", artifact(&quality.select(&[0, 1]).unwrap()))];
        assert!(said(run_with(&Select, &few, &[])).contains("no row for unit `b` of session `spiking`"));
        let twice = [("data", artifact(&spikes)), ("table", artifact(&quality.select(&[0, 1, 2, 1]).unwrap()))];
        assert!(said(run_with(&Select, &twice, &[])).contains("has `a` twice, in rows 1 and 3"));
        let other = Table::from_columns(vec![columns::from_numbers("x", vec![1.0])]).unwrap();
        assert!(
            said(run_with(&Select, &[("data", artifact(&spikes)), ("table", artifact(&other))], &[]))
                .contains("no column `unit`; it has `x`")
        );
    }

    #[test]
    fn channels_and_units_of_responses_keep_what_belongs_to_them() {
        let recording = recording(10.0, &[vec![1.0], vec![2.0], vec![3.0]]);
        let given = [("data", artifact(&recording))];
        let found: Recording = run_with(&Select, &given, &[("where", "channel != 'C2' and role = 'eeg' and rate >= 10".into())])
            .unwrap()
            .one("selected")
            .unwrap();
        assert_eq!((found.len(), found.values(1, 0..1), &found.sources), (2, vec![3.0], &recording.sources));
        let responses = session(&[0.0], 3, vec![1.0, 2.0, 3.0], 1);
        let given = [("data", artifact(&responses))];
        let found: Responses = run_with(&Select, &given, &[("names", list(&["neuron3"]))]).unwrap().one("selected").unwrap();
        assert_eq!(found.values().values(), [3.0]);
    }
}
