//! Which rows an artifact has for a query.
//!
//! Tables, scores, edges and communities are the columns they are made of. Tensors are laid out in [long form](crate::long_form). A file is a table when it
//! is a Parquet or Arrow file; one of Arrow that holds an artifact is that artifact.

use crate::document_rows::document_tables;
use crate::family::Family;
use crate::filled::filled;
use crate::long_form::{LongForm, is_tensor};
use crate::raw_files::{ArrowRows, ParquetRows};
use crate::rows::{Columns, Named, Rows, batch_of};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use neuroflow_data::artifact::METADATA_KEY;
use neuroflow_data::formats::arrow_ipc::ArrowFile;
use neuroflow_data::formats::parquet_file::ParquetFile;
use neuroflow_data::formats::{FormatError, Limits};
use neuroflow_data::{Artifact, Axis, Kind, Payload, columns};
use neuroflow_formats::{Opened, Options};
use neuroflow_stage::{Inputs, StageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kinds that can be tables.
pub(crate) const KINDS: &[Kind] = &[
    Kind::Table,
    Kind::Recording,
    Kind::Spikes,
    Kind::Events,
    Kind::Responses,
    Kind::Tensor,
    Kind::Features,
    Kind::Rdm,
    Kind::Graph,
    Kind::Communities,
    Kind::Model,
    Kind::Scores,
    Kind::File,
    Kind::Dir,
];

/// The tables of a query by name.
///
/// # Errors
/// When an input is no table, or the members of a family do not go together.
pub(crate) fn tables(inputs: &Inputs) -> Result<BTreeMap<String, Arc<dyn Rows>>, StageError> {
    let mut slots: BTreeMap<String, Vec<(String, Arc<dyn Rows>)>> = BTreeMap::new();
    // Names that hold for a whole family only when they do for each of its members.
    let (mut short, mut members): (BTreeMap<String, String>, BTreeMap<String, usize>) = (BTreeMap::new(), BTreeMap::new());
    for (slot, label, artifact) in inputs.iter() {
        let named = |problem| match problem {
            StageError::Refused { message, help } => StageError::Refused { message: format!("table `{slot}`: {message}"), help },
            other => other,
        };
        if let Some(document) = document(artifact).map_err(named)? {
            *members.entry(slot.to_owned()).or_default() += 1;
            for table in document_tables(&document, slot).map_err(named)? {
                if table.is_short {
                    short.insert(table.name.clone(), slot.to_owned());
                }
                slots.entry(table.name).or_default().push((label.to_owned(), table.rows));
            }
            continue;
        }
        let rows = rows(artifact).map_err(named)?;
        slots.entry(slot.to_owned()).or_default().push((label.to_owned(), rows));
    }
    slots.retain(|name, rows| short.get(name).is_none_or(|slot| members.get(slot) == Some(&rows.len())));
    slots
        .into_iter()
        .map(|(slot, mut members)| {
            let single = members.len() == 1 && members[0].0.is_empty();
            let rows: Arc<dyn Rows> = match members.pop() {
                Some((_, rows)) if single => rows,
                last => {
                    members.extend(last);
                    let help = "query the members one by one, or make their columns alike in the steps before";
                    let family = Family::new(members);
                    Arc::new(family.map_err(|reason| StageError::refused_with_help(format!("table `{slot}`: {reason}"), help))?)
                }
            };
            let place = format!("table `{slot}`");
            Ok((slot, Arc::new(Named::new(place, filled(rows))) as Arc<dyn Rows>))
        })
        .collect()
}

/// What a file is that holds things of several kinds; none for what is a table itself.
fn document(artifact: &Artifact) -> Result<Option<Opened>, StageError> {
    let is_table = |bytes: &[u8]| bytes.starts_with(b"PAR1") || bytes.starts_with(b"ARROW1");
    let opened = match artifact.payload() {
        Payload::Batch(_) => return Ok(None),
        Payload::Bytes(bytes) if is_table(bytes) => return Ok(None),
        Payload::Bytes(bytes) => neuroflow_formats::open(Arc::new(bytes.clone()), &Options::default()),
        Payload::Tree(tree) => neuroflow_formats::open_folder(Arc::new(tree.clone()), &Options::default()),
    };
    let opened = opened.map_err(|error| damaged(&error))?;
    opened.contents().whole().map_err(|error| damaged(&error))?;
    Ok(Some(opened))
}

fn rows(artifact: &Artifact) -> Result<Arc<dyn Rows>, StageError> {
    match artifact.payload() {
        Payload::Batch(batch) => columns_or_tensor(artifact, batch),
        Payload::Bytes(bytes) if bytes.starts_with(b"PAR1") => {
            Ok(Arc::new(ParquetRows::new(ParquetFile::open(bytes, &Limits::default()).map_err(|error| damaged(&error))?)))
        }
        Payload::Bytes(bytes) if bytes.starts_with(b"ARROW1") => {
            let file = ArrowFile::open(bytes, &Limits::default()).map_err(|error| damaged(&error))?;
            match file.schema().metadata().contains_key(METADATA_KEY) {
                true => rows(&Artifact::decode_described(bytes)?),
                false => Ok(Arc::new(ArrowRows::new(file))),
            }
        }
        _ => Err(StageError::refused_with_help(
            format!("a {} of no format that is known has no columns to ask for", artifact.kind()),
            "`neuroflow inspect` shows what is in a file",
        )),
    }
}

fn damaged(error: &FormatError) -> StageError {
    StageError::refused(error.to_string())
}

/// The columns of an artifact as they stand, or, when it has a tensor over its axes, the long form.
fn columns_or_tensor(artifact: &Artifact, batch: &RecordBatch) -> Result<Arc<dyn Rows>, StageError> {
    let axes = &artifact.meta().axes;
    if artifact.kind() == Kind::Graph
        && let Some(nodes) = axes.first()
    {
        return Ok(Arc::new(Columns::new(with_node_names(batch, nodes)?)));
    }
    let expected = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.len()));
    let values = columns::tensor_values(batch, "values").ok().filter(|values| !axes.is_empty() && Some(values.len()) == expected);
    let Some(values) = values else { return Ok(Arc::new(Columns::new(batch.clone()))) };
    let mut long = LongForm::new(axes);
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        // An axis' labels may stand beside the tensor once more.
        let said = axes.iter().any(|axis| axis.name == *field.name());
        if field.name() != "values" && !said && !is_tensor(field) {
            long.add_of_axis(field.name(), 0, Arc::clone(array));
        }
    }
    add_covariates(&mut long, artifact, batch);
    long.add_values("value", values);
    Ok(Arc::new(long))
}

