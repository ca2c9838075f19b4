//! Graphs as lists of edges: two columns of names or numbers, and what else stands beside them; plain or gzip.
//!
//! Columns are separated by tabs, commas, semicolons or blanks; lines that begin with `#` or `%` are comments. With a header, the ends are the
//! columns
//! `source` and `target` (or `from`/`to`, `pre`/`post`, `i`/`j`, `u`/`v`), else the first two, and the weight is `weight` (or `synapses`,
//! `count`, `value`); without one, the third column is the weight when it is a number. Lines that end with a dictionary, `0 1 {'weight': 4}`, are those of
//! networkx's `write_edgelist`: its keys are columns.
//!
//! A list does not say whether its edges have a direction. Told nothing, edges between numbers in a list without a header are undirected when no
//! pair of
//! nodes stands in both ways, and all others are directed.

use super::python_dict::dict;
use super::{Attribute, Found, GraphDocument};
use crate::reading::plain;
use crate::source::Source;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use neuroflow_data::formats::csv::{CsvOptions, HeaderRow, read_csv};
use neuroflow_data::formats::{Format, FormatError, Limits, Place};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// How to read a list of edges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EdgeListOptions {
    /// Whether edges have a direction; found out when nothing is said.
    pub directed: Option<bool>,
    /// How the text is cut into columns.
    pub table: CsvOptions,
}

/// Opens a list of edges.
///
/// # Errors
/// When rows differ in length, there are fewer than two columns, an end is missing, or a dictionary behind the ends holds more than names and numbers.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<GraphDocument, FormatError> {
    open_with(source, &EdgeListOptions::default(), limits)
}

/// Opens a list of edges, as told.
///
/// # Errors
/// As [`open`].
pub fn open_with(source: Arc<dyn Source>, options: &EdgeListOptions, limits: &Limits) -> Result<GraphDocument, FormatError> {
    let (batch, dicts, comments) = {
        let bytes = plain(source.as_ref(), Format::EdgeList, limits)?;
        let (text, comments) = cleaned(&bytes);
        let read = |text: &[u8], table: &CsvOptions| {
            read_csv(text, table, limits).map_err(|error| FormatError { format: Format::EdgeList, ..error })
        };
        match dictionaries(&text, limits)? {
            Some((ends, dicts)) => {
                // A header would have no dictionary.
                (read(&ends, &CsvOptions { header: HeaderRow::Absent, ..options.table.clone() })?, dicts, comments)
            }
            None => (read(&text, &options.table)?, Vec::new(), comments),
        }
    };
    let mut found = found(&batch, options.directed)?;
    for (row, dict) in dicts.into_iter().enumerate() {
        for (name, value) in dict {
            found.edge_attributes.set(row, &name, value);
        }
    }
    if comments > 0 {
        found.notes.push(format!("{comments} lines are comments"));
    }
    GraphDocument::new(Format::EdgeList, "", found)
}

/// The text with its comments emptied, and how many there were. Lines stay as many as they are, so that messages name the right one.
fn cleaned(bytes: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let is_comment = |line: &[u8]| line.trim_ascii_start().first().is_some_and(|first| b"#%".contains(first));
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let comments = lines.clone().filter(|line| is_comment(line)).count();
    if comments == 0 {
        return (Cow::Borrowed(bytes), 0);
    }
    let kept = lines.map(|line| if is_comment(line) { &b"\n"[..] } else { line });
    (Cow::Owned(kept.flatten().copied().collect()), comments)
}

/// What stands behind the ends of an edge, by name.
type Dict = Vec<(String, Attribute)>;

/// The text without the dictionaries behind its edges, and the dictionaries; `None` where the first line has none.
fn dictionaries(text: &[u8], limits: &Limits) -> Result<Option<(Vec<u8>, Vec<Dict>)>, FormatError> {
    let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
    // The first brace, for a name of a node has none and a text in the dictionary may.
    let open = |line: &[u8]| line.trim_ascii_end().ends_with(b"}").then(|| line.iter().position(|byte| *byte == b'{')).flatten();
    let lines = text.split(|byte| *byte == b'\n');
    if lines.clone().find(|line| !is_blank(line)).is_none_or(|line| open(line).is_none()) {
        return Ok(None);
    }
    let help = "write the list with `networkx.write_weighted_edgelist`, or the graph with `networkx.write_graphml`";
    let (mut ends, mut dicts, mut columns) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (number, line) in lines.enumerate() {
        if !is_blank(line) {
            let place = Place::Line { line: number as u64 + 1, field: None };
            let refuse = |reason: String| FormatError::new(Format::EdgeList, place.clone(), reason, help);
            let at = open(line).ok_or_else(|| refuse("the edges above have a dictionary behind them, this one has none".into()))?;
            let (before, behind) = line.split_at_checked(at).unwrap_or((line, &[]));
            let behind = std::str::from_utf8(behind).map_err(|_| refuse("the dictionary is not UTF-8".into()))?;
            let dict = dict(behind.trim()).map_err(refuse)?;
            columns.extend(dict.iter().map(|(name, _)| name.clone()));
            let most = limits.max_columns.min(4096);
            if columns.len() > most {
                return Err(refuse(format!("there are more than {most} properties")));
            }
            dicts.push(dict);
            let before = before.trim_ascii_end();
            ends.extend(before.strip_suffix(b",").or_else(|| before.strip_suffix(b";")).unwrap_or(before));
        }
        // Lines stay as many as they are, so that messages name the right one.
        ends.push(b'\n');
    }
    Ok(Some((ends, dicts)))
}

