//! NumPy `.npz` archives: several named `.npy` arrays in a zip file, stored (`savez`) or deflated (`savez_compressed`).
//!
//! Everything that [`read_npy`](super::npy::read_npy) refuses is refused here too, with the member's name; members that are no `.npy`
//! files are an error. Checksums are verified. A member that claims to inflate to more than deflate can do, or than [`Limits`] allow, is refused
//! before it is inflated, and one member is inflated at a time.

use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::limits::{Budget, Limits};
use super::npy::{self, NpyArray};
use super::zip_directory::{Member, member_bytes, members};
use super::{Format, FormatError, Place};

/// The arrays of a `.npz` file.
#[derive(Debug, Clone, PartialEq)]
pub struct NpzFile {
    /// Names (without `.npy`) and arrays, in the archive's order.
    pub arrays: Vec<(String, NpyArray)>,
}

impl NpzFile {
    /// The array called `name`; the error lists the names that exist.
    pub fn get(&self, name: &str) -> Result<&NpyArray, FormatError> {
        self.arrays.iter().find(|(own, _)| own == name).map(|(_, array)| array).ok_or_else(|| {
            let names: Vec<&str> = self.arrays.iter().map(|(own, _)| own.as_str()).collect();
            FormatError::new(
                Format::Npz,
                Place::File,
                format!("there is no array `{name}`"),
                format!("the file holds: {}", names.join(", ")),
            )
        })
    }
}

/// Reads all arrays of an archive.
pub fn read_npz(bytes: &[u8], limits: &Limits) -> Result<NpzFile, FormatError> {
    let mut budget = Budget::new(limits.max_total_bytes);
    let directory = members(bytes).map_err(|(byte, reason)| FormatError::new(Format::Npz, Place::Byte(byte), reason, COPY_AGAIN))?;
    let mut arrays: Vec<(String, NpyArray)> = Vec::new();
    for member in &directory {
        let Some(name) = member.name.strip_suffix(".npy") else {
            return Err(at(
                member,
                0,
                "the member is no .npy file".to_owned(),
                "write the archive with `numpy.savez`, or read the other members with another tool",
            ));
        };
        arrays.push((name.to_owned(), array_of(bytes, member, limits, &mut budget)?));
    }
    Ok(NpzFile { arrays })
}

fn array_of(bytes: &[u8], member: &Member, limits: &Limits, budget: &mut Budget) -> Result<NpyArray, FormatError> {
    let file = member_bytes(bytes, member, limits, budget).map_err(|(byte, reason)| {
        let help = if reason.contains("may hold") || reason.contains("allowed") { RAISE_LIMIT } else { COPY_AGAIN };
        at(member, byte, reason, help)
    })?;
    let array = npy::read_with_budget(&file, budget).map_err(|error| {
        let byte = match error.place {
            Place::Byte(byte) => byte,
            _ => 0,
        };
        at(member, byte, error.reason, &error.help)
    })?;
    budget.release(file.len() as u64);
    Ok(array)
}

fn at(member: &Member, byte: u64, reason: String, help: &str) -> FormatError {
    FormatError::new(Format::Npz, Place::Member { name: member.name.clone(), byte }, reason, help)
}
