//! GML graphs. Attributes may nest: `graphics [ x 1 ]` is the column `graphics.x`.
//!
//! Comments are lines that begin with `#`. Texts are in double quotes, with characters as in HTML (`&quot;`, `&#228;`). Edges with the same two
//! ends, and
//! `directed 1`, are kept. The grammar is that of Himsolt, "GML: A portable Graph File Format" (1996).

use super::{Attribute, Found, GraphDocument};
use crate::reading::{plain, text};
use crate::source::Source;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use std::collections::HashMap;
use std::sync::Arc;

/// Opens a GML file, plain or gzip.
///
/// # Errors
/// When the text breaks the grammar, an edge names a node that is not there, an id stands twice, or there is no graph.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<GraphDocument, FormatError> {
    let bytes = plain(source.as_ref(), Format::Gml, limits)?;
    let found = Reader::new(&text(&bytes), limits).read()?;
    GraphDocument::new(Format::Gml, "", found)
}

#[derive(Debug, PartialEq)]
enum Token<'t> {
    Key(&'t str),
    Value(Attribute),
    Open,
    Close,
}

/// What a list belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Within {
    Graph,
    Node,
    Edge,
    /// An attribute list inside of one of these, or something beside the graph.
    Inside,
}

struct Reader<'t> {
    rest: &'t str,
    line: u64,
    limits: &'t Limits,
    found: Found,
    places: HashMap<i64, usize>,
    /// Ends of edges by ids, with their lines: nodes may come later.
    ends: Vec<(i64, i64, u64)>,
    graphs: usize,
    current: Current,
}

/// The node or edge that is being read.
#[derive(Debug, Default)]
struct Current {
    id: Option<i64>,
    label: Option<String>,
    source: Option<i64>,
    target: Option<i64>,
    attributes: Vec<(String, Attribute)>,
}