const ENDS: [(&[&str], &[&str]); 1] =
    [(&["source", "from", "pre", "i", "u", "node1", "node 1", "src"], &["target", "to", "post", "j", "v", "node2", "node 2", "dst"])];
const WEIGHTS: [&str; 7] = ["weight", "synapses", "count", "value", "w", "number", "nbr"];

fn found(batch: &RecordBatch, directed: Option<bool>) -> Result<Found, FormatError> {
    let refuse =
        |reason: String| FormatError::new(Format::EdgeList, Place::File, reason, "a list of edges has two columns of nodes, or more");
    if batch.num_columns() < 2 {
        return Err(refuse(format!("the table has {} columns", batch.num_columns())));
    }
    let schema = batch.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().trim().to_lowercase()).collect();
    let named = |wanted: &[&str]| wanted.iter().find_map(|name| names.iter().position(|own| own == name));
    let [(sources, targets)] = ENDS;
    let header = !names.iter().enumerate().all(|(place, name)| *name == format!("column_{}", place + 1));
    let (source, target) = named(sources).zip(named(targets)).unwrap_or((0, 1));
    let numeric = |place: usize| batch.columns().get(place).is_some_and(|column| column.data_type().is_numeric());
    let weight =
        named(&WEIGHTS).filter(|place| numeric(*place)).or_else(|| (!header && numeric(2) && source == 0 && target == 1).then_some(2));
    let (Some(first), Some(second)) = (batch.columns().get(source), batch.columns().get(target)) else {
        return Err(refuse("a column of ends is missing".into()));
    };
    let mut found = Found::default();
    let one_way = nodes(first, second, &mut found)?;
    found.directed = directed.unwrap_or(header || !one_way);
    for (place, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        if place == source || place == target {
            continue;
        }
        let name = if Some(place) == weight && !header { "weight".to_owned() } else { field.name().clone() };
        attributes(&name, column, &mut found);
        if Some(place) == weight {
            found.weight = Some(name);
        }
    }
    Ok(found)
}

/// Finds nodes and ends; true when the nodes are numbers and no pair of them stands in both ways.
fn nodes(first: &ArrayRef, second: &ArrayRef, found: &mut Found) -> Result<bool, FormatError> {
    let missing = |row: usize| {
        let place = Place::Line { line: row as u64 + 1, field: None };
        FormatError::new(Format::EdgeList, place, "an end of the edge is missing", "name both nodes of every edge")
    };
    if let (Some(sources), Some(targets)) = (first.as_primitive_opt::<Int64Type>(), second.as_primitive_opt::<Int64Type>()) {
        if let Some(row) = (0..sources.len()).find(|row| sources.is_null(*row) || targets.is_null(*row)) {
            return Err(missing(row));
        }
        let ids: BTreeSet<i64> = sources.values().iter().chain(targets.values()).copied().collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let place = |id: &i64| ids.binary_search(id).unwrap_or_default();
        found.ends = sources.values().iter().zip(targets.values()).map(|(source, target)| (place(source), place(target))).collect();
        let pairs: HashSet<(usize, usize)> = found.ends.iter().copied().collect();
        let one_way = pairs.iter().all(|(source, target)| source == target || !pairs.contains(&(*target, *source)));
        found.labels = vec![None; ids.len()];
        found.ids = ids.iter().map(i64::to_string).collect();
        return Ok(one_way);
    }
    let text = |column: &ArrayRef| arrow::compute::cast(column, &DataType::Utf8);
    let (Ok(sources), Ok(targets)) = (text(first), text(second)) else {
        return Err(FormatError::new(Format::EdgeList, Place::File, "the ends are neither numbers nor names", "name the nodes"));
    };
    let (sources, targets) = (sources.as_string::<i32>(), targets.as_string::<i32>());
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut ids = Vec::new();
    let mut place = |name: &str| {
        let name = name.trim();
        if let Some(place) = places.get(name) {
            return *place;
        }
        ids.push(name.to_owned());
        places.insert(name.to_owned(), ids.len() - 1);
        ids.len() - 1
    };
    for row in 0..sources.len() {
        if sources.is_null(row) || targets.is_null(row) {
            return Err(missing(row));
        }
        found.ends.push((place(sources.value(row)), place(targets.value(row))));
    }
    found.labels = vec![None; ids.len()];
    found.ids = ids;
    Ok(false)
}

