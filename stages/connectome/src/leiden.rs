//! `connectome.leiden`: communities of greatest modularity, fast.
//!
//! For what: large graphs, and a second opinion. Promises: connected communities, the best of several starts, and how well starts agree. Refuses: negative weights with modularity. From:
//! the Leiden algorithm (Traag, Waltman & van Eck 2019). Modularity finds communities in noise as well and none below a certain size: `connectome.sbm` asks whether they pay.

use crate::connections::Connections;
use crate::failure::numerical;
use crate::modularity::{Quality, leiden};
use crate::stability::stability;
use neuroflow_compute::statistics::adjusted_rand_index;
use neuroflow_compute::with_threads;
use neuroflow_data::random::Stream;
use neuroflow_data::{Communities, Kind, Score, Scores};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};
use rayon::prelude::*;

words! {
    /// What communities make large.
    pub enum QualityFunction {
        /// Edge weight inside communities less what degrees let expect.
        Modularity = "modularity" {},
        /// Edge weight inside less the resolution for every pair inside: communities are denser than the resolution inside, thinner between.
        Cpm = "cpm" {},
    }
}

params! {
    /// Parameters of `connectome.leiden`.
    pub struct LeidenParams {
        /// What communities make large.
        quality: QualityFunction = Value::word("modularity");
        /// The higher, the more and smaller communities. With `cpm` in units of the weights.
        resolution: f64 = 1.0, in 0.0..=1e12;
        /// Random starts.
        restarts: usize = 10, in 1.0..=10000.0;
        /// Runs of each start over its own result; fewer when one changes nothing.
        iterations: usize = 10, in 1.0..=10000.0;
    }
}

/// The stage `connectome.leiden`.
pub struct Leiden;

