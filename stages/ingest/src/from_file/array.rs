//! `ingest.array`: an array of numbers in a file.

use super::{Damaged, FILE, Unsaid, document, refused};
use neuroflow_data::Kind;
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
pictures, weights of safetensors. `first` keeps positions of the first axis only, and reads only those where the format allows.

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
            version: 1,
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
        let document = document(inputs, &Unsaid { reader: None, damaged: params.damaged.clone(), ..Unsaid::default() })?;
        let path = document
            .contents()
            .path_of(&params.of, "array", |what| matches!(what, What::Array { .. } | What::Picture { .. }))
            .map_err(refused)?;
        let part = match (params.first.as_slice(), document.contents().item(path).map(|item| &item.what)) {
            ([], _) => None,
            (&[start, end], Some(What::Array { shape, .. })) if start < end && !shape.is_empty() => Some(
                shape
                    .iter()
                    .enumerate()
                    .map(|(axis, length)| if axis == 0 { start as u64..end as u64 } else { 0..*length })
                    .collect::<Vec<_>>(),
            ),
            _ => {
                return Err(StageError::refused_with_help(
                    "`first` needs the first position and the one after the last",
                    "write `first = [0, 100]`",
                ));
            }
        };
        let tensor = document.tensor(path, part.as_deref()).map_err(refused)?;
        Outputs::new().with("array", tensor)
    }
}