impl<'t> Reader<'t> {
    fn new(rest: &'t str, limits: &'t Limits) -> Reader<'t> {
        let (found, current) = (Found::default(), Current::default());
        Reader { rest, line: 1, limits, found, places: HashMap::new(), ends: Vec::new(), graphs: 0, current }
    }

    fn refuse(&self, reason: impl Into<String>, help: &str) -> FormatError {
        FormatError::new(Format::Gml, Place::Line { line: self.line, field: None }, reason, help)
    }

    fn skip(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.rest = rest;
        taken
    }

    fn token(&mut self) -> Result<Option<Token<'t>>, FormatError> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.skip(blank);
            if !self.rest.starts_with('#') {
                break;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(end);
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let token = match first {
            '[' | ']' => {
                self.skip(1);
                if first == '[' { Token::Open } else { Token::Close }
            }
            '"' => {
                let inner = self.rest.get(1..).unwrap_or_default();
                let Some(end) = inner.find('"') else {
                    return Err(self.refuse("a text in double quotes never ends", "close the quote; inside of a text write `&quot;`"));
                };
                let value = inner.get(..end).unwrap_or_default();
                self.skip(end + 2);
                Token::Value(Attribute::Text(unescaped(value)))
            }
            _ => {
                let end = self.rest.find(|own: char| own.is_whitespace() || "[]\"".contains(own)).unwrap_or(self.rest.len());
                let word = self.skip(end);
                if first.is_ascii_digit() || "+-.".contains(first) {
                    let whole = word.parse::<i64>().map(Attribute::Whole);
                    match whole.or_else(|_| word.parse::<f64>().map(Attribute::Real)) {
                        Ok(value) => Token::Value(value),
                        Err(_) => return Err(self.refuse(format!("`{}` is no number", word.escape_debug()), COPY_AGAIN)),
                    }
                } else {
                    Token::Key(word)
                }
            }
        };
        Ok(Some(token))
    }

    fn read(mut self) -> Result<Found, FormatError> {
        let mut stack: Vec<(Within, String)> = Vec::new();
        loop {
            let key = match self.token()? {
                None => break,
                Some(Token::Key(key)) => key,
                Some(Token::Close) => {
                    match stack.pop() {
                        Some((Within::Node, _)) => self.node()?,
                        Some((Within::Edge, _)) => self.edge()?,
                        Some(_) => {}
                        None => return Err(self.refuse("a `]` closes nothing", COPY_AGAIN)),
                    }
                    continue;
                }
                Some(_) => return Err(self.refuse("a key is expected here", "write `key value`")),
            };
            let value = match self.token()? {
                Some(Token::Value(value)) => value,
                // Some writers leave the quotes away.
                Some(Token::Key(word)) => Attribute::Text(word.to_owned()),
                Some(Token::Open) => {
                    if stack.len() >= self.limits.max_depth {
                        return Err(self.refuse(format!("lists nest deeper than {}", self.limits.max_depth), RAISE_LIMIT));
                    }
                    let entered = self.entered(key, &stack)?;
                    stack.push(entered);
                    continue;
                }
                Some(Token::Close) | None => return Err(self.refuse(format!("the key `{}` has no value", key.escape_debug()), COPY_AGAIN)),
            };
            self.value(key, value, &stack)?;
        }
        if !stack.is_empty() {
            return Err(self.refuse(format!("{} lists are never closed", stack.len()), COPY_AGAIN));
        }
        if self.graphs != 1 {
            let help = "give each graph a file of its own";
            return Err(FormatError::new(Format::Gml, Place::File, format!("the file holds {} graphs, not one", self.graphs), help));
        }
        self.joined()
    }

    /// The list that a key opens.
    fn entered(&mut self, key: &str, stack: &[(Within, String)]) -> Result<(Within, String), FormatError> {
        let (within, prefix) = stack.last().map_or((None, ""), |(within, prefix)| (Some(*within), prefix.as_str()));
        match (within, key.to_ascii_lowercase().as_str()) {
            (None, "graph") => {
                self.graphs += 1;
                Ok((Within::Graph, String::new()))
            }
            (Some(Within::Graph), "node") => {
                self.current = Current::default();
                Ok((Within::Node, String::new()))
            }
            (Some(Within::Graph), "edge") => {
                self.current = Current::default();
                Ok((Within::Edge, String::new()))
            }
            (Some(Within::Graph), "graph") => Err(self.refuse("a graph stands inside of a graph", "give each graph a file of its own")),
            _ => Ok((Within::Inside, format!("{prefix}{key}."))),
        }
    }

    fn value(&mut self, key: &str, value: Attribute, stack: &[(Within, String)]) -> Result<(), FormatError> {
        let owner = stack.iter().rev().find(|(within, _)| *within != Within::Inside).map(|(within, _)| *within);
        let Some((within, prefix)) = stack.last() else {
            self.found.facts.insert(key.to_owned(), value.to_string());
            return Ok(());
        };
        let (within, prefix) = (*within, prefix.as_str());
        let whole = if let Attribute::Whole(number) = value { Some(number) } else { None };
        let needed = |reader: &Reader<'_>, name: &str| {
            whole.ok_or_else(|| reader.refuse(format!("`{name}` must be a whole number"), "number the nodes from 0"))
        };
        match (within, key) {
            (Within::Graph, "directed") => self.found.directed = needed(self, key)? != 0,
            (Within::Node, "id") => self.current.id = Some(needed(self, key)?),
            (Within::Node, "label") => self.current.label = Some(value.to_string()),
            (Within::Edge, "source") => self.current.source = Some(needed(self, key)?),
            (Within::Edge, "target") => self.current.target = Some(needed(self, key)?),
            _ => match owner {
                Some(Within::Node | Within::Edge) => self.current.attributes.push((format!("{prefix}{key}"), value)),
                Some(_) => {
                    self.found.facts.insert(format!("{prefix}{key}"), value.to_string());
                }
                None => {}
            },
        }
        Ok(())
    }

    fn node(&mut self) -> Result<(), FormatError> {
        let node = std::mem::take(&mut self.current);
        let Some(id) = node.id else { return Err(self.refuse("a node ends here that has no `id`", "give every node an id")) };
        let place = self.found.ids.len();
        if self.places.insert(id, place).is_some() {
            return Err(self.refuse(format!("the id {id} stands twice"), "give every node an id of its own"));
        }
        self.found.ids.push(id.to_string());
        self.found.labels.push(node.label);
        for (name, value) in node.attributes {
            self.found.node_attributes.set(place, &name, value);
        }
        self.few(self.found.node_attributes.count())
    }

    fn edge(&mut self) -> Result<(), FormatError> {
        let edge = std::mem::take(&mut self.current);
        let (Some(source), Some(target)) = (edge.source, edge.target) else {
            return Err(self.refuse("an edge ends here that lacks `source` or `target`", "give every edge both ends"));
        };
        for (name, value) in edge.attributes {
            self.found.edge_attributes.set(self.ends.len(), &name, value);
        }
        self.ends.push((source, target, self.line));
        self.few(self.found.edge_attributes.count())
    }

    fn few(&self, columns: usize) -> Result<(), FormatError> {
        // Columns have a place for every row, so a file of many names would grow with the square of its length.
        let most = self.limits.max_columns.min(4096);
        if columns > most {
            return Err(self.refuse(format!("there are more than {most} attributes"), "keep those that are needed"));
        }
        Ok(())
    }

    fn joined(mut self) -> Result<Found, FormatError> {
        let mut ends = Vec::with_capacity(self.ends.len());
        for (source, target, line) in std::mem::take(&mut self.ends) {
            let place = |id: i64| {
                self.places.get(&id).copied().ok_or_else(|| {
                    let reason = format!("the edge that ends here names the node {id}, which is not there");
                    FormatError::new(Format::Gml, Place::Line { line, field: None }, reason, "add the node, or leave the edge out")
                })
            };
            ends.push((place(source)?, place(target)?));
        }
        self.found.ends = ends;
        Ok(self.found)
    }
}

