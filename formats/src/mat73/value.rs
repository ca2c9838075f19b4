//! Objects of HDF5 as values of MATLAB.

use super::{bad, of_mat};
use crate::hdf5::dataset::Dataset;
use crate::hdf5::datatype::{Class, Datatype, Reference};
use crate::hdf5::file::in_object;
use crate::hdf5::tree::{Object, Sort, Tree};
use crate::hdf5::values::{Elements, plain};
use neuroflow_data::formats::mat5::{MatClass, MatFile, MatNumbers, MatValue};
use neuroflow_data::formats::{Budget, COPY_AGAIN, FormatError, RAISE_LIMIT};
use std::ops::Range;

/// Bytes that a value takes beside its elements: what the budget is charged for each.
const EACH: u64 = 256;

/// Characters of a text that are taken where it is only told.
const SHORT: u64 = 1 << 16;

/// All variables, but for MATLAB's own groups, whose names begin with `#`.
pub(super) fn read_all(tree: &Tree) -> Result<MatFile, FormatError> {
    let mut file = MatFile { variables: Vec::new(), notes: Vec::new() };
    let Some(root) = tree.root() else { return Ok(file) };
    let mut budget = tree.budget();
    for (name, object) in tree.children(root).filter(|(name, _)| !name.starts_with('#')) {
        let mut reader = Reader::new(tree, &mut budget, &mut file.notes, None);
        let value = reader.value(object, name)?;
        file.variables.push((name.to_owned(), value));
    }
    Ok(file)
}

/// What a variable is without its numbers: sizes, classes, texts. What can't be told goes into `broken`, and stands as something that is not read.
pub(super) fn outline(
    tree: &Tree,
    object: &Object,
    path: &str,
    budget: &mut Budget,
    notes: &mut Vec<String>,
    broken: &mut Vec<FormatError>,
) -> Result<MatValue, FormatError> {
    Reader::new(tree, budget, notes, Some(broken)).value(object, path)
}

/// Something that a path leads to: an object, or the values of a field in all elements of a struct array.
pub(super) enum Found<'t> {
    One(&'t Object),
    Field(&'t Dataset),
}

/// What the path of an item leads to: through fields by name, through cells and elements by number, counted from 1.
pub(super) fn find<'t>(tree: &'t Tree, path: &str) -> Result<Option<Found<'t>>, FormatError> {
    let Some(mut here) = tree.root() else { return Ok(None) };
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let Some(next) = tree.child(here, name) else { return Ok(None) };
        let in_array = is_struct_array(tree, here);
        here = next;
        // Numbers follow each other: a cell in a cell, or in a field of one element.
        let mut field = in_array;
        while let Sort::Dataset(dataset) = &here.sort {
            let Class::Reference(sort) = dataset.datatype.class else { break };
            let number = match names.peek().map(|name| name.parse::<u64>()) {
                // A field of a single element is that element's.
                _ if field && dataset.count() == 1 => 1,
                Some(Ok(number)) => {
                    names.next();
                    number
                }
                Some(Err(_)) => return Ok(None),
                None if field => return Ok(Some(Found::Field(dataset))),
                None => break,
            };
            let Some(object) = referred_at(tree, dataset, sort, number, path)? else { return Ok(None) };
            (here, field) = (object, false);
        }
    }
    Ok(Some(Found::One(here)))
}

/// The object that one of the references in a dataset names, counted from 1.
fn referred_at<'t>(tree: &'t Tree, dataset: &Dataset, sort: Reference, number: u64, path: &str) -> Result<Option<&'t Object>, FormatError> {
    let Some(mut place) = number.checked_sub(1).filter(|place| *place < dataset.count()) else { return Ok(None) };
    let mut part = dataset.everything();
    for range in part.iter_mut().rev() {
        let length = range.end.max(1);
        *range = place % length..place % length + 1;
        place /= length;
    }
    let bytes = dataset.read(&tree.file, &part, &mut tree.small_budget()).map_err(|error| of_mat(in_object(error, path)))?;
    Ok(tree.referred(sort, &bytes, dataset.datatype.size, 0).first().copied().flatten())
}

