//! Spike times by unit.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, PrimitiveArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Float64Type};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Units with a row each: what is known of them (`unit`, and columns such as `area` or `quality`), and their spikes.
///
/// Times are in seconds on the recording's clock and do not fall within a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Spikes {
    /// The session's name, for messages; empty when it has none.
    pub session: String,
    units: Table,
    offsets: OffsetBuffer<i64>,
    times: ScalarBuffer<f64>,
    /// When units were looked at, as pairs of begin and end in seconds; empty when the file does not say.
    pub observed: Vec<(f64, f64)>,
    /// See [`Meta::sources`].
    pub sources: BTreeSet<String>,
}

const TIMES: &str = "spike_times";
const OBSERVED: &str = "observed";
const SESSION: &str = "session";

impl Spikes {
    /// Spikes of units. `units` has a row for each and a column `unit` with names; `ends` says where each unit's times end in `times`.
    ///
    /// # Errors
    /// When lengths do not fit, a column is named like an internal one, two units have one name, or a unit's times are not finite or fall.
    pub fn new(session: impl Into<String>, units: Table, ends: &[usize], times: impl Into<ScalarBuffer<f64>>) -> Result<Spikes, DataError> {
        let times = times.into();
        if ends.len() != units.rows() {
            return Err(DataError::WrongLength { what: "units".into(), expected: units.rows(), found: ends.len() });
        }
        let starts = std::iter::once(&0).chain(ends);
        if starts.zip(ends).any(|(start, end)| start > end) || ends.last().copied().unwrap_or(0) != times.len() {
            return Err(DataError::Invalid("the units' spikes do not add up to the list of spike times".into()));
        }
        let lengths = ends.iter().scan(0usize, |start, &end| Some(end - std::mem::replace(start, end)));
        Spikes::from_parts(session.into(), units, OffsetBuffer::from_lengths(lengths), times)
    }

    fn from_parts(session: String, units: Table, offsets: OffsetBuffer<i64>, times: ScalarBuffer<f64>) -> Result<Spikes, DataError> {
        let names = units.texts("unit")?;
        if let Some(taken) = units.column_names().into_iter().find(|name| name == TIMES) {
            return Err(DataError::Invalid(format!("a column of units can't be named `{taken}`")));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(DataError::Invalid(format!("unit `{twice}` is there twice")));
        }
        let spikes = Spikes { session, units, offsets, times, observed: Vec::new(), sources: BTreeSet::new() };
        for (unit, name) in names.iter().enumerate() {
            let own = spikes.times(unit);
            if let Some(spike) = own.iter().position(|time| !time.is_finite()) {
                return Err(DataError::Invalid(format!("spike {spike} of unit `{name}` has no finite time")));
            }
            if let Some(spike) = own.windows(2).position(|pair| pair[0] > pair[1]) {
                return Err(DataError::Invalid(format!("spike {} of unit `{name}` is earlier than the one before it", spike + 1)));
            }
        }
        Ok(spikes)
    }

    /// The number of units.
    pub fn len(&self) -> usize {
        self.units.rows()
    }

    /// Whether there is no unit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of the units, one row each.
    pub fn units(&self) -> &Table {
        &self.units
    }

    /// The names of the units.
    pub fn names(&self) -> Vec<String> {
        self.units.texts("unit").unwrap_or_default()
    }

