//! A writer of HDF5 files: groups, datasets in one piece or in chunks that are shuffled and deflated, attributes, texts, references to objects.
//!
//! What it writes is what HDF5 1.8 and later read: a superblock of version 2, object headers of version 2 with links inside, B-trees of version 1
//! over chunks, and global heaps for texts. No time, no random name and no leftover of memory goes into a file, and links stand in the order of
//! their names: the same calls give the same bytes. (Deflated bytes are those of the deflate library that is linked in.)
//!
//! Layout: "HDF5 File Format Specification Version 3.0", whose sections are named where they are used.

mod chunks;
mod element;
mod header;
mod heap;
mod sink;
mod storage;
#[cfg(test)]
pub(in crate::write) mod tests;

use chunks::Form;
pub(in crate::write) use element::little_endian;
pub use element::{Data, Element};
use header::{Message, kind};
use heap::Heap;
use neuroflow_data::formats::{Format, FormatError, Place};
use sink::Sink;
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::ops::Range;
pub use storage::Storage;

/// The address of nothing.
const UNDEFINED: u64 = u64::MAX;

/// An error at an object.
fn bad(path: &str, reason: impl Into<String>, help: impl Into<String>) -> FormatError {
    FormatError::new(Format::Hdf5, Place::Object { path: path.into(), byte: None }, reason, help)
}

fn too_large(path: &str) -> FormatError {
    bad(path, "this is larger than HDF5 or this machine can address", "write it in parts")
}

/// A file that is being written. Values go out as they come; headers wait for [`Hdf5Writer::finish`].
#[derive(Debug)]
pub struct Hdf5Writer<W> {
    sink: Sink<W>,
    heap: Heap,
    objects: BTreeMap<String, Object>,
    /// Where datasets of references stand, and what they refer to.
    references: Vec<(u64, String, Vec<String>)>,
}

/// A group or dataset whose header is not written yet.
#[derive(Debug)]
struct Object {
    /// Names of what a group holds, with the path that a soft link names; `None` for a dataset.
    children: Option<BTreeMap<String, Option<String>>>,
    /// Messages of a dataset.
    messages: Vec<Message>,
    attributes: BTreeMap<String, Attribute>,
}

#[derive(Debug)]
struct Attribute {
    datatype: Vec<u8>,
    shape: Vec<u64>,
    value: AttributeValue,
}

#[derive(Debug)]
enum AttributeValue {
    Bytes(Vec<u8>),
    References(Vec<String>),
}

const ROOT: &str = "/";

/// How deep groups may stand in each other.
const DEPTH: usize = 256;

/// The most axes that a dataset may have.
const AXES: usize = 32;