/// The value of what a path leads to, with all that is in it.
pub(super) fn read<'t>(tree: &'t Tree, found: &Found<'t>, path: &str) -> Result<MatValue, FormatError> {
    let (mut budget, mut notes) = (tree.budget(), Vec::new());
    let mut reader = Reader::new(tree, &mut budget, &mut notes, None);
    match found {
        Found::One(object) => reader.value(object, path),
        Found::Field(dataset) => Ok(MatValue::Cell { dims: sizes(dataset), values: reader.referred(dataset, path, "()")? }),
    }
}

/// Whether a group is an array of structs: every field is a dataset of references without a class of its own.
fn is_struct_array(tree: &Tree, object: &Object) -> bool {
    let many = |child: &Object| match &child.sort {
        Sort::Dataset(dataset) => matches!(dataset.datatype.class, Class::Reference(_)) && tree.attribute(child, "MATLAB_class").is_none(),
        _ => false,
    };
    let mut children = tree.children(object).peekable();
    children.peek().is_some() && tree.attribute(object, "MATLAB_class").is_some() && children.all(|(_, child)| many(child))
}

/// The class of a numeric array by MATLAB's name for it.
pub(super) fn class_of(name: &str) -> Option<MatClass> {
    Some(match name {
        "double" => MatClass::Double,
        "single" => MatClass::Single,
        "int8" => MatClass::Int8,
        "uint8" => MatClass::UInt8,
        "int16" => MatClass::Int16,
        "uint16" => MatClass::UInt16,
        "int32" => MatClass::Int32,
        "uint32" => MatClass::UInt32,
        "int64" => MatClass::Int64,
        "uint64" => MatClass::UInt64,
        "logical" => MatClass::Logical,
        _ => return None,
    })
}

/// The class that MATLAB gave an object; of files that others wrote, the one that its type suggests.
pub(super) fn class_name(tree: &Tree, object: &Object) -> String {
    if let Some(name) = tree.text(object, "MATLAB_class") {
        return name;
    }
    match &object.sort {
        Sort::Group(_) => "struct".into(),
        Sort::Dataset(dataset) => match &dataset.datatype.class {
            Class::Reference(_) => "cell".into(),
            Class::Text { .. } | Class::ListText => "char".into(),
            Class::Float { .. } if dataset.datatype.size == 4 => "single".into(),
            Class::Integer { signed, .. } => format!("{}int{}", if *signed { "" } else { "u" }, dataset.datatype.size * 8),
            Class::Enum { .. } if dataset.datatype.is_bool() => "logical".into(),
            _ => "double".into(),
        },
        _ => "unknown".into(),
    }
}

/// MATLAB's `size` of a dataset: its axes the other way round, at least two.
pub(super) fn size_of(dataset: &Dataset) -> Vec<u64> {
    let mut size: Vec<u64> = dataset.dims().iter().rev().copied().collect();
    while size.len() < 2 {
        size.push(1);
    }
    size
}

struct Reader<'t, 'b> {
    tree: &'t Tree,
    budget: &'b mut Budget,
    notes: &'b mut Vec<String>,
    /// Objects whose parts are being read, by address.
    above: Vec<u64>,
    /// Where values are told and not read: what of them is broken.
    told: Option<&'b mut Vec<FormatError>>,
    /// Whether the values are in cells.
    in_cells: bool,
}

impl<'t, 'b> Reader<'t, 'b> {
    fn new(tree: &'t Tree, budget: &'b mut Budget, notes: &'b mut Vec<String>, told: Option<&'b mut Vec<FormatError>>) -> Reader<'t, 'b> {
        Reader { tree, budget, notes, above: Vec::new(), told, in_cells: false }
    }

    fn charge(&mut self, bytes: u64, path: &str) -> Result<(), FormatError> {
        self.budget.charge(bytes).map_err(|reason| bad(path, reason, RAISE_LIMIT))
    }

