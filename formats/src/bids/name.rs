//! File names: entities, suffix and extension.
//!
//! `sub-01_task-rest_run-02_bold.nii.gz` has the entities `sub`, `task` and `run`, the suffix `bold` and the extension `.nii.gz` (BIDS 1.10,
//! "Common principles: Filenames" and appendix "Entities").

/// An entity of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity {
    /// As it stands in file names: `acq`.
    pub short: &'static str,
    /// Its name: `acquisition`.
    pub long: &'static str,
    /// Whether its values are whole numbers, so that `1` and `01` are equal; labels otherwise.
    pub index: bool,
    /// The only values that it may have; empty when any label will do.
    pub values: &'static [&'static str],
}

const fn label(short: &'static str, long: &'static str) -> Entity {
    Entity { short, long, index: false, values: &[] }
}

const fn index(short: &'static str, long: &'static str) -> Entity {
    Entity { short, long, index: true, values: &[] }
}

const fn one_of(short: &'static str, long: &'static str, values: &'static [&'static str]) -> Entity {
    Entity { short, long, index: false, values }
}

/// All entities, in the order in which they must stand in a file name (appendix "Entity table").
pub const ENTITIES: &[Entity] = &[
    label("sub", "subject"),
    label("tpl", "template"),
    label("ses", "session"),
    label("cohort", "cohort"),
    label("sample", "sample"),
    label("task", "task"),
    label("tracksys", "tracksys"),
    label("acq", "acquisition"),
    label("nuc", "nucleus"),
    label("voi", "volume"),
    label("ce", "ceagent"),
    label("trc", "tracer"),
    label("stain", "stain"),
    label("rec", "reconstruction"),
    label("dir", "direction"),
    index("run", "run"),
    label("mod", "modality"),
    index("echo", "echo"),
    index("flip", "flip"),
    index("inv", "inversion"),
    one_of("mt", "mtransfer", &["on", "off"]),
    one_of("part", "part", &["mag", "phase", "real", "imag"]),
    label("proc", "processing"),
    one_of("hemi", "hemisphere", &["L", "R"]),
    label("space", "space"),
    index("split", "split"),
    label("recording", "recording"),
    index("chunk", "chunk"),
    label("atlas", "atlas"),
    label("seg", "segmentation"),
    label("scale", "scale"),
    label("res", "resolution"),
    label("den", "density"),
    label("label", "label"),
    label("desc", "description"),
];

/// The folders in which data files stand, named after what they hold (section "Common principles: Definitions", "Data type").
pub const DATATYPES: &[&str] =
    &["anat", "beh", "dwi", "eeg", "emg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mrs", "nirs", "perf", "pet", "phenotype"];

/// The entity that a word names, short or long.
pub fn entity(word: &str) -> Option<&'static Entity> {
    ENTITIES.iter().find(|entity| entity.short == word || entity.long == word)
}

/// The place of an entity in file names, by its short name.
pub(super) fn place(short: &str) -> Option<usize> {
    ENTITIES.iter().position(|entity| entity.short == short)
}

/// Whether two values of an entity mean the same.
pub(super) fn same(short: &str, one: &str, other: &str) -> bool {
    one == other || (entity(short).is_some_and(|entity| entity.index) && number(one).is_some_and(|value| number(other) == Some(value)))
}

/// The number that an index stands for.
pub(super) fn number(value: &str) -> Option<i64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if digits { value.parse().ok() } else { None }
}

/// A file name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name {
    /// Short names and values, in the order of the file name.
    pub entities: Vec<(String, String)>,
    /// What the file holds: `bold`, `eeg`, `events`; empty when the name has none.
    pub suffix: String,
    /// From the first dot on, with the dot; a folder that counts as a file ends in `/`.
    pub extension: String,
    /// Parts that are neither an entity nor the suffix.
    pub odd: Vec<String>,
}

impl Name {
    /// Takes the last part of a path apart. Nothing is refused here: what does not follow the rules is in `odd`, or an entity nobody knows.
    pub fn of(file: &str) -> Name {
        let (file, folder) = file.strip_suffix('/').map_or((file, ""), |file| (file, "/"));
        let dot = file.find('.').unwrap_or(file.len());
        let (stem, extension) = file.split_at_checked(dot).unwrap_or((file, ""));
        let mut name = Name { extension: format!("{extension}{folder}"), ..Name::default() };
        let mut parts = stem.split('_').peekable();
        while let Some(part) = parts.next() {
            match part.split_once('-') {
                Some((key, value)) => name.entities.push((key.to_owned(), value.to_owned())),
                None if parts.peek().is_none() => part.clone_into(&mut name.suffix),
                None => name.odd.push(part.to_owned()),
            }
        }
        name
    }

    /// The value of an entity, by its short name.
    pub fn get(&self, short: &str) -> Option<&str> {
        self.entities.iter().find(|(key, _)| key == short).map(|(_, value)| value.as_str())
    }

    /// Whether the name follows the scheme at all: a suffix, and an entity that the specification knows.
    pub fn is_bids(&self) -> bool {
        !self.suffix.is_empty() && self.entities.iter().any(|(key, _)| place(key).is_some())
    }

    /// Whether all entities of this name, but for those in `but`, stand in `other` with equal values.
    pub(super) fn within(&self, other: &Name, but: &[&str]) -> bool {
        let stands =
            |(key, value): &(String, String)| but.contains(&key.as_str()) || other.get(key).is_some_and(|found| same(key, value, found));
        self.entities.iter().all(stands) && self.odd.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_into_entities_suffix_and_extension() {
        let name = Name::of("sub-01_task-rest_run-02_bold.nii.gz");
        assert_eq!(name.get("sub"), Some("01"));
        assert_eq!((name.suffix.as_str(), name.extension.as_str()), ("bold", ".nii.gz"));
        assert!(name.is_bids() && name.odd.is_empty());
        assert_eq!(Name::of("sub-01_meg.ds/").extension, ".ds/");
        assert_eq!(Name::of("sub-01_meg/").extension, "/");
        assert_eq!(Name::of("sub-01_rest_bold.nii").odd, ["rest"]);
        assert!(!Name::of("README").is_bids() && !Name::of(".bidsignore").is_bids() && !Name::of("").is_bids());
    }

    #[test]
    fn indices_are_equal_as_numbers_and_labels_as_text() {
        assert!(same("run", "1", "01") && !same("acq", "1", "01") && !same("run", "1", "a"));
        assert!(Name::of("task-rest_run-1_bold.json").within(&Name::of("sub-01_task-rest_run-01_bold.nii"), &[]));
        assert!(!Name::of("acq-a_bold.json").within(&Name::of("sub-01_task-rest_bold.nii"), &[]));
    }

    #[test]
    fn no_entity_stands_twice_in_the_list() {
        for (position, entity) in ENTITIES.iter().enumerate() {
            assert_eq!(place(entity.short), Some(position));
            assert!(ENTITIES.iter().filter(|other| other.long == entity.long || other.short == entity.long).count() == 1);
        }
    }
}
