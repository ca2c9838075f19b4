//! The objects of a file: every group and dataset once, with its attributes, and how paths lead to them.

use super::attribute::{self, Attribute};
use super::dataset::{self, Dataset};
use super::datatype::{Class, Datatype, Reference};
use super::file::{File, in_object, too_much};
use super::group::{self, Link, Target};
use super::header;
use super::values::{Elements, Values};
use crate::floats::Floats;
use crate::grid::{Element, Grid, Scale, Step};
use crate::source::Source;
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{Budget, FormatError, Limits};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How deep groups may nest.
const MAX_DEPTH: usize = 100;
/// Soft links that one path may take.
const MAX_SOFT: usize = 32;

/// What an object is.
#[derive(Debug)]
pub(crate) enum Sort {
    /// A group with its links, in order.
    Group(Vec<Link>),
    /// A dataset.
    Dataset(Box<Dataset>),
    /// A committed datatype.
    Datatype,
    /// Something that can't be read, and why.
    Unread(FormatError),
}

/// An object of the file.
#[derive(Debug)]
pub(crate) struct Object {
    /// The first path that led here, without the leading `/`.
    pub path: String,
    /// Its header's address.
    pub address: u64,
    pub sort: Sort,
    pub attributes: Vec<Attribute>,
}

/// All objects of a file.
#[derive(Debug)]
pub(crate) struct Tree {
    pub file: File,
    pub objects: Vec<Object>,
    /// Objects by address.
    places: HashMap<u64, usize>,
    /// Paths by address.
    paths: HashMap<u64, String>,
    /// What was left out.
    pub notes: Vec<String>,
}

impl Tree {
    /// Reads the headers of all objects.
    pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<Tree, FormatError> {
        let file = File::open(source, limits)?;
        let root = file.root;
        let mut tree = Tree { file, objects: Vec::new(), places: HashMap::new(), paths: HashMap::new(), notes: Vec::new() };
        // Depth first, in the order of the links. The root must be a group, anything else may be unreadable by itself.
        let mut waiting: Vec<(String, u64, usize)> = vec![(String::new(), root, 0)];
        while let Some((path, address, depth)) = waiting.pop() {
            if tree.places.contains_key(&address) {
                continue;
            }
            tree.file.hold(256 + 3 * path.len() as u64, tree.file.byte(address))?;
            let (sort, attributes) = match object(&tree.file, address) {
                Ok(read) => read,
                Err(error) if depth == 0 => return Err(error),
                Err(error) => (Sort::Unread(in_object(error, &path)), Vec::new()),
            };
            if let Sort::Group(links) = &sort {
                if depth >= MAX_DEPTH {
                    tree.notes.push(format!("what is below `/{}` was left out: groups nest deeper than {MAX_DEPTH}", path.escape_debug()));
                } else {
                    for link in links.iter().rev() {
                        if let Target::Object(address) = link.target {
                            let child = join(&path, &link.name);
                            tree.file.hold(child.len() as u64 + 64, tree.file.byte(address))?;
                            waiting.push((child, address, depth + 1));
                        }
                    }
                }
            }
            tree.places.insert(address, tree.objects.len());
            tree.paths.insert(address, path.clone());
            tree.objects.push(Object { path, address, sort, attributes });
        }
        tree.find_sources()?;
        match tree.objects.first().map(|root| &root.sort) {
            Some(Sort::Group(_)) => Ok(tree),
            _ => Err(super::file::bad(tree.file.byte(root), "the root of the file is not a group")),
        }
    }

    /// Finds what virtual datasets are made of, and tells what of it is in other files.
    fn find_sources(&mut self) -> Result<(), FormatError> {
        let (mut sources, mut notes) = (HashMap::new(), Vec::new());
        for object in &self.objects {
            let Sort::Dataset(dataset) = &object.sort else { continue };
            if let Some(elsewhere) = dataset.mappings.iter().find(|mapping| mapping.is_elsewhere()) {
                let (path, file) = (object.path.escape_debug(), elsewhere.file.escape_debug());
                notes.push(format!("`/{path}` is put together from datasets in other files, which are not opened: `{file}`"));
            }
            for mapping in dataset.mappings.iter().filter(|mapping| !mapping.is_elsewhere()) {
                let Some(source) = self.find(&mapping.path).filter(|source| matches!(source.sort, Sort::Dataset(_))) else { continue };
                self.file.hold(96 + mapping.path.len() as u64, dataset.at)?;
                sources.insert(mapping.path.clone(), source.address);
            }
        }
        self.notes.append(&mut notes);
        // Nothing was there before.
        let _ = self.file.sources.set(sources);
        Ok(())
    }

