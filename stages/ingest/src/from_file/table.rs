//! `ingest.table`: a table in a file.

use super::{Damaged, FILE, Unsaid, document, refused};
use neuroflow_data::{Kind, Table};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

/// The stage `ingest.table`.
pub struct TableOfFile;

params! {
    /// Parameters of `ingest.table`.
    pub struct TableOfFileParams {
        /// Which table, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives the rows and columns of one table: any table of NWB, a sheet of a workbook, the table of regions of a suite2p folder, a list of edges. Names and types are the file's.
For some rows or columns of a large table, `sql("select … from file.name", file = file)` reads only those.

```nf
pipeline reading "Units"
input text = file("units.csv")
units = ingest.table(text)
report reading { units }
```"#;

impl Stage for TableOfFile {
    type Params = TableOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.table",
            version: 1,
            summary: "Reads a table from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("table", Kind::Table, "", "The table.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TableOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        let rows = document(inputs, &Unsaid { reader: Some("csv"), damaged: params.damaged.clone(), ..Unsaid::default() })?
            .rows(&params.of)
            .map_err(refused)?;
        let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
        let batch = rows.read(&columns, 0..rows.count()).map_err(refused)?;
        Outputs::new().with("table", Table::from_batch(batch))
    }
}