    fn value(&mut self, object: &'t Object, path: &str) -> Result<MatValue, FormatError> {
        self.charge(EACH + path.len() as u64, path)?;
        if self.above.contains(&object.address) {
            return Err(bad(path, "a cell or struct holds itself", COPY_AGAIN));
        }
        if self.above.len() >= self.tree.file.limits.max_depth {
            return Err(bad(path, format!("values nest deeper than {}", self.tree.file.limits.max_depth), RAISE_LIMIT));
        }
        self.above.push(object.address);
        let outside = self.in_cells;
        let value = self.inner(object, path);
        self.in_cells = outside;
        self.above.pop();
        match (value, &mut self.told) {
            // The rest of the variable can be told all the same.
            (Err(error), Some(broken)) if error.is_damage() || matches!(object.sort, Sort::Unread(_)) => {
                broken.push(error);
                Ok(MatValue::Skipped { class_name: "value".into() })
            }
            (value, _) => value,
        }
    }

    fn inner(&mut self, object: &'t Object, path: &str) -> Result<MatValue, FormatError> {
        let class = class_name(self.tree, object);
        match &object.sort {
            Sort::Group(_) if self.tree.attribute(object, "MATLAB_sparse").is_some() => self.sparse(object, &class, path),
            Sort::Group(_) => self.structure(object, path),
            Sort::Dataset(dataset) if self.tree.number(object, "MATLAB_empty").is_some_and(|empty| empty != 0.0) => {
                self.empty(object, dataset, &class, path)
            }
            Sort::Dataset(dataset) => match class.as_str() {
                _ if self.tree.attribute(object, "MATLAB_object_decode").is_some() => Ok(self.skipped(class, path)),
                "cell" => {
                    let values = self.referred(dataset, path, "{}")?;
                    Ok(MatValue::Cell { dims: sizes(dataset), values })
                }
                "char" => self.text(object, dataset, path),
                name => match class_of(name) {
                    Some(class) => self.numeric(dataset, class, path),
                    None => Ok(self.skipped(class, path)),
                },
            },
            Sort::Unread(error) => Err(of_mat(error.clone())),
            Sort::Datatype => Ok(self.skipped("datatype".into(), path)),
        }
    }

    fn skipped(&mut self, class_name: String, path: &str) -> MatValue {
        let class_name = if class_name == "function_handle" { "function handle".into() } else { class_name };
        self.notes.push(format!("left out `{path}`, a {class_name}: MATLAB does not document how it is stored"));
        MatValue::Skipped { class_name }
    }

