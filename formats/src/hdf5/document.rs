//! An HDF5 file as a document: groups, datasets and attributes under their paths.

use super::attribute::Attribute as Stored;
use super::dataset::Dataset;
use super::datatype::Class;
use super::file::{in_object, too_much};
use super::group::Target;
use super::table::DatasetRows;
use super::tree::{Object, Sort, Tree, join};
use super::values::{Elements, arrow_type};
use crate::document::{Contents, Document, Item, Rows, What};
use crate::packing::{Attribute, Packing};
use crate::reading::type_word;
use neuroflow_data::formats::{Budget, Format, FormatError, Place};
use neuroflow_data::{Axis, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Characters of a value that are shown among the contents.
const SHOWN: usize = 1000;

/// An opened HDF5 file.
///
/// Items are groups, datasets under their paths, and attributes under `path@name`. A dataset of numbers is an array for [`Document::tensor`]; every
/// dataset of one axis, and of numbers or texts of two, has [`Document::rows`]: a column for each member of a compound, otherwise one named like the
/// dataset, or `column_1`, `column_2`, … for two axes. Numbers that attributes pack, as those of netCDF do, are unpacked in both.
#[derive(Debug)]
pub struct Hdf5Document {
    tree: Arc<Tree>,
    contents: Contents,
}

impl Hdf5Document {
    pub(crate) fn new(tree: Tree) -> Result<Hdf5Document, FormatError> {
        let tree = Arc::new(tree);
        let mut contents = Contents::new(Format::Hdf5, format!("superblock {}", tree.file.version));
        contents.notes.clone_from(&tree.notes);
        contents.damage.extend(tree.file.cut_short.clone());
        let mut budget = Budget::new(tree.file.len().saturating_add(16 << 20));
        if let Some(root) = tree.root() {
            list(&tree, root, &mut contents, &mut budget)?;
        }
        Ok(Hdf5Document { tree, contents })
    }

    fn dataset(&self, path: &str, word: &str) -> Result<(&Object, &Dataset), FormatError> {
        let path = path.trim_matches('/');
        let only = |item: &&Item| matches!(item.what, What::Array { .. } | What::Table { .. });
        let path = match path {
            "" => {
                let mut all = self.contents.items.iter().filter(only);
                match (all.next(), all.next()) {
                    (Some(item), None) => item.path.as_str(),
                    _ => return Err(self.contents.none(word, path)),
                }
            }
            path => path,
        };
        match self.tree.find(path).map(|object| (object, &object.sort)) {
            Some((object, Sort::Dataset(dataset))) => Ok((object, dataset)),
            Some((_, Sort::Unread(error))) => Err(error.clone()),
            _ => Err(self.contents.none(word, path)),
        }
    }
}

/// Adds what is in a group, each object under the first path that leads to it with what it holds, under others without.
fn list(tree: &Tree, root: &Object, contents: &mut Contents, budget: &mut Budget) -> Result<(), FormatError> {
    enum Step<'t> {
        Object(&'t Object),
        Link(String, &'t Object, &'t super::group::Link),
    }
    let mut waiting = vec![Step::Object(root)];
    while let Some(step) = waiting.pop() {
        match step {
            Step::Object(object) => {
                if !object.path.is_empty() {
                    let what = what(tree, object);
                    let about = ["description", "comments", "long_name"].iter().find_map(|name| tree.text(object, name));
                    let mut about = shown(about.unwrap_or_default());
                    if let Some(packing) = packing(tree, object) {
                        about = packing.told(&about);
                    }
                    if let Sort::Unread(error) = &object.sort {
                        about = error.reason.clone();
                        contents.tell(error);
                    }
                    push(contents, budget, object.path.clone(), what, about)?;
                }
                for attribute in &object.attributes {
                    let path = format!("{}@{}", object.path, attribute.name);
                    let elements = Elements::new(&attribute.datatype, &attribute.value, attribute.at);
                    let value = if attribute.space.null {
                        String::new()
                    } else {
                        value_text(tree, &attribute.datatype, elements, attribute.space.dims.is_empty())
                    };
                    push(contents, budget, path, What::Value(value), String::new())?;
                }
                if let Sort::Group(links) = &object.sort {
                    waiting.extend(links.iter().rev().map(|link| Step::Link(join(&object.path, &link.name), object, link)));
                }
            }
            Step::Link(path, group, link) => match (&link.target, tree.follow(group, link)) {
                (Target::Object(_), Some(object)) if object.path == path => waiting.push(Step::Object(object)),
                (_, Some(object)) => push(contents, budget, path, what(tree, object), format!("the same as `/{}`", object.path))?,
                (Target::Soft(to), None) => push(contents, budget, path, What::Value(to.clone()), "a link to nothing".into())?,
                (Target::External { file, path: to }, None) => {
                    contents.notes.push(format!("`/{path}` is a link to another file, which is not opened: `{}`", file.escape_debug()));
                    push(
                        contents,
                        budget,
                        path,
                        What::Value(format!("{file}:{to}")),
                        "a link to another file, which is not opened".into(),
                    )?;
                }
                (Target::Unknown(sort), None) => {
                    push(contents, budget, path, What::Value(format!("link of kind {sort}")), "a link that is not followed".into())?;
                }
                (Target::Object(_), None) => {}
            },
        }
    }
    Ok(())
}

fn push(contents: &mut Contents, budget: &mut Budget, path: String, what: What, about: String) -> Result<(), FormatError> {
    let value = if let What::Value(value) = &what { value.len() } else { 64 };
    budget.charge(160 + (path.len() + about.len() + value) as u64).map_err(|reason| too_much(0, reason))?;
    contents.items.push(Item { path, what, about });
    Ok(())
}

/// At most the first [`SHOWN`] characters.
pub(crate) fn shown(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A value as text: as it is when it is single, as JSON when there are several.
fn value_text(tree: &Tree, datatype: &super::datatype::Datatype, elements: Elements<'_>, single: bool) -> String {
    let column = match tree.values().column(datatype, elements, &mut tree.small_budget()) {
        Ok(column) => column,
        Err(error) => return format!("({})", error.reason),
    };
    let text = |row: usize| arrow::util::display::array_value_to_string(&column, row).unwrap_or_default();
    if single {
        return if column.is_empty() { String::new() } else { shown(text(0)) };
    }
    let quoted = |row: usize| if datatype.is_text() { serde_json::Value::from(text(row)).to_string() } else { text(row) };
    let mut out = String::from("[");
    for row in 0..column.len() {
        if out.len() > SHOWN {
            out.push('…');
            break;
        }
        out.push_str(if row > 0 { ", " } else { "" });
        out.push_str(&quoted(row));
    }
    out.push(']');
    shown(out)
}

/// What an object is.
pub(crate) fn what(tree: &Tree, object: &Object) -> What {
    let dataset = match &object.sort {
        Sort::Group(_) => return What::Group,
        Sort::Datatype => return What::Value("committed datatype".into()),
        Sort::Unread(_) => return What::Value("not read".into()),
        Sort::Dataset(dataset) => dataset,
    };
    let datatype = &dataset.datatype;
    if dataset.space.null {
        return What::Value(String::new());
    }
    if dataset.dims().is_empty() {
        // Short ones are told, long ones are there to be asked for.
        let size = datatype.size as u64;
        let bytes = if size <= SHOWN as u64 { dataset.read(&tree.file, &[], &mut tree.small_budget()).ok() } else { None };
        return match bytes {
            Some(bytes) => What::Value(value_text(tree, datatype, Elements::new(datatype, &bytes, 0), true)),
            None => What::Text { bytes: size },
        };
    }
    match &datatype.class {
        Class::Compound(members) if dataset.dims().len() == 1 => What::Table {
            rows: dataset.dims().first().copied(),
            columns: members.iter().map(|member| (member.name.clone(), type_word(&arrow_type(&member.datatype)))).collect(),
        },
        _ => What::Array {
            shape: dataset.dims().to_vec(),
            element: datatype.word(),
            unit: unit(tree, object),
            axes: tree.attribute(object, "DIMENSION_LABELS").and_then(|own| tree.attribute_texts(own).ok().flatten()).unwrap_or_default(),
        },
    }
}

/// The unit that an attribute states.
pub(crate) fn unit(tree: &Tree, object: &Object) -> String {
    ["unit", "units"].iter().find_map(|name| tree.text(object, name)).unwrap_or_default()
}

/// How attributes of a dataset of numbers say that they are packed.
pub(crate) fn packing(tree: &Tree, object: &Object) -> Option<Packing> {
    let Sort::Dataset(dataset) = &object.sort else { return None };
    if !dataset.datatype.is_number() {
        return None;
    }
    let value = |own: &Stored| match tree.attribute_texts(own).ok()? {
        Some(texts) => texts.into_iter().next().map(Attribute::Text),
        None => tree.attribute_numbers(own).ok()?.map(Attribute::Numbers),
    };
    Packing::of(&dataset.datatype.word(), |name| value(tree.attribute(object, name)?))
}

/// The error for a dataset that is asked for as numbers and holds something else.
fn no_numbers(object: &Object, dataset: &Dataset) -> FormatError {
    let (word, axes) = (dataset.datatype.word(), dataset.dims().len());
    let help = match &dataset.datatype.class {
        _ if axes <= 1 => as_table(object),
        Class::Compound(_) if word.starts_with("complex") => "save `real` and `imag`, or `abs`, of it".into(),
        Class::Compound(_) => "save each of its members as an array".into(),
        _ if axes == 2 => as_table(object),
        _ => "save it with one or two axes, to have it as a table".into(),
    };
    let word = if word.starts_with("complex") { "complex numbers".to_owned() } else { word };
    let place = Place::Object { path: format!("/{}", object.path), byte: None };
    FormatError::new(Format::Hdf5, place, format!("this holds {word}, not numbers"), help)
}

/// The step that reads a dataset as a table.
fn as_table(object: &Object) -> String {
    format!("`ingest.table(…, of = \"{}\")` has it", object.path.escape_debug())
}

/// A part of a dataset of numbers as a tensor, unpacked where that is asked for.
pub(crate) fn tensor(
    tree: &Tree,
    object: &Object,
    dataset: &Dataset,
    part: Option<&[Range<u64>]>,
    names: &[String],
    unit: &str,
    packing: Option<&Packing>,
) -> Result<Tensor, FormatError> {
    let at = || Place::Object { path: format!("/{}", object.path), byte: None };
    let everything = dataset.everything();
    let part = part.unwrap_or(&everything);
    let numbers = tree.many_numbers(&object.path, dataset, part, &mut tree.budget())?;
    let mut numbers = numbers.ok_or_else(|| no_numbers(object, dataset))?;
    if let Some(packing) = packing {
        packing.undo(&mut numbers);
    }
    let mut axes: Vec<Axis> = (0..part.len())
        .zip(part)
        .map(|(axis, range)| {
            let name = names.get(axis).filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| format!("axis_{axis}"));
            Axis::count(name, usize::try_from(range.end - range.start).unwrap_or(usize::MAX))
        })
        .collect();
    if let Class::Array { dims, .. } = &dataset.datatype.class {
        let from = axes.len();
        axes.extend(dims.iter().zip(from..).map(|(dim, axis)| Axis::count(format!("axis_{axis}"), *dim as usize)));
    }
    if axes.is_empty() {
        axes.push(Axis::count("value", 1));
    }
    let unit = Some(unit).filter(|unit| !unit.is_empty());
    Tensor::new(axes, unit, numbers).map_err(|error| FormatError::new(Format::Hdf5, at(), error.to_string(), "ask for a part of it"))
}

impl Document for Hdf5Document {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let (object, _) = self.dataset(path, "table")?;
        Ok(Arc::new(DatasetRows::new(&self.tree, object).map_err(|error| in_object(error, &object.path))?))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let (object, dataset) = self.dataset(path, "array")?;
        let axes = match self.contents.item(&object.path).map(|item| &item.what) {
            Some(What::Array { axes, .. }) => axes.as_slice(),
            _ => &[],
        };
        tensor(&self.tree, object, dataset, part, axes, &unit(&self.tree, object), packing(&self.tree, object).as_ref())
    }
}