    /// A unit's spike times in seconds; empty past the last unit.
    pub fn times(&self, unit: usize) -> &[f64] {
        let at = |place: usize| self.offsets.get(place).and_then(|&offset| usize::try_from(offset).ok());
        match (at(unit), at(unit + 1)) {
            (Some(start), Some(end)) => self.times.get(start..end).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// The spikes of all units, one unit after the other.
    pub fn all_times(&self) -> &[f64] {
        &self.times
    }

    /// Some of the units, in the order of `positions`.
    ///
    /// # Errors
    /// When a position is past the end or there twice.
    pub fn select(&self, positions: &[usize]) -> Result<Spikes, DataError> {
        let units = self.units.select(positions)?;
        let mut times = Vec::with_capacity(positions.iter().map(|&unit| self.times(unit).len()).sum());
        let mut ends = Vec::with_capacity(positions.len());
        for &unit in positions {
            times.extend_from_slice(self.times(unit));
            ends.push(times.len());
        }
        let mut selected = Spikes::new(self.session.clone(), units, &ends, times)?;
        selected.observed.clone_from(&self.observed);
        selected.sources.clone_from(&self.sources);
        Ok(selected)
    }
}

impl Typed for Spikes {
    const KIND: Kind = Kind::Spikes;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let item = Arc::new(Field::new("item", DataType::Float64, false));
        let values = Arc::new(PrimitiveArray::<Float64Type>::new(self.times, None));
        let list: ArrayRef = Arc::new(LargeListArray::try_new(item, self.offsets, values, None)?);
        let table = self.units.with_column(Field::new(TIMES, list.data_type().clone(), false), list)?;
        let mut meta = Meta { unit: Some("s".into()), sources: self.sources, ..Meta::default() };
        meta.attributes.insert(SESSION.into(), self.session.into());
        if !self.observed.is_empty() {
            meta.attributes.insert(OBSERVED.into(), serde_json::json!(self.observed));
        }
        Ok(Artifact::from_batch(Kind::Spikes, table.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Spikes, DataError> {
        let batch = artifact.batch_of(Kind::Spikes)?;
        let array = columns::column(batch, TIMES)?;
        let wrong = || DataError::ColumnType {
            column: TIMES.into(),
            expected: "a list of times for each unit",
            found: array.data_type().to_string(),
        };
        let list = array.as_list_opt::<i64>().filter(|list| list.null_count() == 0).ok_or_else(wrong)?;
        let values = list.values().as_primitive_opt::<Float64Type>().filter(|values| values.null_count() == 0).ok_or_else(wrong)?;
        let keep: Vec<usize> = (0..batch.num_columns()).filter(|&column| batch.schema().field(column).name() != TIMES).collect();
        let session = artifact.meta().attributes.get(SESSION).and_then(|name| name.as_str()).unwrap_or_default();
        let units = Table::from_batch(batch.project(&keep)?);
        let mut spikes = Spikes::from_parts(session.into(), units, list.offsets().clone(), values.values().clone())?;
        if let Some(observed) = artifact.meta().attributes.get(OBSERVED) {
            spikes.observed = serde_json::from_value(observed.clone()).map_err(|error| DataError::Decode(error.to_string()))?;
        }
        spikes.sources.clone_from(&artifact.meta().sources);
        Ok(spikes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::Buffer;

    fn units(names: &[&str]) -> Table {
        Table::from_columns(vec![columns::from_texts("unit", names)]).unwrap()
    }

    #[test]
    fn spikes_come_back_from_their_bytes_and_can_be_chosen() {
        let mut spikes = Spikes::new("s1", units(&["a", "b", "c"]), &[2, 2, 5], vec![0.1, 0.2, 0.0, 1.0, 1.0]).unwrap();
        spikes.observed = vec![(0.0, 2.5)];
        let bytes = spikes.clone().into_artifact().unwrap().encode().unwrap();
        let back = Spikes::from_artifact(&Artifact::decode(Kind::Spikes, &Buffer::from_vec(bytes)).unwrap()).unwrap();
        assert_eq!(back, spikes);
        assert_eq!((back.times(0), back.times(1), back.times(2)), (&[0.1, 0.2][..], &[][..], &[0.0, 1.0, 1.0][..]));
        let chosen = back.select(&[2, 0]).unwrap();
        assert_eq!(
            (chosen.names(), chosen.times(0), chosen.times(1)),
            (vec!["c".to_owned(), "a".to_owned()], back.times(2), back.times(0))
        );
    }

    #[test]
    fn what_are_no_spikes_is_refused() {
        let said = |names: &[&str], ends: &[usize], times: Vec<f64>| Spikes::new("s", units(names), ends, times).unwrap_err().to_string();
        assert_eq!(said(&["a"], &[1], vec![0.1, 0.2]), "the units' spikes do not add up to the list of spike times");
        assert_eq!(said(&["a"], &[2], vec![0.2, 0.1]), "spike 1 of unit `a` is earlier than the one before it");
        assert_eq!(said(&["a", "a"], &[1, 2], vec![0.2, 0.1]), "unit `a` is there twice");
    }
}