    fn bytes(&mut self, dataset: &'t Dataset, path: &str) -> Result<std::borrow::Cow<'t, [u8]>, FormatError> {
        dataset.read(&self.tree.file, &dataset.everything(), self.budget).map_err(|error| of_mat(in_object(error, path)))
    }

    fn numbers(&mut self, dataset: &'t Dataset, path: &str) -> Result<Vec<f64>, FormatError> {
        self.some_numbers(dataset, &dataset.everything(), path)
    }

    fn some_numbers(&mut self, dataset: &'t Dataset, part: &[Range<u64>], path: &str) -> Result<Vec<f64>, FormatError> {
        let numbers = self.tree.numbers(path, dataset, part, self.budget).map_err(of_mat)?;
        numbers.ok_or_else(|| bad(path, format!("{} are no numbers", dataset.datatype.word()), COPY_AGAIN))
    }

    fn numeric(&mut self, dataset: &'t Dataset, class: MatClass, path: &str) -> Result<MatValue, FormatError> {
        let dims = sizes(dataset);
        if self.told.is_some() && (dataset.count() != 1 || self.in_cells) {
            let none = || MatNumbers::F64(Vec::new());
            let complex = matches!(dataset.datatype.class, Class::Compound(_));
            return Ok(MatValue::Numeric { dims, class, data: none(), imaginary: complex.then(none) });
        }
        let bytes = self.bytes(dataset, path)?;
        let (data, imaginary) = match &dataset.datatype.class {
            Class::Compound(members) => {
                let part = |name: &[&str]| members.iter().find(|member| name.contains(&member.name.as_str()));
                let (Some(real), Some(imaginary)) = (part(&["real", "r"]), part(&["imag", "i"])) else {
                    return Err(bad(path, "a compound that is no complex number", COPY_AGAIN));
                };
                let mut half = |datatype: &Datatype, offset: usize| {
                    let whole = Elements::new(&dataset.datatype, &bytes, 0).member(offset);
                    self.converted(datatype, whole, class, path)
                };
                (half(&real.datatype, real.offset)?, Some(half(&imaginary.datatype, imaginary.offset)?))
            }
            _ => {
                self.charge(bytes.len() as u64, path)?;
                match stored(&dataset.datatype, class, &bytes) {
                    Some(numbers) => (numbers, None),
                    None => (self.converted(&dataset.datatype, Elements::new(&dataset.datatype, &bytes, 0), class, path)?, None),
                }
            }
        };
        Ok(MatValue::Numeric { dims, class, data, imaginary })
    }

    /// Numbers that are stored in another type than their class has.
    fn converted(&mut self, datatype: &Datatype, elements: Elements<'_>, class: MatClass, path: &str) -> Result<MatNumbers, FormatError> {
        let numbers = self.tree.values().numbers(datatype, elements, self.budget).map_err(|error| of_mat(in_object(error, path)))?;
        let numbers = numbers.ok_or_else(|| bad(path, format!("{} are no numbers", datatype.word()), COPY_AGAIN))?;
        Ok(match class {
            MatClass::Double => MatNumbers::F64(numbers),
            MatClass::Single => MatNumbers::F32(numbers.into_iter().map(|number| number as f32).collect()),
            MatClass::Int8 => MatNumbers::I8(numbers.into_iter().map(|number| number as i8).collect()),
            MatClass::UInt8 | MatClass::Logical => MatNumbers::U8(numbers.into_iter().map(|number| number as u8).collect()),
            MatClass::Int16 => MatNumbers::I16(numbers.into_iter().map(|number| number as i16).collect()),
            MatClass::UInt16 => MatNumbers::U16(numbers.into_iter().map(|number| number as u16).collect()),
            MatClass::Int32 => MatNumbers::I32(numbers.into_iter().map(|number| number as i32).collect()),
            MatClass::UInt32 => MatNumbers::U32(numbers.into_iter().map(|number| number as u32).collect()),
            MatClass::Int64 => MatNumbers::I64(numbers.into_iter().map(|number| number as i64).collect()),
            MatClass::UInt64 => MatNumbers::U64(numbers.into_iter().map(|number| number as u64).collect()),
        })
    }

    fn text(&mut self, object: &'t Object, dataset: &'t Dataset, path: &str) -> Result<MatValue, FormatError> {
        if dataset.datatype.is_text() {
            let rows = self.tree.texts(path, dataset, &dataset.everything(), self.budget).map_err(of_mat)?.unwrap_or_default();
            let longest = rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
            return Ok(MatValue::Char { dims: vec![rows.len(), longest], rows });
        }
        let dims = sizes(dataset);
        let n_rows = dims.first().copied().unwrap_or(0);
        let mut part = dataset.everything();
        if self.told.is_some() {
            if n_rows != 1 {
                self.charge((n_rows as u64).saturating_mul(24), path)?;
                return Ok(MatValue::Char { dims, rows: vec![String::new(); n_rows] });
            }
            // The begin of a long line.
            if let Some(first) = part.first_mut().filter(|_| dataset.count() > SHORT) {
                first.end = first.end.min(SHORT);
            }
        }
        let codes = self.some_numbers(dataset, &part, &object.path)?;
        let row = |row: usize| {
            let units: Vec<u16> = codes.iter().skip(row).step_by(n_rows.max(1)).map(|code| *code as u16).collect();
            String::from_utf16_lossy(&units)
        };
        self.charge((n_rows as u64).saturating_mul(24).saturating_add(codes.len() as u64), path)?;
        let rows = if codes.is_empty() { Vec::new() } else { (0..n_rows).map(row).collect() };
        Ok(MatValue::Char { dims, rows })
    }

    /// An empty array, whose `size` stands where its values would.
    fn empty(&mut self, object: &'t Object, dataset: &'t Dataset, class: &str, path: &str) -> Result<MatValue, FormatError> {
        let dims: Vec<usize> = self.numbers(dataset, &object.path)?.into_iter().map(|dim| dim as usize).collect();
        let product = dims.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
        if dims.len() < 2 || product != Some(0) {
            return Err(bad(path, format!("an empty array of the size {dims:?}"), COPY_AGAIN));
        }
        Ok(match class {
            "cell" => MatValue::Cell { dims, values: Vec::new() },
            "char" => MatValue::Char { dims, rows: Vec::new() },
            "struct" => MatValue::Struct { dims, fields: self.field_names(object).into_iter().map(|name| (name, Vec::new())).collect() },
            name => match class_of(name) {
                Some(class) => {
                    let data = self.converted(&dataset.datatype, Elements::new(&dataset.datatype, &[], 0), class, path)?;
                    MatValue::Numeric { dims, class, data, imaginary: None }
                }
                None => self.skipped(class.to_owned(), path),
            },
        })
    }

    /// The values that a dataset of references names.
    fn referred(&mut self, dataset: &'t Dataset, path: &str, around: &str) -> Result<Vec<MatValue>, FormatError> {
        let Class::Reference(sort) = dataset.datatype.class else {
            return Err(bad(path, format!("a cell array of {} instead of references", dataset.datatype.word()), COPY_AGAIN));
        };
        let bytes = self.bytes(dataset, path)?;
        self.charge((bytes.len() as u64).saturating_mul(8), path)?;
        let objects = self.objects(sort, &bytes, dataset.datatype.size);
        let (open, close) = around.split_at(1.min(around.len()));
        let mut values = Vec::new();
        self.in_cells = true;
        for (place, object) in objects.into_iter().enumerate() {
            let path = format!("{path}{open}{}{close}", place + 1);
            let object = object.ok_or_else(|| bad(&path, "a reference leads to nothing", COPY_AGAIN))?;
            values.push(self.value(object, &path)?);
        }
        Ok(values)
    }

    fn objects(&self, sort: Reference, bytes: &[u8], size: usize) -> Vec<Option<&'t Object>> {
        self.tree.referred(sort, bytes, size, 0)
    }

