//! `ingest.array`: an array of numbers in a file.

use super::{Damaged, FILE, Unsaid, document, refused};
use neuroflow_data::{Artifact, Kind, Payload, Tensor, Typed};
use neuroflow_formats::What;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

/// The stage `ingest.array`.
pub struct ArrayOfFile;

params! {
    /// Parameters of `ingest.array`.
    pub struct ArrayOfFileParams {
        /// Which array, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// Positions `a .. b` of the first axis; all when empty.
        first: Vec<usize> = Value::List(Vec::new());
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives an array with its axes, units and the values that the file means (scaled as it says). Volumes of NIfTI `[x × y × z × time]`, datasets of HDF5 and Zarr, variables of MATLAB files,
pictures, weights of safetensors, and members of a family that `npz` gives; a single number of HDF5 or NWB that `of` names is an array of one. Where the voxels of an image lie comes along as the
attributes `affine`, `space` and `space_unit`. `first` keeps positions of the first axis only, and reads only those where the format allows.

```nf
pipeline reading "A part of an array"
input volume = file("volume.npy")
part = ingest.array(volume, first = [0, 2])
report reading { part }
```"#;

impl Stage for ArrayOfFile {
    type Params = ArrayOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.array",
            version: 3,
            summary: "Reads an array of numbers from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("array", Kind::Tensor, "", "The values.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ArrayOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        if let Some(array) = inputs.artifact("file").map(|file| of_family(file, &params.of)).transpose()?.flatten() {
            let kept = match params.first.as_slice() {
                [] => array,
                &[start, end] if start < end => array.select_rows(&(start..end).collect::<Vec<_>>())?,
                _ => return Err(wrong_first()),
            };
            return Outputs::new().with("array", kept);
        }
        let document = document(inputs, &Unsaid { reader: None, damaged: params.damaged.clone(), ..Unsaid::default() })?;
        let contents = document.contents();
        // A single value is shown as it is, and one number is an array of one; which values are numbers, the file knows.
        let named = contents.item(params.of.trim_matches('/')).filter(|item| matches!(item.what, What::Value(_)));
        let path = match named {
            Some(item) => &item.path,
            None => {
                contents.path_of(&params.of, "array", |what| matches!(what, What::Array { .. } | What::Picture { .. })).map_err(refused)?
            }
        };
        let part = match (params.first.as_slice(), contents.item(path).map(|item| &item.what)) {
            ([], _) => None,
            (&[start, end], Some(What::Array { shape, .. })) if start < end && !shape.is_empty() => Some(
                shape
                    .iter()
                    .enumerate()
                    .map(|(axis, length)| if axis == 0 { start as u64..end as u64 } else { 0..*length })
                    .collect::<Vec<_>>(),
            ),
            (_, Some(What::Value(_))) => return Err(StageError::refused_with_help("a single value has no positions", "leave `first` out")),
            _ => return Err(wrong_first()),
        };
        let tensor = document.tensor(path, part.as_deref()).map_err(refused)?;
        if contents.item(path).is_some_and(|item| is_rounded(&item.what, tensor.values())) {
            return Err(StageError::refused_with_help(
                format!("`{}` has integers beyond 2^53, which 64-bit floats can't hold", path.escape_debug()),
                "read them as a table, whose columns hold integers, or store them as smaller numbers: times from a begin, for example",
            ));
        }
        let mut attributes = document.attributes(path, part.as_deref());
        let made = tensor.into_artifact()?;
        let mut meta = made.meta().clone();
        meta.attributes.append(&mut attributes);
        let array = Artifact::from_batch(Kind::Tensor, made.batch_of(Kind::Tensor)?.clone(), meta);
        Ok(Outputs::new().with_artifact("array", array))
    }
}

/// Whether numbers may be others than the whole ones that stand in the file.
fn is_rounded(what: &What, values: &[f64]) -> bool {
    const EXACT: f64 = (1u64 << 53) as f64;
    match what {
        What::Array { element, .. } => element.contains("int64") && values.iter().any(|value| value.abs() >= EXACT),
        What::Value(text) => text.trim().parse::<i128>().is_ok_and(|whole| whole.unsigned_abs() >= 1 << 53),
        _ => false,
    }
}

fn wrong_first() -> StageError {
    StageError::refused_with_help("`first` needs the first position and the one after the last", "write `first = [0, 100]`")
}

/// The array called `of` among those that a reader has made of an archive, or the only one; none when the input is something else.
fn of_family(artifact: &Artifact, of: &str) -> Result<Option<Tensor>, StageError> {
    let Payload::Tree(tree) = artifact.payload() else { return Ok(None) };
    if tree.iter().next().is_none_or(|(_, bytes)| Artifact::decode(Kind::Tensor, bytes).is_err()) {
        return Ok(None);
    }
    let names = || tree.iter().take(8).map(|(name, _)| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
    let bytes = match (of, tree.len()) {
        ("", 1) => tree.iter().next().map(|(_, bytes)| bytes),
        (of, _) => tree.get(of),
    };
    let Some(bytes) = bytes else {
        let message =
            if of.is_empty() { "there are several arrays".to_owned() } else { format!("there is no array `{}`", of.escape_debug()) };
        return Err(StageError::refused_with_help(message, format!("name one with `of`: {}", names())));
    };
    Ok(Some(Tensor::from_artifact(&Artifact::decode(Kind::Tensor, bytes)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, FileTree};
    use neuroflow_formats::write::hdf5::{Data, Hdf5Writer, Storage};
    use std::io::Cursor;

    #[test]
    fn a_member_of_an_archive_is_taken_by_its_name() {
        let tensor = |values: Vec<f64>| Tensor::new(vec![Axis::count("axis_0", values.len())], None, values).unwrap();
        let mut tree = FileTree::new();
        for (name, values) in [("rates", vec![1.0, 2.0, 3.0]), ("times", vec![4.0])] {
            tree.insert(name, tensor(values).into_artifact().unwrap().encode().unwrap().into()).unwrap();
        }
        let mut inputs = Inputs::new();
        inputs.push("file", "", Artifact::from_tree(tree));
        let run = |of: &str, first: Vec<usize>| {
            let params = ArrayOfFileParams { of: of.into(), first, damaged: Damaged::Refuse {} };
            ArrayOfFile.run(&inputs, &params, &Context::quiet(0))?.one::<Tensor>("array")
        };
        assert_eq!(run("rates", vec![]).unwrap().values(), [1.0, 2.0, 3.0]);
        assert_eq!(run("rates", vec![1, 3]).unwrap().values(), [2.0, 3.0]);
        assert!(run("rates", vec![1, 4]).is_err() && run("rates", vec![1]).is_err());
        assert_eq!(run("", vec![]).unwrap_err().to_string(), "there are several arrays");
        assert_eq!(run("rate", vec![]).unwrap_err().help(), Some("name one with `of`: `rates`, `times`"));
    }

    fn taken(of: &str, first: Vec<usize>) -> Result<Tensor, StageError> {
        let mut file = Hdf5Writer::new(Cursor::new(Vec::new())).unwrap();
        file.dataset("/many", &Data::F64(&[1.0, 2.0]), &[2], &Storage::plain()).unwrap();
        file.dataset("/times", &Data::I64(&[1_700_000_000_123_456_789, 1]), &[2], &Storage::plain()).unwrap();
        file.dataset("/below/rate", &Data::I32(&[250]), &[], &Storage::plain()).unwrap();
        file.dataset("/below/name", &Data::Text("m1"), &[], &Storage::plain()).unwrap();
        let mut inputs = Inputs::new();
        inputs.push("file", "", Artifact::from_bytes(file.finish().unwrap().into_inner().into()));
        let params = ArrayOfFileParams { of: of.into(), first, damaged: Damaged::Refuse {} };
        ArrayOfFile.run(&inputs, &params, &Context::quiet(0))?.one("array")
    }

    #[test]
    fn of_an_image_the_voxels_are_meant_and_not_its_affine() {
        let mut image = vec![0u8; 352];
        image[..4].copy_from_slice(&348i32.to_le_bytes());
        image[40..44].copy_from_slice(&[1, 0, 2, 0]);
        (image[70], image[72], image[123]) = (4, 16, 3);
        image[108..112].copy_from_slice(&352f32.to_le_bytes());
        image[344..347].copy_from_slice(b"n+1");
        image.extend([7, 0, 9, 0]);
        let mut inputs = Inputs::new();
        inputs.push("file", "", Artifact::from_bytes(image.into()));
        let params = ArrayOfFileParams { of: String::new(), first: vec![], damaged: Damaged::Refuse {} };
        let outputs = ArrayOfFile.run(&inputs, &params, &Context::quiet(0)).unwrap();
        assert_eq!(outputs.one::<Tensor>("array").unwrap().values(), [7.0, 9.0]);
    }

    #[test]
    fn a_single_number_that_is_named_is_an_array_of_one() {
        let single = taken("/below/rate", vec![]).unwrap();
        assert_eq!((single.shape(), single.values()), (vec![1], [250.0].as_slice()));
        assert_eq!(taken("many", vec![]).unwrap().values(), [1.0, 2.0]);
        let refusal = |of: &str, first: Vec<usize>| taken(of, first).unwrap_err().to_string();
        assert!(refusal("below/rate", vec![0, 1]).contains("a single value has no positions"));
        assert!(refusal("below/name", vec![]).contains("not numbers"), "{}", refusal("below/name", vec![]));
        assert!(refusal("below", vec![]).contains("this is a group, not an array"));
        assert!(refusal("times", vec![]).contains("`times` has integers beyond 2^53"), "{}", refusal("times", vec![]));
    }
}