    /// What reading values needs.
    pub fn values(&self) -> Values<'_> {
        Values { file: &self.file, paths: &self.paths }
    }

    /// A budget for values that are asked for.
    pub fn budget(&self) -> Budget {
        Budget::new(self.file.limits.expansion(self.file.len()))
    }

    /// The root group.
    pub fn root(&self) -> Option<&Object> {
        self.objects.first()
    }

    /// An object by address.
    pub fn at(&self, address: u64) -> Option<&Object> {
        self.places.get(&address).and_then(|place| self.objects.get(*place))
    }

    /// The object that a path names, through links; `None` when there is none or it is in another file.
    pub fn find(&self, path: &str) -> Option<&Object> {
        self.walk(self.root()?, path, &mut 0)
    }

    /// The object that a link of a group leads to.
    pub fn follow<'t>(&'t self, group: &'t Object, link: &Link) -> Option<&'t Object> {
        self.step(group, link, &mut 0)
    }

    /// The object that `group` has under a name.
    pub fn child<'t>(&'t self, group: &'t Object, name: &str) -> Option<&'t Object> {
        self.walk(group, name, &mut 0)
    }

    fn walk<'t>(&'t self, from: &'t Object, path: &str, softs: &mut usize) -> Option<&'t Object> {
        let mut here = if path.starts_with('/') { self.root()? } else { from };
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let Sort::Group(links) = &here.sort else { return None };
            let link = links.iter().find(|link| link.name == name)?;
            here = self.step(here, link, softs)?;
        }
        Some(here)
    }

    fn step<'t>(&'t self, group: &'t Object, link: &Link, softs: &mut usize) -> Option<&'t Object> {
        match &link.target {
            Target::Object(address) => self.at(*address),
            Target::Soft(path) => {
                *softs += 1;
                if *softs > MAX_SOFT { None } else { self.walk(group, path, softs) }
            }
            Target::External { .. } | Target::Unknown(_) => None,
        }
    }

    /// The members of a group that can be reached, in order.
    pub fn children<'t>(&'t self, group: &'t Object) -> impl Iterator<Item = (&'t str, &'t Object)> {
        let links: &[Link] = if let Sort::Group(links) = &group.sort { links } else { &[] };
        links.iter().filter_map(move |link| Some((link.name.as_str(), self.follow(group, link)?)))
    }

    /// An attribute of an object.
    pub fn attribute<'t>(&self, object: &'t Object, name: &str) -> Option<&'t Attribute> {
        object.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// An attribute as one text; `None` when there is none or it is not one.
    pub fn text(&self, object: &Object, name: &str) -> Option<String> {
        self.attribute_texts(self.attribute(object, name)?).ok()?.filter(|texts| texts.len() == 1)?.pop()
    }

    /// An attribute as texts; `None` when it is something else.
    pub fn attribute_texts(&self, attribute: &Attribute) -> Result<Option<Vec<String>>, FormatError> {
        if !attribute.datatype.is_text() {
            return Ok(None);
        }
        let elements = Elements::new(&attribute.datatype, &attribute.value, attribute.at);
        self.values().texts(&attribute.datatype, elements, &mut self.small_budget())
    }

    /// An attribute as numbers; `None` when it is something else.
    pub fn attribute_numbers(&self, attribute: &Attribute) -> Result<Option<Vec<f64>>, FormatError> {
        let elements = Elements::new(&attribute.datatype, &attribute.value, attribute.at);
        self.values().numbers(&attribute.datatype, elements, &mut self.small_budget())
    }

    /// An attribute as one number.
    pub fn number(&self, object: &Object, name: &str) -> Option<f64> {
        let numbers = self.attribute_numbers(self.attribute(object, name)?).ok()??;
        if numbers.len() == 1 { numbers.first().copied() } else { None }
    }

    /// The objects that an attribute of references names.
    pub fn attribute_objects(&self, attribute: &Attribute) -> Vec<Option<&Object>> {
        let Class::Reference(sort) = attribute.datatype.class else { return Vec::new() };
        self.referred(sort, &attribute.value, attribute.datatype.size, attribute.at)
    }

    /// The objects that stored references name.
    pub fn referred(&self, sort: Reference, bytes: &[u8], size: usize, at: u64) -> Vec<Option<&Object>> {
        let values = self.values();
        let one = |bytes: &[u8]| values.address(bytes, sort, at).ok().flatten().and_then(|address| self.at(address));
        bytes.chunks_exact(size.max(1)).map(one).collect()
    }

    /// A budget for what is read while a file is opened: values of attributes and single values.
    pub fn small_budget(&self) -> Budget {
        Budget::new((1 << 20) + self.file.len().min(15 << 20))
    }

    /// All elements of a part of a dataset as 64-bit floating point.
    pub fn numbers(
        &self,
        path: &str,
        dataset: &Dataset,
        part: &[Range<u64>],
        budget: &mut Budget,
    ) -> Result<Option<Vec<f64>>, FormatError> {
        let bytes = dataset.read(&self.file, part, budget).map_err(|error| in_object(error, path))?;
        let elements = Elements::new(&dataset.datatype, &bytes, 0);
        self.values().numbers(&dataset.datatype, elements, budget).map_err(|error| in_object(error, path))
    }

    /// As [`Tree::numbers`], for many of them: numbers that the machine has as well are taken by all threads into memory of the system.
    pub fn many_numbers(
        &self,
        path: &str,
        dataset: &Dataset,
        part: &[Range<u64>],
        budget: &mut Budget,
    ) -> Result<Option<Floats>, FormatError> {
        let Some((element, order)) = plain(&dataset.datatype) else {
            return self.numbers(path, dataset, part, budget).map(|numbers| numbers.map(Floats::from));
        };
        let bytes = dataset.read(&self.file, part, budget).map_err(|error| in_object(error, path))?;
        let count = bytes.len() as u64 / element.size();
        budget.charge(count.saturating_mul(8)).map_err(|reason| in_object(too_much(0, reason), path))?;
        let mut out = Floats::zeros(count as usize);
        let grid = Grid { element, order, start: 0, axes: vec![Step { len: count, stride: 1 }], scale: Scale::NONE };
        grid.scatter_part(&bytes, std::slice::from_ref(&(0..count)), &[1], &mut out);
        Ok(Some(out))
    }

    /// All elements of a part of a dataset as text.
    pub fn texts(
        &self,
        path: &str,
        dataset: &Dataset,
        part: &[Range<u64>],
        budget: &mut Budget,
    ) -> Result<Option<Vec<String>>, FormatError> {
        let bytes = dataset.read(&self.file, part, budget).map_err(|error| in_object(error, path))?;
        let elements = Elements::new(&dataset.datatype, &bytes, 0);
        self.values().texts(&dataset.datatype, elements, budget).map_err(|error| in_object(error, path))
    }

    /// The one text of a dataset of a single value.
    pub fn single_text(&self, object: &Object) -> Option<String> {
        let Sort::Dataset(dataset) = &object.sort else { return None };
        if dataset.count() != 1 || !dataset.datatype.is_text() {
            return None;
        }
        self.texts(&object.path, dataset, &dataset.everything(), &mut self.small_budget()).ok()??.pop()
    }

    /// The one number of a dataset of a single value.
    pub fn single_number(&self, object: &Object) -> Option<f64> {
        let Sort::Dataset(dataset) = &object.sort else { return None };
        if dataset.count() != 1 || !dataset.datatype.is_number() {
            return None;
        }
        self.numbers(&object.path, dataset, &dataset.everything(), &mut self.small_budget()).ok()??.pop()
    }
}