const DOC: &str = r#"Communities with more weight inside than their nodes' strengths let expect. Quick, also for millions of edges. Directions count when the graph has them. Modularity is
found in noise too, the more the fewer edges there are: read `quality` only beside that of a control with as many edges. An affinity with a fixed
`threshold` has fewer edges in a null draw than in the data, and its nulls look too good: write `connectome.affinity(…, density = 10 %)`. Or use
`connectome.sbm`, where communities must pay for themselves. `stability` is how well the starts agree; one start has none.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
connections = connectome.affinity(responses, density = 10 %)
communities = connectome.leiden(connections, resolution = 1.0)
report example { communities }
```"#;

impl Stage for Leiden {
    type Params = LeidenParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.leiden",
            version: 2,
            summary: "Finds communities of greatest modularity by the Leiden algorithm: fast, for large graphs.",
            doc: DOC,
            inputs: vec![InputSpec::one("graph", &[Kind::Graph, Kind::Tensor], "", "Units and weighted edges, or a matrix of weights.")],
            outputs: vec![
                OutputSpec::new("communities", Kind::Communities, "", "The community of each unit."),
                OutputSpec::new("scores", Kind::Scores, "", "The quality, and how well starts agree."),
            ],
            params: Vec::new(),
            metrics: &["quality", "stability", "communities"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &LeidenParams, context: &Context) -> Result<Outputs, StageError> {
        let connections = Connections::of(inputs, "graph", "")?;
        let n = connections.nodes.len();
        let edges = &connections.edges;
        let quality = match params.quality {
            QualityFunction::Modularity {} => Quality::Modularity,
            QualityFunction::Cpm {} => Quality::Cpm,
        };
        let negative = edges.iter().filter(|edge| edge.2 < 0.0).count();
        if quality == Quality::Modularity && negative > 0 {
            return Err(StageError::refused_with_help(
                format!("modularity needs weights of at least 0; {negative} of {} edges have less", edges.len()),
                "raise the threshold of the affinity, or write `quality = cpm`",
            ));
        }
        let stream = Stream::new(context.seed).split("leiden");
        let start = |restart: usize| {
            let stream = stream.split_index(restart as u64);
            leiden(n, edges, connections.directed, quality, params.resolution, params.iterations, &stream, &context.cancel)
        };
        let found = with_threads(context.threads, || (0..params.restarts).into_par_iter().map(start).collect::<Result<Vec<_>, _>>())
            .map_err(numerical)??;
        let mut best = 0;
        for (position, candidate) in found.iter().enumerate() {
            if candidate.1 > found[best].1 + 1e-12 {
                best = position;
            }
        }
        let positions = |of: &[u32]| of.iter().map(|community| *community as usize).collect::<Vec<_>>();
        let of = positions(&found[best].0);
        let mut agreements = Vec::new();
        for (_, (other, _)) in found.iter().enumerate().filter(|(position, _)| *position != best) {
            agreements.push(adjusted_rand_index(&of, &positions(other)).map_err(numerical)?);
        }
        let communities = Communities::new(connections.nodes.clone(), &of)?;
        let mut value = Score::new("quality", found[best].1, edges.len());
        value.notes.push("also high in graphs without communities: compare with a control of the same density".into());
        let mut scores = vec![value];
        scores.extend(stability(&agreements, "starts find different communities"));
        scores.push(Score::new("communities", communities.count() as f64, n));
        Outputs::new().with("communities", communities)?.with("scores", Scores::new(scores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Graph, Typed};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn run(graph: Graph, params: &[(&str, Value)], threads: usize) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("graph", "", graph.into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&Leiden, &inputs, &params, &Context { threads, ..Context::quiet(1) })
    }

    fn golden(case: &str) -> Option<Graph> {
        let (shape, edges) = crate::golden::array(case, "edges")?;
        let (_, weights) = crate::golden::array(case, "weights")?;
        let (_, truth) = crate::golden::array(case, "truth")?;
        let list: Vec<(usize, usize, f64)> = (0..shape[0])
            .map(|edge| {
                let (a, b) = (edges[2 * edge] as usize, edges[2 * edge + 1] as usize);
                (a.min(b), a.max(b), weights[edge])
            })
            .collect();
        Some(Graph::new(Axis::count("unit", truth.len()), crate::connections::edges(&list), "weight").unwrap())
    }

    #[test]
    fn modularity_is_no_less_than_that_of_the_reference() {
        for case in ["sbm_easy", "sbm_hard", "sbm_weights_only"] {
            let Some(graph) = golden(case) else { return };
            let expected = crate::golden::expected(case, &["leiden_modularity"]).unwrap();
            let outputs = run(graph, &[], 2).unwrap();
            let found = outputs.one::<Scores>("scores").unwrap().get("quality").unwrap().value;
            // Both searches are random; the reference had 50 iterations of one start.
            assert!(found > expected - 2e-3, "{case}: {found} {expected}");
        }
    }

    #[test]
    fn the_same_bytes_on_any_number_of_threads_and_negative_weights_are_refused() {
        let edges: Vec<(usize, usize, f64)> =
            (0..20).flat_map(|a| (a + 1..20).map(move |b| (a, b, if a % 3 == b % 3 { 1.0 } else { 0.1 }))).collect();
        let graph = |edges: &[(usize, usize, f64)]| Graph::new(Axis::count("unit", 20), crate::connections::edges(edges), "").unwrap();
        let (one, four) = (run(graph(&edges), &[], 1).unwrap(), run(graph(&edges), &[], 4).unwrap());
        for name in ["communities", "scores"] {
            assert_eq!(one.get(name).unwrap().encode().unwrap(), four.get(name).unwrap().encode().unwrap());
        }
        assert_eq!(one.one::<Communities>("communities").unwrap().count(), 3);
        let error = run(graph(&[(0, 1, -1.0)]), &[], 1).unwrap_err().to_string();
        assert!(error.contains("1 of 1 edges have less"), "{error}");
        assert!(run(graph(&[(0, 1, -1.0), (1, 2, 1.0)]), &[("quality", Value::word("cpm")), ("resolution", 0.1.into())], 1).is_ok());
        // A single start agrees with nobody.
        let scores = |restarts: i64| run(graph(&edges), &[("restarts", restarts.into())], 1).unwrap().one::<Scores>("scores").unwrap();
        assert!(scores(1).get("stability").is_none() && scores(2).get("stability").is_some());
        // Without edges everyone is alone.
        assert_eq!(run(graph(&[]), &[], 1).unwrap().one::<Communities>("communities").unwrap().count(), 20);
    }
}