impl<W: Write + Seek> Hdf5Writer<W> {
    /// Begins a file at the output's first byte, with an empty root group.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn new(out: W) -> Result<Hdf5Writer<W>, FormatError> {
        let mut sink = Sink::new(out);
        sink.append(ROOT, &[0; header::SUPERBLOCK as usize])?;
        let root = Object { children: Some(BTreeMap::new()), messages: Vec::new(), attributes: BTreeMap::new() };
        Ok(Hdf5Writer { sink, heap: Heap::default(), objects: BTreeMap::from([(ROOT.into(), root)]), references: Vec::new() })
    }

    /// Whether there is a group or dataset at a path.
    pub fn contains(&self, path: &str) -> bool {
        self.objects.contains_key(path)
    }

    /// Makes a group, and the groups above it. One that is there stays as it is.
    ///
    /// # Errors
    /// When the path is not `/a/b`, or a dataset stands in the way.
    pub fn group(&mut self, path: &str) -> Result<(), FormatError> {
        match self.objects.get(path) {
            Some(Object { children: Some(_), .. }) => Ok(()),
            Some(_) => Err(bad(path, "a dataset stands where a group is wanted", "choose another path")),
            None => self.place(path, Object { children: Some(BTreeMap::new()), messages: Vec::new(), attributes: BTreeMap::new() }),
        }
    }

    /// Makes a soft link: another name for what stands, or will stand, at `target`.
    ///
    /// # Errors
    /// When the path is taken or not `/a/b`.
    pub fn soft_link(&mut self, path: &str, target: &str) -> Result<(), FormatError> {
        if target.is_empty() || target.contains('\0') || target.len() > header::MOST / 2 {
            return Err(bad(path, format!("`{}` is no path to link to", target.escape_debug()), "write `/group/name`"));
        }
        self.child(path, Some(target.into()))
    }

    /// Puts an object under its parent.
    fn place(&mut self, path: &str, object: Object) -> Result<(), FormatError> {
        self.child(path, None)?;
        self.objects.insert(path.into(), object);
        Ok(())
    }

    /// Notes a name in its parent.
    fn child(&mut self, path: &str, link: Option<String>) -> Result<(), FormatError> {
        if path.matches('/').count() > DEPTH {
            return Err(bad("/", format!("a path has more than {DEPTH} names"), "put it less deep"));
        }
        let Some((above, name)) = path.rsplit_once('/') else {
            return Err(bad(path, "a path begins with `/`", "write `/group/name`"));
        };
        if above == ROOT || name.is_empty() || name == "." || name == ".." || name.contains('\0') || name.len() > header::MOST / 2 {
            return Err(bad(path, format!("`{}` is no name of an object", name.escape_debug()), "choose another name"));
        }
        let above = if above.is_empty() { ROOT } else { above };
        self.group(above)?;
        match self.objects.get_mut(above).and_then(|object| object.children.as_mut()) {
            Some(children) if children.contains_key(name) => Err(bad(path, "it is there already", "choose another name")),
            Some(children) => {
                children.insert(name.into(), link);
                Ok(())
            }
            None => Err(bad(path, "a dataset stands where a group is wanted", "choose another path")),
        }
    }

    /// Writes a dataset. An empty shape is that of a scalar.
    ///
    /// # Errors
    /// When the path is taken or not `/a/b`, the shape does not have as many values as `data`, the storage does not fit, or the output can't be
    /// written.
    pub fn dataset(&mut self, path: &str, data: &Data<'_>, shape: &[u64], storage: &Storage) -> Result<(), FormatError> {
        check_count(path, data, shape)?;
        let element = data.element();
        if let Data::References(paths) = data {
            if shape.len() > AXES {
                return Err(bad(path, format!("HDF5 has at most {AXES} axes, this has {}", shape.len()), "join some of them"));
            }
            if storage.chunk.is_some() {
                return Err(bad(path, "references stand in one piece", "give no chunk shape"));
            }
            let bytes = storage::bytes_of(path, shape, element.size())?;
            let address = if bytes == 0 { UNDEFINED } else { self.sink.reserve(path, bytes)? };
            self.references.push((address, path.into(), paths.iter().map(|&path| path.to_owned()).collect()));
            let messages = vec![header::fill(false), header::piece(address, bytes)];
            return self.add_dataset(path, element, shape, messages);
        }
        if let (None, false, None, Some(bytes), true) =
            (&storage.chunk, storage.shuffle, storage.deflate, data.stored(), shape.len() <= AXES)
        {
            if self.objects.contains_key(path) {
                return Err(bad(path, "it is there already", "choose another name"));
            }
            let address = if bytes.is_empty() { UNDEFINED } else { self.sink.append(path, bytes)? };
            return self.add_dataset(path, element, shape, vec![header::fill(false), header::piece(address, bytes.len() as u64)]);
        }
        let texts: Option<&[&str]> = match data {
            Data::Text(text) => Some(std::slice::from_ref(text)),
            Data::Texts(texts) => Some(texts),
            _ => None,
        };
        let row: usize = shape.iter().skip(1).fold(1, |product, &length| product.saturating_mul(length as usize));
        let places = |rows: Range<u64>| (rows.start as usize).saturating_mul(row)..(rows.end as usize).saturating_mul(row);
        let Some(texts) = texts else {
            return self.dataset_rows(path, element, shape, storage, &mut |rows, into| data.bytes(places(rows), path, into));
        };
        // Texts go to the heap first, so that their addresses are known when the dataset is written.
        let mut elements = Vec::with_capacity(texts.len());
        for text in texts {
            elements.push(self.heap.keep(text, path, &mut self.sink)?);
        }
        self.rows(path, element, shape, storage, &mut |rows, into| {
            into.extend(elements.get(places(rows)).unwrap_or(&[]).as_flattened());
            Ok(())
        })
    }

    /// Writes a dataset whose bytes `rows` gives: it is asked for ranges of positions along the first axis, in order, and appends their values,
    /// least byte first. About 4 MiB are held at a time, or one chunk's rows where those are more.
    ///
    /// # Errors
    /// As [`Hdf5Writer::dataset`]; when `rows` gives an error or another number of bytes; when the element is a text or a reference, whose bytes
    /// only the writer knows.
    pub fn dataset_rows(
        &mut self,
        path: &str,
        element: Element,
        shape: &[u64],
        storage: &Storage,
        rows: &mut dyn FnMut(Range<u64>, &mut Vec<u8>) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        if matches!(element, Element::Reference | Element::Text) {
            return Err(bad(path, "only the writer knows the bytes of texts and references", "give them as values"));
        }
        self.rows(path, element, shape, storage, rows)
    }

    /// As above, and for texts whose places in the heap are known.
    fn rows(
        &mut self,
        path: &str,
        element: Element,
        shape: &[u64],
        storage: &Storage,
        rows: &mut dyn FnMut(Range<u64>, &mut Vec<u8>) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let size = element.size();
        if size == 0 {
            return Err(bad(path, "a text of fixed length needs a byte", "give it a width of at least 1"));
        }
        if shape.len() > AXES {
            return Err(bad(path, format!("HDF5 has at most {AXES} axes, this has {}", shape.len()), "join some of them"));
        }
        if self.objects.contains_key(path) {
            return Err(bad(path, "it is there already", "choose another name"));
        }
        let form = Form { path, shape, size };
        let mut messages = Vec::new();
        match storage.checked_chunk(path, shape, size)? {
            Some(chunk) => {
                let root = form.write_chunks(&chunk, storage, &mut self.sink, rows)?;
                messages.push(header::fill(true));
                messages.push(header::chunked(root, &chunk, size));
                messages.extend(storage.pipeline(size).map(|bytes| (kind::FILTERS, bytes)));
            }
            None => {
                let address = form.write_piece(&mut self.sink, rows)?;
                messages.push(header::fill(false));
                messages.push(header::piece(address, storage::bytes_of(path, shape, size)?));
            }
        }
        self.add_dataset(path, element, shape, messages)
    }

    fn add_dataset(&mut self, path: &str, element: Element, shape: &[u64], further: Vec<Message>) -> Result<(), FormatError> {
        let mut messages = vec![(kind::DATASPACE, header::dataspace(shape)), (kind::DATATYPE, element.datatype())];
        messages.extend(further);
        self.place(path, Object { children: None, messages, attributes: BTreeMap::new() })
    }

    /// Gives an object an attribute. An empty shape is that of a scalar.
    ///
    /// # Errors
    /// When there is no such object, it has the attribute already, the shape does not have as many values as `data`, or the attribute has more
    /// than the 64 KiB that stand in a header.
    pub fn attribute(&mut self, path: &str, name: &str, data: &Data<'_>, shape: &[u64]) -> Result<(), FormatError> {
        check_count(path, data, shape)?;
        let too_long = || {
            let reason = format!("attribute `{}` has more than the 64 KiB that stand in a header", name.escape_debug());
            bad(path, reason, "write it as a dataset")
        };
        let element = data.element();
        if shape.len() > AXES || element.size() == 0 {
            return Err(bad(
                path,
                format!("attribute `{}` has more than {AXES} axes, or texts of no bytes", name.escape_debug()),
                "give another shape",
            ));
        }
        if name.is_empty() || name.contains('\0') {
            return Err(bad(path, format!("`{}` is no name of an attribute", name.escape_debug()), "choose another name"));
        }
        if element.size().max(1).saturating_mul(data.len()).saturating_add(name.len()) > header::MOST - 1024 {
            return Err(too_long());
        }
        match self.objects.get(path) {
            None => return Err(bad(path, "there is no such object to have an attribute", "write the group or dataset first")),
            Some(object) if object.attributes.contains_key(name) => {
                return Err(bad(path, format!("attribute `{}` is there already", name.escape_debug()), "choose another name"));
            }
            Some(_) => {}
        }
        let mut bytes = Vec::new();
        let value = match data {
            Data::References(paths) => AttributeValue::References(paths.iter().map(|&path| path.to_owned()).collect()),
            Data::Text(text) => AttributeValue::Bytes(self.heap.keep(text, path, &mut self.sink)?.to_vec()),
            Data::Texts(texts) => {
                for text in texts {
                    bytes.extend(self.heap.keep(text, path, &mut self.sink)?);
                }
                AttributeValue::Bytes(bytes)
            }
            other => {
                other.bytes(0..other.len(), path, &mut bytes)?;
                AttributeValue::Bytes(bytes)
            }
        };
        if let Some(object) = self.objects.get_mut(path) {
            object.attributes.insert(name.into(), Attribute { datatype: element.datatype(), shape: shape.to_vec(), value });
        }
        Ok(())
    }

    /// Writes what waited: heaps, references, headers, and the superblock last, so that a file that broke off is never taken for a whole one.
    ///
    /// # Errors
    /// When a reference leads to nothing, or the output can't be written.
    pub fn finish(mut self) -> Result<W, FormatError> {
        self.heap.close(&mut self.sink)?;
        let mut addresses = BTreeMap::new();
        for (path, object) in &self.objects {
            // Addresses do not change a header's length, so any will do here.
            let length = header::length(&object.messages(path, &mut |_| Ok(0))?);
            addresses.insert(path.as_str(), self.sink.reserve(path, length)?);
        }
        let address_of = |from: &str, path: &str| {
            let missing = || bad(from, format!("it refers to `{path}`, which is not there"), "write what is referred to");
            addresses.get(path).copied().ok_or_else(missing)
        };
        for (address, path, targets) in &self.references {
            let mut bytes = Vec::with_capacity(targets.len() * 8);
            for target in targets {
                bytes.extend(address_of(path, target)?.to_le_bytes());
            }
            if !bytes.is_empty() {
                self.sink.write(*address, &bytes)?;
            }
        }
        let mut end = header::SUPERBLOCK;
        for (path, object) in &self.objects {
            let bytes = header::encode(path, &object.messages(path, &mut |target| address_of(path, target))?)?;
            let address = address_of(path, path)?;
            self.sink.write(address, &bytes)?;
            end = end.max(address + bytes.len() as u64);
        }
        let root = address_of(ROOT, ROOT)?;
        self.sink.write(0, &header::superblock(end, root))?;
        self.sink.finish()
    }
}

