//! `ingest.graph`: nodes and edges of a file become a graph.

use super::{Damaged, FILE, Unsaid, document, refused};
use neuroflow_data::Kind;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

/// The stage `ingest.graph`.
pub struct GraphOfFile;

params! {
    /// Parameters of `ingest.graph`.
    pub struct GraphOfFileParams {
        /// The property of edges that is their weight; empty for `weight`, else `value`, else 1 for every edge. A property that some edges lack is refused.
        weight: String = "";
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives the edges with their weights, and the nodes with their names and properties. GML, GraphML and lists of edges; `weight` names the property of edges that is taken as their weight.

```nf
pipeline reading "A network"
input square = gml("square.gml")
network = ingest.graph(square)
clubs = connectome.leiden(network)
report reading { clubs }
```"#;

impl Stage for GraphOfFile {
    type Params = GraphOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.graph",
            version: 2,
            summary: "Reads a graph from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("graph", Kind::Graph, "", "The graph.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &GraphOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        let document = document(inputs, &Unsaid { reader: Some("edge_list"), damaged: params.damaged.clone(), ..Unsaid::default() })?;
        let graph = document.graph(&params.weight).map_err(refused)?;
        Outputs::new().with("graph", graph)
    }
}
