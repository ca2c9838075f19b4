//! GraphML graphs: keys with their types and defaults, directed or not. Nested graphs, hyperedges and mixed directions are refused.
//!
//! The layout is that of "GraphML Primer" and the schema `graphml-structure` 1.1 (graphml.graphdrawing.org).

use super::{Attribute, Found, GraphDocument};
use crate::reading::plain;
use crate::source::Source;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::HashMap;
use std::sync::Arc;

/// Opens a GraphML file, plain or gzip.
///
/// # Errors
/// When the XML is damaged, an edge names a node that is not there, or a value is not of its key's type.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<GraphDocument, FormatError> {
    let bytes = plain(source.as_ref(), Format::GraphMl, limits)?;
    let found = Walk::new(limits).read(&bytes)?;
    GraphDocument::new(Format::GraphMl, "", found)
}

/// A `key`.
#[derive(Debug, Default, Clone)]
struct Key {
    owner: String,
    name: String,
    sort: String,
    default: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Owner {
    Graph,
    Node(usize),
    Edge(usize),
}

struct Walk {
    limits: Limits,
    found: Found,
    keys: HashMap<String, Key>,
    order: Vec<String>,
    places: HashMap<String, usize>,
    ends: Vec<(String, String, u64)>,
    graphs: usize,
    owner: Owner,
    /// The key whose `data` or `default` is being read, and its text so far.
    data: Option<(String, bool, String)>,
    /// Keys that rows have values for, so that defaults fill the others.
    set: HashMap<(bool, usize), Vec<String>>,
}

fn refuse(byte: u64, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::GraphMl, Place::Byte(byte), reason, help)
}

/// An attribute of an element, unescaped.
fn attribute(element: &BytesStart<'_>, name: &str, at: u64) -> Result<Option<String>, FormatError> {
    for own in element.attributes() {
        let own = own.map_err(|error| refuse(at, format!("an attribute is damaged ({error})"), COPY_AGAIN))?;
        if own.key.local_name().as_ref() == name.as_bytes() {
            let text = std::str::from_utf8(&own.value).map_err(|_| refuse(at, "an attribute is not UTF-8", "save the file as UTF-8"))?;
            let text =
                quick_xml::escape::unescape(text).map_err(|error| refuse(at, format!("an attribute is damaged ({error})"), COPY_AGAIN))?;
            return Ok(Some(text.into_owned()));
        }
    }
    Ok(None)
}

fn needed(element: &BytesStart<'_>, name: &str, at: u64) -> Result<String, FormatError> {
    let own = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
    attribute(element, name, at)?.ok_or_else(|| refuse(at, format!("a `{own}` has no `{name}`"), COPY_AGAIN))
}

impl Walk {
    fn new(limits: &Limits) -> Walk {
        Walk {
            limits: limits.clone(),
            found: Found::default(),
            keys: HashMap::new(),
            order: Vec::new(),
            places: HashMap::new(),
            ends: Vec::new(),
            graphs: 0,
            owner: Owner::Graph,
            data: None,
            set: HashMap::new(),
        }
    }