impl Object {
    /// All messages of the header, with addresses as `address_of` gives them.
    fn messages(&self, path: &str, address_of: &mut dyn FnMut(&str) -> Result<u64, FormatError>) -> Result<Vec<Message>, FormatError> {
        let mut messages = self.messages.clone();
        if let Some(children) = &self.children {
            messages.extend(header::group());
            let above = path.trim_end_matches('/');
            for (name, link) in children {
                messages.push(match link {
                    Some(target) => header::soft_link(name, target),
                    None => header::link(name, address_of(&format!("{above}/{name}"))?),
                });
            }
        }
        for (name, attribute) in &self.attributes {
            let made;
            let data = match &attribute.value {
                AttributeValue::Bytes(bytes) => bytes,
                AttributeValue::References(paths) => {
                    let addresses = paths.iter().map(|path| address_of(path)).collect::<Result<Vec<u64>, _>>()?;
                    made = addresses.into_iter().flat_map(u64::to_le_bytes).collect();
                    &made
                }
            };
            messages.push(header::attribute(name, &attribute.datatype, &attribute.shape, data));
        }
        Ok(messages)
    }
}

/// Refuses a shape that has another number of values than there are.
fn check_count(path: &str, data: &Data<'_>, shape: &[u64]) -> Result<(), FormatError> {
    let expected = shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length)).ok_or_else(|| too_large(path))?;
    if expected == data.len() as u64 {
        return Ok(());
    }
    let reason = format!("the shape {shape:?} has {expected} values, {} were given", data.len());
    Err(bad(path, reason, "give as many values as the shape says"))
}
