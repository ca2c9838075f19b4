//! `ingest.table`: a table in a file.

use super::{Damaged, FILE, Unsaid, document, refused};
use neuroflow_data::formats::csv::{CsvOptions, Decimal, Delimiter, HeaderRow};
use neuroflow_data::{Kind, Table};
use neuroflow_formats::Options;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `ingest.table`.
pub struct TableOfFile;

words! {
    /// Whether the first row of a text names its columns.
    pub enum Header {
        /// Found out: it does unless numbers stand in it.
        Found = "found" {},
        /// It does.
        Present = "present" {},
        /// It does not.
        Absent = "absent" {},
    }
}

params! {
    /// Parameters of `ingest.table`.
    pub struct TableOfFileParams {
        /// Which table, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// What stands between two fields of a text: one character, `tab`, or `blanks` for as many as there are; found out when empty.
        delimiter: String = "";
        /// What stands between the whole part of a number and its fraction, in a text: `.` or `,`.
        decimal: String = ".";
        /// Whether the first row of a text names the columns: `found` out, `present`, or `absent`.
        header: Header = Value::word("found");
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives the rows and columns of one table: any table of NWB, a sheet of a workbook, the table of regions of a suite2p folder, a list of edges. Names and types are the file's.
For some rows or columns of a large table, `sql("select … from file.name", file = file)` reads only those.

How a text is cut into columns is found out (`csv("…")` reads it so, too); `delimiter`, `decimal` and `header` say it where it can't be, as with decimal commas.

```nf
pipeline reading "Units"
input text = file("units.csv")
units = ingest.table(text, decimal = ",")
report reading { units }
```"#;

impl Stage for TableOfFile {
    type Params = TableOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.table",
            version: 3,
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
        let options = Options { table: as_told(params)?, ..Options::default() };
        let rows = document(inputs, &Unsaid { reader: Some("csv"), options, damaged: params.damaged.clone() })?
            .rows(&params.of)
            .map_err(refused)?;
        let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
        let batch = rows.read(&columns, 0..rows.count()).map_err(refused)?;
        Outputs::new().with("table", Table::from_batch(batch))
    }
}

/// How a text is read.
fn as_told(params: &TableOfFileParams) -> Result<CsvOptions, StageError> {
    let delimiter = match params.delimiter.as_str() {
        "" => Delimiter::Sniffed,
        "tab" => Delimiter::Byte(b'\t'),
        "blanks" => Delimiter::Blanks,
        told => match told.as_bytes() {
            &[byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') && !byte.is_ascii_alphanumeric() => Delimiter::Byte(byte),
            _ => {
                let message = format!("`delimiter` is `{}`", told.escape_debug());
                return Err(StageError::refused_with_help(message, "write one character such as `\";\"`, `\"tab\"`, or `\"blanks\"`"));
            }
        },
    };
    let decimal = match params.decimal.as_str() {
        "." => Decimal::Point,
        "," => Decimal::Comma,
        told => {
            let message = format!("`decimal` is `{}`", told.escape_debug());
            return Err(StageError::refused_with_help(message, "write `\".\"` or `\",\"`"));
        }
    };
    let header = match params.header {
        Header::Found {} => HeaderRow::Guessed,
        Header::Present {} => HeaderRow::Present,
        Header::Absent {} => HeaderRow::Absent,
    };
    Ok(CsvOptions { delimiter, header, decimal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run_on;
    use arrow::buffer::Buffer;
    use neuroflow_data::Artifact;

    #[test]
    fn a_text_is_read_as_it_is_told() {
        let read = |text: &str, params: &[(&str, Value)]| {
            let mut inputs = Inputs::new();
            inputs.push("file", "", Artifact::from_bytes(Buffer::from_vec(text.as_bytes().to_vec())));
            run_on(&TableOfFile, &inputs, params, &Context::quiet(0)).map(|outputs| outputs.one::<Table>("table").unwrap())
        };
        let delimiter = |text: &str| ("delimiter", Value::Text(text.into()));
        let decimal = |text: &str| ("decimal", Value::Text(text.into()));
        assert_eq!(read("rt;n\n0,5;1\n", &[decimal(",")]).unwrap().numbers("rt").unwrap(), [0.5]);
        assert_eq!(read("a|b\n1|2\n", &[delimiter("|")]).unwrap().numbers("b").unwrap(), [2.0]);
        assert_eq!(read(" 1 \n 2\n", &[delimiter("blanks")]).unwrap().rows(), 2);
        assert_eq!(read("a,b\n1,2\n", &[("header", Value::word("absent"))]).unwrap().rows(), 2);
        assert_eq!(read("a\n", &[delimiter("ab")]).unwrap_err().to_string(), "`delimiter` is `ab`");
        assert_eq!(read("a\n", &[decimal("'")]).unwrap_err().to_string(), "`decimal` is `\\'`");
    }
}