    fn read(mut self, bytes: &[u8]) -> Result<Found, FormatError> {
        let mut reader = Reader::from_reader(bytes);
        let mut depth = 0usize;
        loop {
            let at = reader.buffer_position();
            let event = reader
                .read_event()
                .map_err(|error| refuse(reader.error_position(), format!("the XML is damaged ({error})"), COPY_AGAIN))?;
            match event {
                Event::Start(element) => {
                    depth += 1;
                    if depth > self.limits.max_depth {
                        return Err(refuse(at, format!("elements nest deeper than {}", self.limits.max_depth), COPY_AGAIN));
                    }
                    self.start(&element, at)?;
                }
                Event::Empty(element) => {
                    self.start(&element, at)?;
                    self.end(element.local_name().as_ref(), at)?;
                }
                Event::End(element) => {
                    depth = depth.saturating_sub(1);
                    self.end(element.local_name().as_ref(), at)?;
                }
                Event::Text(text) => {
                    if let Some((_, _, own)) = &mut self.data {
                        own.push_str(&text.decode().map_err(|error| refuse(at, format!("text is damaged ({error})"), COPY_AGAIN))?);
                    }
                }
                Event::CData(text) => {
                    if let Some((_, _, own)) = &mut self.data {
                        own.push_str(&String::from_utf8_lossy(&text));
                    }
                }
                Event::GeneralRef(reference) => {
                    if let Some((_, _, own)) = &mut self.data {
                        let name = String::from_utf8_lossy(&reference).into_owned();
                        let text = quick_xml::escape::unescape(&format!("&{name};")).map(std::borrow::Cow::into_owned);
                        own.push_str(&text.map_err(|error| refuse(at, format!("text is damaged ({error})"), COPY_AGAIN))?);
                    }
                }
                Event::Eof if depth > 0 => return Err(refuse(at, format!("the file ends inside of {depth} elements"), COPY_AGAIN)),
                Event::Eof => break,
                _ => {}
            }
        }
        if self.graphs == 0 {
            let help = "check that the path names a GraphML file";
            return Err(FormatError::new(Format::GraphMl, Place::File, "the file holds no graph", help));
        }
        self.joined()
    }