    fn field_names(&self, object: &Object) -> Vec<String> {
        let Some(own) = self.tree.attribute(object, "MATLAB_fields") else { return Vec::new() };
        let values = self.tree.values();
        values
            .character_lists(&own.datatype, Elements::new(&own.datatype, &own.value, own.at), &mut self.tree.small_budget())
            .unwrap_or_default()
    }

    /// A struct, or an array of them: then every field is a dataset of references without a class of its own.
    fn structure(&mut self, object: &'t Object, path: &str) -> Result<MatValue, FormatError> {
        let tree = self.tree;
        let mut children: Vec<(&str, &'t Object)> = tree.children(object).collect();
        let order = self.field_names(object);
        children.sort_by_key(|(name, _)| order.iter().position(|own| own == name).unwrap_or(usize::MAX));
        if is_struct_array(tree, object) {
            let mut dims = Vec::new();
            let mut fields = Vec::new();
            for (name, child) in children {
                let Sort::Dataset(dataset) = &child.sort else { continue };
                let own = sizes(dataset);
                if !dims.is_empty() && dims != own {
                    return Err(bad(path, format!("field `{}` has another size than the others", name.escape_debug()), COPY_AGAIN));
                }
                dims = own;
                fields.push((name.to_owned(), self.referred(dataset, &format!("{path}.{name}"), "()")?));
            }
            return Ok(MatValue::Struct { dims, fields });
        }
        let mut fields = Vec::new();
        for (name, child) in children {
            fields.push((name.to_owned(), vec![self.value(child, &format!("{path}.{name}"))?]));
        }
        Ok(MatValue::Struct { dims: vec![1, 1], fields })
    }

    fn sparse(&mut self, object: &'t Object, class: &str, path: &str) -> Result<MatValue, FormatError> {
        let tree = self.tree;
        let n_rows = tree.number(object, "MATLAB_sparse").unwrap_or(0.0) as usize;
        let dataset = |name: &str| match tree.child(object, name).map(|own| &own.sort) {
            Some(Sort::Dataset(dataset)) => Some(&**dataset),
            _ => None,
        };
        if self.told.is_some() {
            let columns = dataset("jc").map_or(0, |starts| starts.count().saturating_sub(1));
            let complex = dataset("data").is_some_and(|data| matches!(data.datatype.class, Class::Compound(_)));
            return Ok(MatValue::Sparse {
                dims: [n_rows, usize::try_from(columns).unwrap_or(usize::MAX)],
                rows: Vec::new(),
                column_starts: Vec::new(),
                data: Vec::new(),
                imaginary: complex.then(Vec::new),
                logical: class == "logical",
            });
        }
        let mut list = |name: &str| -> Result<Vec<usize>, FormatError> {
            let Some(own) = dataset(name) else { return Ok(Vec::new()) };
            Ok(self.numbers(own, path)?.into_iter().map(|number| number as usize).collect())
        };
        let (starts, rows) = (list("jc")?, list("ir")?);
        let (data, imaginary) = match dataset("data") {
            Some(own) => match self.numeric(own, MatClass::Double, path)? {
                MatValue::Numeric { data: MatNumbers::F64(data), imaginary, .. } => match imaginary {
                    Some(MatNumbers::F64(imaginary)) => (data, Some(imaginary)),
                    _ => (data, None),
                },
                _ => (Vec::new(), None),
            },
            None => (Vec::new(), None),
        };
        let rising = starts.windows(2).all(|pair| matches!(pair, [one, next] if one <= next));
        let right = starts.first() == Some(&0) && starts.last() == Some(&data.len()) && rows.len() == data.len() && rising;
        if !right || rows.iter().any(|row| *row >= n_rows || u32::try_from(*row).is_err()) {
            return Err(bad(path, "the parts of a sparse matrix do not fit each other", COPY_AGAIN));
        }
        Ok(MatValue::Sparse {
            dims: [n_rows, starts.len().saturating_sub(1)],
            rows: rows.into_iter().map(|row| row as u32).collect(),
            column_starts: starts,
            data,
            imaginary,
            logical: class == "logical",
        })
    }
}

pub(super) fn sizes(dataset: &Dataset) -> Vec<usize> {
    size_of(dataset).into_iter().map(|length| usize::try_from(length).unwrap_or(usize::MAX)).collect()
}

/// Numbers that are stored in the type of their class.
pub(super) fn stored(datatype: &Datatype, class: MatClass, bytes: &[u8]) -> Option<MatNumbers> {
    let float = matches!(datatype.class, Class::Float { .. });
    let signed = matches!(datatype.class, Class::Integer { signed: true, .. });
    let unsigned = matches!(datatype.class, Class::Integer { signed: false, .. });
    Some(match class {
        MatClass::Double if float => MatNumbers::F64(plain(datatype, bytes)?),
        MatClass::Single if float => MatNumbers::F32(plain(datatype, bytes)?),
        MatClass::Int8 if signed => MatNumbers::I8(plain(datatype, bytes)?),
        MatClass::UInt8 | MatClass::Logical if unsigned => MatNumbers::U8(plain(datatype, bytes)?),
        MatClass::Int16 if signed => MatNumbers::I16(plain(datatype, bytes)?),
        MatClass::UInt16 if unsigned => MatNumbers::U16(plain(datatype, bytes)?),
        MatClass::Int32 if signed => MatNumbers::I32(plain(datatype, bytes)?),
        MatClass::UInt32 if unsigned => MatNumbers::U32(plain(datatype, bytes)?),
        MatClass::Int64 if signed => MatNumbers::I64(plain(datatype, bytes)?),
        MatClass::UInt64 if unsigned => MatNumbers::U64(plain(datatype, bytes)?),
        _ => return None,
    })
}