/// Characters by name or number, as in HTML; anything else stays as it is.
fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(rest.get(..start).unwrap_or_default());
        rest = rest.get(start..).unwrap_or_default();
        let end = rest.find(';').filter(|end| *end < 12);
        let own = end.and_then(|end| {
            let name = rest.get(1..end)?;
            let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16)).or_else(|| name.strip_prefix('#').map(str::parse));
            match (name, number) {
                ("quot", _) => Some('"'),
                ("amp", _) => Some('&'),
                ("lt", _) => Some('<'),
                ("gt", _) => Some('>'),
                ("apos", _) => Some('\''),
                ("nbsp", _) => Some('\u{a0}'),
                (_, Some(Ok(number))) => char::from_u32(number),
                _ => None,
            }
        });
        match (own, end) {
            (Some(own), Some(end)) => {
                out.push(own);
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            _ => {
                out.push('&');
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Document, What};
    use arrow::array::AsArray;
    use arrow::buffer::Buffer;
    use arrow::datatypes::Float64Type;

    fn opened(text: &str) -> Result<GraphDocument, FormatError> {
        open(Arc::new(Buffer::from_vec(text.as_bytes().to_vec())), &Limits::default())
    }

    const SMALL: &str = "# a comment\nCreator \"Me\"\ngraph [\n directed 1\n comment \"two &amp; more\"\n\
        node [ id 7 label \"a &quot;b&quot; &#228;\" graphics [ x 1.5 y 2 ] ]\n node [ id 3 label \"c\" graphics [ x 3 ] ]\n\
        edge [ source 7 target 3 value 2.5 ]\n edge [ source 7 target 3 value 1 ]\n edge [ source 3 target 3 value 4 ]\n]\n";

    #[test]
    fn nodes_edges_attributes_and_the_graph() {
        let document = opened(SMALL).unwrap();
        let contents = document.contents();
        assert_eq!(contents.item("graph").unwrap().what, What::Graph { nodes: 2, edges: 3, directed: true });
        assert_eq!((contents.facts["Creator"].as_str(), contents.facts["comment"].as_str()), ("Me", "two & more"));
        assert_eq!(contents.notes.len(), 2, "{:?}", contents.notes);
        let nodes = document.rows("nodes").unwrap();
        let columns: Vec<String> = nodes.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(columns, ["id", "label", "graphics.x", "graphics.y"]);
        let read = nodes.read(&[1, 2], 0..9).unwrap();
        assert_eq!(read.column(0).as_string::<i32>().value(0), "a \"b\" ä");
        assert_eq!(read.column(1).as_primitive::<Float64Type>().values(), &[1.5, 3.0]);
        let graph = document.graph("").unwrap();
        assert_eq!(graph.edges(), [Edge { source: 0, target: 1, weight: 3.5 }]);
        assert!(graph.is_directed() && graph.weight == "value" && graph.nodes().label(1) == "c");
        assert!(graph.nodes().property("graphics.x").is_some() && graph.nodes().property("graphics.y").is_none());
    }

    use neuroflow_data::Edge;
    trait Label {
        fn label(&self, position: usize) -> String;
    }
    impl Label for neuroflow_data::Axis {
        fn label(&self, position: usize) -> String {
            self.coordinates.label(position)
        }
    }

    #[test]
    fn undirected_edges_are_joined_whichever_way_they_stand() {
        let text = "graph [ node [ id 0 ] node [ id 1 ] edge [ source 1 target 0 ] edge [ source 0 target 1 ] ]";
        let graph = opened(text).unwrap().graph("").unwrap();
        assert_eq!(graph.edges(), [Edge { source: 0, target: 1, weight: 2.0 }]);
        assert_eq!(graph.nodes().label(1), "1");
    }

    #[test]
    fn a_graph_is_refused_where_some_edges_lack_the_weight_of_others() {
        let of = |last: &str| {
            format!(
                "graph [ node [ id 0 ] node [ id 1 ] node [ id 2 ] edge [ source 0 target 1 weight 2.5 ] edge [ source 1 target 2 {last} ] ]"
            )
        };
        let document = opened(&of("")).unwrap();
        assert_eq!(document.contents().notes, ["1 edges have no finite `weight`, so no graph is made of them; the table `edges` has each"]);
        let told = document.graph("").unwrap_err();
        assert_eq!(told.reason, "the weight of edge 2, from `1` to `2`, is missing or not finite");
        assert!(told.help.contains("give every edge a finite weight"));
        let told = opened(&of("weight \"strong\"")).unwrap().graph("").unwrap_err().to_string();
        assert!(told.contains("the weight of edge 2"), "{told}");
        assert_eq!(opened(&of("weight \"4\"")).unwrap().graph("").unwrap().edges()[1].weight, 4.0);
        // Nothing but words: no weights are meant.
        let words = "graph [ node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 weight \"strong\" ] ]";
        assert_eq!(opened(words).unwrap().graph("").unwrap().edges()[0].weight, 1.0);
    }

    #[test]
    fn damage_is_told_with_its_line() {
        let error = |text: &str| opened(text).unwrap_err().to_string();
        assert!(error("graph [\n node [ id 0 ]\n node [ id 0 ] ]").starts_with("GML: line 3: the id 0 stands twice"));
        assert!(error("graph [\n node [ label \"x\" ] ]").contains("line 2: a node ends here that has no `id`"));
        assert!(error("graph [ node [ id 0 ]\n edge [ source 0 target 5 ] ]").contains("names the node 5, which is not there"));
        assert!(error("graph [ edge [ source 0 ] ]").contains("lacks `source` or `target`"));
        assert!(error("graph [ node [ id \"x\" ] ]").contains("`id` must be a whole number"));
        assert!(error("graph [ label \"x").contains("never ends"));
        assert!(error("graph [ a 12x ]").contains("`12x` is no number"));
        assert!(error("graph [ node [ id 1 ]").contains("1 lists are never closed"));
        assert!(error("]").contains("closes nothing"));
        assert!(error("graph [ 1 2 ]").contains("a key is expected"));
        assert!(error("graph [ id ]").contains("has no value"));
        assert!(error("").contains("holds 0 graphs"));
        assert!(error("graph [ graph [ ] ]").contains("inside of a graph"));
        assert!(error(&format!("graph {}", "[ a ".repeat(100))).contains("nest deeper than 64"));
    }
}