fn attributes(name: &str, column: &ArrayRef, found: &mut Found) {
    let whole = column.as_primitive_opt::<Int64Type>();
    let real = column.as_primitive_opt::<Float64Type>();
    let texts = arrow::compute::cast(column, &DataType::Utf8).ok();
    for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
        let value = match (whole, real) {
            (Some(own), _) => Attribute::Whole(own.value(row)),
            (_, Some(own)) => Attribute::Real(own.value(row)),
            _ => match texts.as_ref().and_then(|texts| texts.as_string_opt::<i32>()) {
                Some(own) => Attribute::Text(own.value(row).trim_end().to_owned()),
                None => continue,
            },
        };
        found.edge_attributes.set(row, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use arrow::buffer::Buffer;

    fn opened(text: &str) -> Result<GraphDocument, FormatError> {
        open(Arc::new(Buffer::from_vec(text.as_bytes().to_vec())), &Limits::default())
    }

    #[test]
    fn numbers_without_a_header_are_undirected_when_no_pair_stands_both_ways() {
        for text in
            ["0 1 3735.0\n0 2 1060.0\n10 11 2\n", "# made\n0\t1\t3735.0\n0\t2\t1060.0\n10\t11\t2\n", "  0  1   3735\n0 2 1060\n 10 11 2\n"]
        {
            let document = opened(text).unwrap();
            let graph = document.graph("").unwrap();
            assert!(!graph.is_directed(), "{text}");
            assert_eq!(graph.nodes().len(), 5);
            assert_eq!(graph.nodes().coordinates.label(3), "10");
            assert_eq!((graph.edges().len(), graph.edges()[0].weight), (3, 3735.0));
            assert_eq!(graph.weight, "weight");
        }
        assert!(opened("0 1 2\n1 0 3\n").unwrap().graph("").unwrap().is_directed());
        assert_eq!(opened("0 1\n0 2\n").unwrap().graph("").unwrap().edges()[0].weight, 1.0);
    }

    #[test]
    fn a_header_names_ends_and_weight() {
        let document = opened("type,pre,post,synapses\nchemical,A ,B  ,3\nelectrical,B,A,1\n").unwrap();
        let graph = document.graph("").unwrap();
        assert!(graph.is_directed() && graph.weight == "synapses");
        assert_eq!(graph.nodes().coordinates.label(1), "B");
        let edges = document.rows("edges").unwrap();
        let names: Vec<String> = edges.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["source", "target", "type", "synapses"]);
        use neuroflow_data::formats::csv::HeaderRow;
        let table = CsvOptions { header: HeaderRow::Absent, ..CsvOptions::default() };
        let told = EdgeListOptions { directed: Some(false), table };
        let source = Arc::new(Buffer::from_vec(b"a b\nb a\n".to_vec()));
        assert_eq!(open_with(source, &told, &Limits::default()).unwrap().graph("").unwrap().edges()[0].weight, 2.0);
    }

    #[test]
    fn dictionaries_of_networkx_are_columns() {
        let document = opened("# made\n0 1 {'weight': 2.5, 'type': 'gap'}\n\n1 2 {'weight': 4}\n").unwrap();
        let graph = document.graph("").unwrap();
        assert_eq!(
            graph.edges().iter().map(|edge| (edge.source, edge.target, edge.weight)).collect::<Vec<_>>(),
            [(0, 1, 2.5), (1, 2, 4.0)]
        );
        assert!(!graph.is_directed() && graph.weight == "weight");
        let edges = document.rows("edges").unwrap();
        let names: Vec<String> = edges.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["source", "target", "weight", "type"]);
        assert_eq!(opened("a,b,{}\nb,c,{}\n").unwrap().graph("").unwrap().edges()[1].weight, 1.0);
        let told = |text: &str| opened(text).and_then(|document| document.graph("")).unwrap_err().to_string();
        assert!(told("0 1 {'weight': 4}\n1 2 {}\n").contains("the weight of edge 2, from `1` to `2`, is missing"));
        assert!(told("0 1 {'weight': 4}\n\n1 2 5\n").contains("line 3: the edges above have a dictionary"));
        let nested = told("0 1 {'weight': [4]}\n");
        assert!(nested.contains("line 1: the value of `weight` is neither") && nested.contains("write_weighted_edgelist"), "{nested}");
    }

    #[test]
    fn damage_is_told() {
        let error = |text: &str| opened(text).unwrap_err().to_string();
        assert!(
            error("a\nb\n").contains("edge list: the file: the table has 1 columns") || error("a\nb\n").contains("the table has 1 columns")
        );
        assert!(error("a,b\nc\n").contains("line 2: this row has 1 fields"));
        assert!(error("# of\na,b\n% more\nc\n").contains("line 4: this row has 1 fields"));
        assert!(error("from,to\na,\n").contains("an end of the edge is missing"));
        assert!(error("").starts_with("edge list:"));
    }
}
