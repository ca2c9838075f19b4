//! NumPy `.npz` as a document: one array for each member. Members are inflated when they are asked for, one at a time.

use super::npy::{grid, item, text_rows};
use crate::document::{Contents, Document, Item, Rows, What};
use crate::grid::Named;
use crate::reading::{unique, whole};
use crate::source::Source;
use arrow::buffer::Buffer;
use neuroflow_data::Tensor;
use neuroflow_data::formats::npy::{read_npy, read_npy_header};
use neuroflow_data::formats::zip_directory::{Member, ZipProblem, member_bytes, member_start, members};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place, RAISE_LIMIT};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// An opened `.npz` archive: its directory and the headers of its arrays have been read.
#[derive(Debug)]
pub struct NpzDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    members: BTreeMap<String, Member>,
    limits: Limits,
}

/// Opens a `.npz` archive.
///
/// # Errors
/// When its directory is damaged. A member that is no array is listed with what is wrong.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<NpzDocument, FormatError> {
    /// More than the header of any array that is read.
    const HEADER: u64 = 1 << 12;
    let mut contents = Contents::new(Format::Npz, "");
    let mut named = BTreeMap::new();
    {
        let bytes = whole(source.as_ref(), Format::Npz, limits)?;
        let directory = members(&bytes).map_err(|(byte, reason)| FormatError::new(Format::Npz, Place::Byte(byte), reason, COPY_AGAIN))?;
        let mut taken = BTreeMap::new();
        for member in directory {
            let path = unique(member.name.strip_suffix(".npy").unwrap_or(&member.name), &mut taken);
            let start = member_start(&bytes, &member, HEADER).map_err(|(byte, reason)| {
                let reason = format!("member `{}` can't be had: {reason}", member.name.escape_debug());
                contents.damage.push(FormatError::new(Format::Npz, Place::Byte(byte), reason.clone(), OR_ACCEPT));
                reason
            });
            let header = start.and_then(|start| read_npy_header(&start).map_err(|error| format!("{}: {}", error.place, error.reason)));
            match header {
                Ok(header) => contents.items.push(item(&path, &header)),
                Err(reason) => {
                    contents.items.push(Item { path: path.clone(), what: What::Value("not an array".into()), about: reason.clone() });
                    contents.notes.push(format!("member `{}` is not read: {reason}", member.name.escape_debug()));
                }
            }
            named.insert(path, member);
        }
    }
    Ok(NpzDocument { contents, source, members: named, limits: limits.clone() })
}

impl NpzDocument {
    fn inflated(&self, path: &str) -> Result<Vec<u8>, FormatError> {
        let Some(member) = self.members.get(path) else { return Err(self.contents.none("array", path)) };
        let bytes = whole(self.source.as_ref(), Format::Npz, &self.limits)?;
        let mut budget = Budget::new(self.limits.max_total_bytes);
        member_bytes(&bytes, member, &self.limits, &mut budget).map_err(|(byte, reason): ZipProblem| {
            let help = if reason.contains("may hold") || reason.contains("allowed") { RAISE_LIMIT } else { COPY_AGAIN };
            FormatError::new(Format::Npz, Place::Member { name: member.name.clone(), byte }, reason, help)
        })
    }

    fn inside(&self, path: &str, error: FormatError) -> FormatError {
        let byte = if let Place::Byte(byte) = error.place { byte } else { 0 };
        FormatError::new(Format::Npz, Place::Member { name: format!("{path}.npy"), byte }, error.reason, error.help)
    }
}

impl Document for NpzDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = self.contents.path_of(path, "table", |what| what.word() == "table")?;
        let array = read_npy(&self.inflated(path)?, &self.limits).map_err(|error| self.inside(path, error))?;
        text_rows(Format::Npz, &array)
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| what.word() == "array")?;
        let bytes = self.inflated(path)?;
        let header = read_npy_header(&bytes).map_err(|error| self.inside(path, error))?;
        let Some(grid) = grid(&header) else {
            let place = Place::Member { name: format!("{path}.npy"), byte: header.data_start as u64 };
            return Err(FormatError::new(Format::Npz, place, "the shape multiplies to more than a computer can count", COPY_AGAIN));
        };
        let named = Named { path: path.to_owned(), grid, axes: Vec::new(), unit: String::new() };
        named.tensor(&Buffer::from_vec(bytes), Format::Npz, part, &self.limits)
    }
}
