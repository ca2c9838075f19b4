//! What extends what: the neurodata types of the core, and those of the namespaces that a file carries.

use crate::hdf5::tree::{Object, Sort, Tree};
use serde::Deserialize;
use std::collections::HashMap;

/// Types of the core and what they extend, for files that carry no namespaces.
const CORE: &[(&str, &str)] = &[
    ("AbstractFeatureSeries", "TimeSeries"),
    ("AlignedDynamicTable", "DynamicTable"),
    ("AnnotationSeries", "TimeSeries"),
    ("CurrentClampSeries", "PatchClampSeries"),
    ("CurrentClampStimulusSeries", "PatchClampSeries"),
    ("DecompositionSeries", "TimeSeries"),
    ("ElectricalSeries", "TimeSeries"),
    ("ElectrodesTable", "DynamicTable"),
    ("ExperimentalConditionsTable", "DynamicTable"),
    ("FrequencyBandsTable", "DynamicTable"),
    ("IZeroClampSeries", "CurrentClampSeries"),
    ("ImageMaskSeries", "ImageSeries"),
    ("ImageSeries", "TimeSeries"),
    ("IndexSeries", "TimeSeries"),
    ("IntervalSeries", "TimeSeries"),
    ("IntracellularElectrodesTable", "DynamicTable"),
    ("IntracellularRecordingsTable", "AlignedDynamicTable"),
    ("IntracellularResponsesTable", "DynamicTable"),
    ("IntracellularStimuliTable", "DynamicTable"),
    ("OnePhotonSeries", "ImageSeries"),
    ("OpticalSeries", "ImageSeries"),
    ("OptogeneticSeries", "TimeSeries"),
    ("PatchClampSeries", "TimeSeries"),
    ("PlaneSegmentation", "DynamicTable"),
    ("RepetitionsTable", "DynamicTable"),
    ("RoiResponseSeries", "TimeSeries"),
    ("SequentialRecordingsTable", "DynamicTable"),
    ("SimultaneousRecordingsTable", "DynamicTable"),
    ("SpatialSeries", "TimeSeries"),
    ("SpikeEventSeries", "ElectricalSeries"),
    ("SweepTable", "DynamicTable"),
    ("TimeIntervals", "DynamicTable"),
    ("TwoPhotonSeries", "ImageSeries"),
    ("Units", "DynamicTable"),
    ("VoltageClampSeries", "PatchClampSeries"),
    ("VoltageClampStimulusSeries", "PatchClampSeries"),
];

/// Bytes of namespaces that are read.
const MOST: usize = 16 << 20;
/// Steps from a type to what it extends at most.
const STEPS: usize = 64;

/// The part of a specification that says what extends what.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Specification {
    #[serde(alias = "data_type_def")]
    neurodata_type_def: Option<String>,
    #[serde(alias = "data_type_inc")]
    neurodata_type_inc: Option<String>,
    groups: Vec<Specification>,
    datasets: Vec<Specification>,
}

/// Neurodata types by what they extend.
#[derive(Debug, Default)]
pub(super) struct Types {
    parents: HashMap<String, String>,
}

impl Types {
    /// The core's types and those that the file carries.
    pub fn read(tree: &Tree, notes: &mut Vec<String>) -> Types {
        let mut types = Types { parents: CORE.iter().map(|(name, parent)| ((*name).to_owned(), (*parent).to_owned())).collect() };
        let mut left = MOST;
        for object in tree.objects.iter().filter(|object| object.path.starts_with("specifications/")) {
            let Sort::Dataset(dataset) = &object.sort else { continue };
            if object.path.ends_with("/namespace") || dataset.count() != 1 || !dataset.datatype.is_text() {
                continue;
            }
            let mut budget = tree.budget();
            let text =
                tree.texts(&object.path, dataset, &dataset.everything(), &mut budget).ok().flatten().and_then(|mut texts| texts.pop());
            let Some(text) = text.filter(|text| text.len() <= left) else {
                notes.push(format!("the specification `/{}` was left out", object.path));
                continue;
            };
            left -= text.len();
            match serde_json::from_str::<Specification>(&text) {
                Ok(specification) => types.add(&specification),
                Err(error) => notes.push(format!("the specification `/{}` is damaged: {error}", object.path)),
            }
        }
        types
    }

    fn add(&mut self, specification: &Specification) {
        if let (Some(own), Some(parent)) = (&specification.neurodata_type_def, &specification.neurodata_type_inc) {
            self.parents.insert(own.clone(), parent.clone());
        }
        specification.groups.iter().chain(&specification.datasets).for_each(|below| self.add(below));
    }

    /// Whether a type is `ancestor` or extends it.
    pub fn is(&self, own: &str, ancestor: &str) -> bool {
        let mut own = own;
        for _ in 0..STEPS {
            if own == ancestor {
                return true;
            }
            match self.parents.get(own) {
                Some(parent) => own = parent,
                None => return false,
            }
        }
        false
    }

    /// Whether an object's type is `ancestor` or extends it.
    pub fn of(&self, tree: &Tree, object: &Object, ancestor: &str) -> bool {
        tree.text(object, "neurodata_type").is_some_and(|own| self.is(&own, ancestor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_followed_and_circles_end() {
        let mut types = Types { parents: CORE.iter().map(|(name, parent)| ((*name).to_owned(), (*parent).to_owned())).collect() };
        let text = r#"{"groups":[{"neurodata_type_def":"Mine","neurodata_type_inc":"ElectricalSeries","doc":"x",
            "groups":[{"data_type_def":"Inner","data_type_inc":"Mine"}]},{"neurodata_type_def":"A","neurodata_type_inc":"B"}],
            "datasets":[{"neurodata_type_def":"B","neurodata_type_inc":"A"}]}"#;
        types.add(&serde_json::from_str(text).unwrap());
        assert!(types.is("Inner", "TimeSeries") && types.is("Mine", "ElectricalSeries"));
        assert!(!types.is("A", "TimeSeries") && !types.is("Units", "TimeSeries"));
    }
}