/// Numbers that are stored as the machine has them, in either byte order.
fn plain(datatype: &Datatype) -> Option<(Element, ByteOrder)> {
    let (order, element) = match &datatype.class {
        Class::Integer { order, signed, offset: 0, precision } if usize::from(*precision) == datatype.size * 8 => {
            let element = match (datatype.size, signed) {
                (1, true) => Element::I8,
                (1, false) => Element::U8,
                (2, true) => Element::I16,
                (2, false) => Element::U16,
                (4, true) => Element::I32,
                (4, false) => Element::U32,
                (8, true) => Element::I64,
                (8, false) => Element::U64,
                _ => return None,
            };
            (order, element)
        }
        Class::Float { order, layout } if layout.is_ieee() => match datatype.size {
            4 => (order, Element::F32),
            8 => (order, Element::F64),
            _ => return None,
        },
        _ => return None,
    };
    Some((element, *order))
}

/// Names joined to a path.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

fn object(file: &File, address: u64) -> Result<(Sort, Vec<Attribute>), FormatError> {
    let header = header::read(file, address)?;
    let attributes = attribute::attributes(file, &header)?;
    if let Some(links) = group::links(file, &header)? {
        return Ok((Sort::Group(links), attributes));
    }
    match dataset::read(file, &header, file.byte(address)) {
        Ok(Some(dataset)) => Ok((Sort::Dataset(Box::new(dataset)), attributes)),
        Ok(None) => Ok((Sort::Datatype, attributes)),
        // What it is can be told, and why it is not read.
        Err(error) => Ok((Sort::Unread(error), attributes)),
    }
}