/// The animal's signals `[trial × covariate × bin]` beside responses `[trial × unit × bin]`: one column each.
fn add_covariates(long: &mut LongForm, artifact: &Artifact, batch: &RecordBatch) {
    let axes = artifact.meta().attributes.get("covariate_axes").and_then(|axes| serde_json::from_value::<Vec<Axis>>(axes.clone()).ok());
    let (Some(axes), Ok(values)) = (axes, columns::tensor_values(batch, "covariates")) else { return };
    let ([trials, covariates, bins], [of_trials, _, of_bins]) = (axes.as_slice(), artifact.meta().axes.as_slice()) else { return };
    let fits = trials.len() == of_trials.len() && bins.len() == of_bins.len();
    if !fits || trials.len().checked_mul(covariates.len()).and_then(|n| n.checked_mul(bins.len())) != Some(values.len()) {
        return;
    }
    for covariate in 0..covariates.len() {
        let name = covariates.coordinates.label(covariate);
        long.add_strided(&name, values.clone(), covariate * bins.len(), vec![covariates.len() * bins.len(), 0, 1]);
    }
}

/// Edges with the names of their nodes beside the positions.
fn with_node_names(batch: &RecordBatch, nodes: &Axis) -> Result<RecordBatch, StageError> {
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
    for end in ["source", "target"] {
        let positions = columns::integers(batch, end)?;
        let names =
            positions.iter().map(|&position| usize::try_from(position).map_or_else(|_| String::new(), |at| nodes.coordinates.label(at)));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(names));
        fields.push(Field::new(format!("{end}_node"), column.data_type().clone(), false));
        arrays.push(column);
    }
    Ok(batch_of(&Arc::new(Schema::new(fields)), arrays, batch.num_rows()).map_err(neuroflow_data::DataError::from)?)
}
