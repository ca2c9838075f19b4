//! Files for other programs: HDF5, NWB, NIfTI, BrainVision.
//!
//! [`artifact`] writes a result as one of them; the modules below write what is put together by hand. No writer reads a clock or draws at random:
//! equal calls give equal bytes.

pub mod brainvision;
mod gzip;
pub mod hdf5;
pub mod nifti;
pub mod nwb;

pub use crate::document::{AFFINE, FORMS, REPETITION_TIME, SPACE, SPACE_UNIT};

use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Artifact, Kind, Payload, Tensor, Typed};
use std::fmt;
use std::io::{Cursor, Seek, Write};
use std::str::FromStr;

/// A file that a result can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// NWB 2, on HDF5.
    Nwb,
    /// NIfTI, in one file.
    Nifti,
    /// NIfTI, compressed.
    NiftiGz,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 3] = [Form::Nwb, Form::Nifti, Form::NiftiGz];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Form::Nwb => "nwb",
            Form::Nifti => "nifti",
            Form::NiftiGz => "nifti.gz",
        }
    }

    /// The form that a file's name asks for by its ending.
    pub fn of_file(name: &str) -> Option<Form> {
        let name = name.to_lowercase();
        let endings = [(".nwb", Form::Nwb), (".nii", Form::Nifti), (".nii.gz", Form::NiftiGz)];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, form)| form)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = Form::ALL.map(Form::name).join(", ");
        Form::ALL.into_iter().find(|form| form.name() == text).ok_or_else(|| format!("`{text}` is not one of {all}"))
    }
}

/// Writes a result under a name to an output, from its first byte. An NWB file has the facts and the provenance in its places, an image has the
/// provenance as the comment in its header.
///
/// # Errors
/// When the form can't hold the artifact, the facts are not whole (see [`nwb::Facts::check`]; images need none), or the output can't be written.
pub fn artifact<W: Write + Seek>(out: W, form: Form, name: &str, artifact: &Artifact, facts: &nwb::Facts) -> Result<W, FormatError> {
    match form {
        Form::Nwb => {
            let mut writer = nwb::NwbWriter::new(out, facts)?;
            writer.artifact(name, artifact)?;
            writer.finish()
        }
        Form::Nifti | Form::NiftiGz => {
            let (tensor, mut options) = image(artifact)?;
            options.gzip = form == Form::NiftiGz;
            options.description = name.to_owned();
            let lines = facts.provenance.iter().map(|(fact, value)| format!("{fact}: {value}\n"));
            options.comment = lines.collect();
            nifti::write_nifti(out, &tensor, &options)
        }
    }
}

/// As [`artifact`], as bytes.
///
/// # Errors
/// As [`artifact`].
pub fn artifact_bytes(form: Form, name: &str, of: &Artifact, facts: &nwb::Facts) -> Result<Vec<u8>, FormatError> {
    artifact(Cursor::new(Vec::new()), form, name, of, facts).map(Cursor::into_inner)
}

/// An artifact as an image: a tensor, with affine, its unit and space, and repetition time where its attributes have them.
fn image(artifact: &Artifact) -> Result<(Tensor, nifti::Options), FormatError> {
    let bad = |reason: String, help: &str| FormatError::new(Format::Nifti, Place::File, reason, help);
    if artifact.kind() != Kind::Tensor || !matches!(artifact.payload(), Payload::Batch(_)) {
        return Err(bad(format!("an image is made of a Tensor, this is a {}", artifact.kind()), "`--as nwb` or csv takes it"));
    }
    let tensor = Tensor::from_artifact(artifact).map_err(|error| bad(error.to_string(), "compute it again"))?;
    let attributes = &artifact.meta().attributes;
    let mut options =
        nifti::Options { repetition_time: attributes.get(REPETITION_TIME).and_then(|time| time.as_f64()), ..Default::default() };
    if let Some(value) = attributes.get(AFFINE) {
        let rows: Option<Vec<[f64; 4]>> = serde_json::from_value(value.clone()).ok();
        let rows = rows.filter(|rows| matches!(rows.get(3), None | Some([0.0, 0.0, 0.0, 1.0])) && rows.len() <= 4);
        let affine = rows.as_deref().and_then(|rows| rows.first_chunk::<3>()).copied();
        let help = "write three rows of four numbers";
        options.code = attributes.get(SPACE).and_then(serde_json::Value::as_i64).and_then(|code| i16::try_from(code).ok());
        options.space_unit = attributes.get(SPACE_UNIT).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        options.forms = attributes.get(FORMS).and_then(|codes| serde_json::from_value(codes.clone()).ok());
        options.affine = Some(affine.ok_or_else(|| bad(format!("the attribute `{AFFINE}` is no affine: {value}"), help))?);
    }
    Ok((tensor, options))
}