    fn start(&mut self, element: &BytesStart<'_>, at: u64) -> Result<(), FormatError> {
        match element.local_name().as_ref() {
            b"key" => {
                let id = needed(element, "id", at)?;
                let key = Key {
                    owner: attribute(element, "for", at)?.unwrap_or_else(|| "all".into()),
                    name: attribute(element, "attr.name", at)?.unwrap_or_else(|| id.clone()),
                    sort: attribute(element, "attr.type", at)?.unwrap_or_else(|| "string".into()),
                    default: None,
                };
                if self.keys.len() >= self.limits.max_columns.min(4096) {
                    return Err(refuse(at, "there are more than 4096 keys", "keep those that are needed"));
                }
                self.data = Some((id.clone(), true, String::new()));
                self.order.push(id.clone());
                self.keys.insert(id, key);
                self.data = None;
            }
            b"default" => {
                if let Some(id) = self.order.last() {
                    self.data = Some((id.clone(), true, String::new()));
                }
            }
            b"graph" => {
                self.graphs += 1;
                if self.graphs > 1 {
                    return Err(refuse(at, "there is a second graph, or one inside of a node", "give each graph a file of its own"));
                }
                let direction = attribute(element, "edgedefault", at)?;
                self.found.directed = direction.as_deref() != Some("undirected");
                if let Some(id) = attribute(element, "id", at)? {
                    self.found.facts.insert("id".into(), id);
                }
            }
            b"node" => {
                let id = needed(element, "id", at)?;
                let place = self.found.ids.len();
                if self.places.insert(id.clone(), place).is_some() {
                    return Err(refuse(at, format!("the node `{}` stands twice", id.escape_debug()), "give every node an id of its own"));
                }
                self.found.ids.push(id);
                self.owner = Owner::Node(place);
            }
            b"edge" => {
                let (source, target) = (needed(element, "source", at)?, needed(element, "target", at)?);
                if let Some(directed) = attribute(element, "directed", at)?
                    && (directed == "true") != self.found.directed
                {
                    let help = "make all edges directed or none";
                    return Err(refuse(at, "an edge has another direction than the graph says of all", help));
                }
                let place = self.ends.len();
                if let Some(id) = attribute(element, "id", at)? {
                    self.found.edge_attributes.set(place, "id", Attribute::Text(id));
                }
                self.ends.push((source, target, at));
                self.owner = Owner::Edge(place);
            }
            b"hyperedge" => return Err(refuse(at, "an edge with more than two ends is not read", "write it as edges of two ends")),
            b"data" => {
                let key = needed(element, "key", at)?;
                if !self.keys.contains_key(&key) {
                    return Err(refuse(at, format!("data names the key `{}`, which is not there", key.escape_debug()), COPY_AGAIN));
                }
                self.data = Some((key, false, String::new()));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8], at: u64) -> Result<(), FormatError> {
        match name {
            b"node" | b"edge" => self.owner = Owner::Graph,
            b"default" | b"data" => {
                let Some((id, is_default, text)) = self.data.take() else { return Ok(()) };
                let Some(key) = self.keys.get_mut(&id) else { return Ok(()) };
                if is_default {
                    key.default = Some(text);
                    return Ok(());
                }
                let key = key.clone();
                self.value(&id, &key, &text, self.owner, at)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, id: &str, key: &Key, text: &str, owner: Owner, at: u64) -> Result<(), FormatError> {
        let trimmed = text.trim();
        let wrong = || refuse(at, format!("`{}` is no {}", trimmed.escape_debug(), key.sort), "write a value of the key's type");
        let value = match key.sort.as_str() {
            "int" | "long" => Attribute::Whole(trimmed.parse().map_err(|_| wrong())?),
            "float" | "double" => Attribute::Real(trimmed.parse().map_err(|_| wrong())?),
            "boolean" => match trimmed {
                "true" | "1" | "True" => Attribute::Truth(true),
                "false" | "0" | "False" => Attribute::Truth(false),
                _ => return Err(wrong()),
            },
            _ => Attribute::Text(text.to_owned()),
        };
        match owner {
            Owner::Graph => {
                self.found.facts.insert(key.name.clone(), value.to_string());
            }
            Owner::Node(place) => {
                if key.name == "label" && key.sort == "string" {
                    self.found.labels.resize(place + 1, None);
                    if let Some(label) = self.found.labels.get_mut(place) {
                        *label = Some(text.to_owned());
                    }
                } else {
                    self.found.node_attributes.set(place, &key.name, value);
                }
                self.set.entry((true, place)).or_default().push(id.to_owned());
            }
            Owner::Edge(place) => {
                self.found.edge_attributes.set(place, &key.name, value);
                self.set.entry((false, place)).or_default().push(id.to_owned());
            }
        }
        Ok(())
    }

    /// Fills in defaults and finds the ends of edges.
    fn joined(mut self) -> Result<Found, FormatError> {
        let defaults: Vec<(String, Key)> = self.order.iter().filter_map(|id| Some((id.clone(), self.keys.get(id)?.clone()))).collect();
        let (nodes, edges) = (self.found.ids.len(), self.ends.len());
        for (id, key) in defaults {
            let Some(default) = key.default.clone() else { continue };
            let both = key.owner == "all";
            for (of_nodes, count) in [(true, nodes), (false, edges)] {
                let wanted = both || key.owner == if of_nodes { "node" } else { "edge" };
                for place in (0..count).filter(|_| wanted) {
                    if self.set.get(&(of_nodes, place)).is_none_or(|own| !own.contains(&id)) {
                        self.value(&id, &key, &default, if of_nodes { Owner::Node(place) } else { Owner::Edge(place) }, 0)?;
                    }
                }
            }
        }
        self.found.labels.resize(nodes, None);
        let mut ends = Vec::with_capacity(edges);
        for (source, target, at) in &self.ends {
            let place = |id: &String| {
                self.places.get(id).copied().ok_or_else(|| {
                    let reason = format!("an edge names the node `{}`, which is not there", id.escape_debug());
                    refuse(*at, reason, "add the node, or leave the edge out")
                })
            };
            ends.push((place(source)?, place(target)?));
        }
        self.found.ends = ends;
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Document, What};
    use arrow::array::AsArray;
    use arrow::buffer::Buffer;
    use arrow::datatypes::{Float64Type, Int64Type};

    fn opened(text: &str) -> Result<GraphDocument, FormatError> {
        open(Arc::new(Buffer::from_vec(text.as_bytes().to_vec())), &Limits::default())
    }

    const SMALL: &str = r#"<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
      <key id="d0" for="node" attr.name="colour" attr.type="string"><default>yellow &amp; red</default></key>
      <key id="d1" for="edge" attr.name="weight" attr.type="double"/><key id="d2" for="node" attr.name="level" attr.type="int"/>
      <graph id="G" edgedefault="undirected"><node id="n0"><data key="d0">green</data><data key="d2">4</data></node><node id="n1"/>
      <edge id="e" source="n1" target="n0"><data key="d1">1.5</data></edge></graph></graphml>"#;

    #[test]
    fn a_missing_weight_is_the_default_of_its_key_or_refused() {
        let of = |default: &str| {
            format!(
                "<graphml><key id='w' for='edge' attr.name='weight' attr.type='double'>{default}</key><graph edgedefault='undirected'><node id='a'/>\
                 <node id='b'/><node id='c'/><edge source='a' target='b'><data key='w'>2.5</data></edge><edge source='b' target='c'/></graph></graphml>"
            )
        };
        let told = opened(&of("")).unwrap().graph("").unwrap_err().to_string();
        assert!(told.contains("the weight of edge 2, from `b` to `c`, is missing"), "{told}");
        let graph = opened(&of("<default>1</default>")).unwrap().graph("").unwrap();
        assert_eq!(graph.edges().iter().map(|edge| edge.weight).collect::<Vec<_>>(), [2.5, 1.0]);
    }

    #[test]
    fn keys_types_and_defaults() {
        let document = opened(SMALL).unwrap();
        assert_eq!(document.contents().item("graph").unwrap().what, What::Graph { nodes: 2, edges: 1, directed: false });
        let nodes = document.rows("nodes").unwrap();
        let names: Vec<String> = nodes.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["id", "colour", "level"]);
        let read = nodes.read(&[1, 2], 0..2).unwrap();
        assert_eq!(read.column(0).as_string::<i32>().value(1), "yellow & red");
        assert_eq!(read.column(1).as_primitive::<Int64Type>().value(0), 4);
        let edges = document.rows("edges").unwrap().read(&[0, 1, 2, 3], 0..1).unwrap();
        assert_eq!(edges.column(0).as_string::<i32>().value(0), "n1");
        assert_eq!(edges.column_by_name("weight").unwrap().as_primitive::<Float64Type>().value(0), 1.5);
        let graph = document.graph("").unwrap();
        assert_eq!((graph.edges()[0].source, graph.edges()[0].weight), (0, 1.5));
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let error = |text: &str| opened(text).unwrap_err().to_string();
        let inside = |text: &str| {
            format!("<graphml><key id=\"k\" attr.type=\"int\" for=\"node\"/><graph edgedefault=\"directed\">{text}</graph></graphml>")
        };
        assert!(error("<graphml></graphml>").contains("holds no graph"));
        assert!(error("<graphml><graph>").contains("ends inside of 2 elements"));
        assert!(error("<graphml></graph>").contains("the XML is damaged"));
        assert!(error(&inside("<node/>")).contains("a `node` has no `id`"));
        assert!(error(&inside("<node id='a'/><node id='a'/>")).contains("stands twice"));
        assert!(error(&inside("<edge source='a' target='b'/>")).contains("names the node `a`, which is not there"));
        assert!(error(&inside("<node id='a'><graph/></node>")).contains("second graph"));
        assert!(error(&inside("<hyperedge/>")).contains("more than two ends"));
        assert!(error(&inside("<node id='a'><data key='x'>1</data></node>")).contains("the key `x`, which is not there"));
        assert!(error(&inside("<node id='a'><data key='k'>1.5</data></node>")).contains("`1.5` is no int"));
        assert!(error(&inside("<node id='a'/><edge source='a' target='a' directed='false'/>")).contains("another direction"));
        assert!(error(&format!("<graphml>{}", "<a>".repeat(100))).contains("nest deeper"));
    }
}
