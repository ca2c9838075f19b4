//! What block models and Leiden owe on any graph.

use crate::blocks::description_length::{Degrees, Model, Weights};
use crate::blocks::network::Network;
use crate::blocks::partition::compact;
use crate::blocks::search::{Effort, description_length, search};
use crate::leiden::Leiden;
use crate::sbm::Sbm;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Communities, Edge, Graph, Scores, Tensor, Typed};
use neuroflow_stage::{AnyStage, CancelToken, Context, Inputs, Outputs, StageError, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Edges = Vec<(usize, usize, f64)>;

fn network(n: usize, edges: &[(usize, usize, f64)], directed: bool) -> Network {
    Network::new(n, edges, directed, Vec::new())
}

fn model(n: usize, edges: &[(usize, usize, f64)], directed: bool, degrees: Degrees, assortative: bool) -> Model {
    let mean = edges.iter().map(|edge| edge.2).sum::<f64>() / edges.len().max(1) as f64;
    let weights = Weights::exponential(if mean > 0.0 { mean } else { 1.0 });
    Model { weights, degrees, directed, assortative, equal_chances: false, nodes: [n as u64, 0], edges: edges.len() as u64 }
}

/// A graph of up to 24 nodes, undirected, with positive weights, and a partition of it.
fn any_graph() -> impl Strategy<Value = (usize, Edges, Vec<u32>)> {
    (2usize..24, 0u64..1_000, 0.0..1.0f64).prop_map(|(n, seed, share)| {
        let mut stream = Stream::new(seed);
        let mut edges = Vec::new();
        for a in 0..n {
            for b in a + 1..n {
                if stream.uniform() < share {
                    edges.push((a, b, stream.exponential() + 1e-3));
                }
            }
        }
        let of = (0..n).map(|_| stream.below(4) as u32).collect::<Vec<_>>();
        (n, edges, compact(&of))
    })
}

/// Two clear groups of 12, and which node is in which.
fn clear(seed: u64) -> (Edges, Vec<u32>) {
    let mut stream = Stream::new(seed);
    let truth: Vec<u32> = (0..24).map(|node| node % 2).collect();
    let mut edges = Vec::new();
    for a in 0..24usize {
        for b in a + 1..24 {
            if stream.uniform() < if truth[a] == truth[b] { 0.9 } else { 0.05 } {
                edges.push((a, b, stream.exponential() + 1e-3));
            }
        }
    }
    (edges, truth)
}

fn renamed(edges: &[(usize, usize, f64)], to: &[usize]) -> Edges {
    let mut edges: Edges = edges.iter().map(|&(a, b, weight)| (to[a].min(to[b]), to[a].max(to[b]), weight)).collect();
    edges.sort_by_key(|edge| (edge.0, edge.1));
    edges
}

fn moved<T: Copy>(values: &[T], to: &[usize]) -> Vec<T> {
    let mut moved = values.to_vec();
    values.iter().zip(to).for_each(|(value, &place)| moved[place] = *value);
    moved
}

fn ask(stage: &dyn AnyStage, graph: impl Typed, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
    let mut inputs = Inputs::new();
    inputs.push("graph", "", graph.into_artifact()?);
    let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    stage.run(&inputs, &params, &Context::quiet(1))
}

fn graph(n: usize, edges: &[(usize, usize, f64)]) -> Graph {
    Graph::new(Axis::count("unit", n), crate::connections::edges(edges), "weight").unwrap()
}

const ALL: [(Degrees, bool); 6] = [
    (Degrees::Free, false),
    (Degrees::Uniform, false),
    (Degrees::Distributed, false),
    (Degrees::Free, true),
    (Degrees::Uniform, true),
    (Degrees::Distributed, true),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_length_knows_neither_the_order_of_nodes_nor_the_names_of_blocks((n, edges, of) in any_graph(), seed in 0u64..100) {
        let to = Stream::new(seed).permutation(n);
        let other = renamed(&edges, &to);
        let blocks = of.iter().max().map_or(0, |most| *most + 1);
        let swapped: Vec<u32> = moved(&of, &to).iter().map(|block| blocks - 1 - block).collect();
        for (degrees, assortative) in ALL {
            let model = model(n, &edges, false, degrees, assortative);
            let here = description_length(&network(n, &edges, false), model, &of, false);
            let there = description_length(&network(n, &other, false), model, &swapped, false);
            prop_assert!((here - there).abs() < 1e-7 * here.abs().max(1.0), "{here} {there}");
        }
    }

    #[test]
    fn scaled_weights_add_the_logarithm_of_the_scale_for_every_edge((n, edges, of) in any_graph(), scale in 0.01..100.0f64) {
        let scaled: Edges = edges.iter().map(|&(a, b, weight)| (a, b, scale * weight)).collect();
        for (degrees, assortative) in ALL {
            let length = |edges: &Edges| description_length(&network(n, edges, false), model(n, edges, false, degrees, assortative), &of, false);
            let (here, there) = (length(&edges), length(&scaled));
            prop_assert!((here + edges.len() as f64 * scale.ln() - there).abs() < 1e-6 * here.abs().max(1.0), "{here} {there}");
        }
    }

    #[test]
    fn nothing_that_is_found_is_longer_than_one_block((n, edges, _) in any_graph(), directed in any::<bool>(), nested in any::<bool>()) {
        for (degrees, assortative) in ALL.into_iter().filter(|(_, assortative)| !(nested && *assortative)) {
            let (network, model) = (network(n, &edges, directed), model(n, &edges, directed, degrees, assortative));
            let effort = Effort { blocks: None, nested, rounds: 1 };
            let found = search(&network, model, effort, &Stream::new(1), &CancelToken::new()).unwrap();
            prop_assert!(found.of == compact(&found.of) && found.of.len() == n && found.length.is_finite());
            prop_assert!(found.length <= description_length(&network, model, &vec![0; n], nested) + 1e-6);
            prop_assert!((found.length - description_length(&network, model, &found.of, false)).abs() < 1e-6 || nested);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn clear_groups_are_found_in_any_order_of_nodes_and_at_any_scale_of_weights(seed in 0u64..1_000, scale in 0.01..100.0f64) {
        let (edges, truth) = clear(seed);
        let to = Stream::new(seed).permutation(24);
        let scaled: Edges = renamed(&edges, &to).into_iter().map(|(a, b, weight)| (a, b, scale * weight)).collect();
        let membership = |edges: &[(usize, usize, f64)]| -> Vec<usize> {
            ask(&Sbm, graph(24, edges), &[]).unwrap().one::<Communities>("communities").unwrap().membership().to_vec()
        };
        let (here, there) = (membership(&edges), membership(&scaled));
        let names = |of: &[usize]| compact(&of.iter().map(|block| *block as u32).collect::<Vec<_>>());
        prop_assert_eq!(names(&moved(&here, &to)), names(&there));
        prop_assert_eq!(names(&here), compact(&truth));
        // Leiden stays where no node gains by a move; a single strong edge between the groups can hold its ends together.
        let quality = |edges: &[(usize, usize, f64)]| -> f64 {
            let scores = ask(&Leiden, graph(24, edges), &[]).unwrap().one::<Scores>("scores").unwrap().scores;
            scores.iter().find(|score| score.metric == "quality").unwrap().value
        };
        let (here, there) = (quality(&edges), quality(&scaled));
        prop_assert!((here - there).abs() < 0.1 * here.abs(), "{} {}", here, there);
    }

    #[test]
    fn a_fixed_number_of_blocks_is_kept_by_every_variant((n, edges, _) in any_graph(), blocks in 1usize..5) {
        prop_assume!(!edges.is_empty() && blocks <= n);
        for pairs in ["auto", "each", "assortative"] {
            let params = [("blocks", Value::Int(blocks as i64)), ("pairs", Value::word(pairs)), ("restarts", 2.into())];
            let found: Communities = ask(&Sbm, graph(n, &edges), &params).unwrap().one("communities").unwrap();
            prop_assert_eq!(found.count(), blocks);
        }
    }
}

#[test]
fn degenerate_graphs_have_a_defined_answer() {
    let communities = |graph: Graph, stage: &dyn AnyStage| -> Communities { ask(stage, graph, &[]).unwrap().one("communities").unwrap() };
    // One node; nodes without edges; a complete graph of equal weights.
    assert_eq!(communities(graph(1, &[]), &Sbm).count(), 1);
    assert_eq!(communities(graph(1, &[]), &Leiden).count(), 1);
    assert_eq!(communities(graph(5, &[]), &Sbm).membership(), [0; 5]);
    let complete: Edges = (0..16).flat_map(|a| (a + 1..16).map(move |b| (a, b, 2.0))).collect();
    assert_eq!(communities(graph(16, &complete), &Sbm).membership(), [0; 16]);
    assert_eq!(communities(graph(16, &complete), &Leiden).membership(), [0; 16]);
    // Isolated nodes are in some community, and break nothing.
    let (edges, truth) = clear(3);
    let found = communities(graph(30, &edges), &Sbm);
    let with_edges: Vec<u32> = found.membership()[..24].iter().map(|block| *block as u32).collect();
    assert_eq!(compact(&with_edges), compact(&truth));
    // One edge.
    let outputs = ask(&Sbm, graph(2, &[(0, 1, 1.0)]), &[]).unwrap();
    assert!(outputs.one::<Scores>("scores").unwrap().scores.iter().all(|score| score.value.is_finite()));
}

#[test]
fn what_is_no_graph_is_refused_with_the_reason() {
    let axis = || Axis::count("unit", 3);
    let refused =
        |source: usize, target: usize, weight: f64| Graph::new(axis(), vec![Edge { source, target, weight }], "").unwrap_err().to_string();
    assert!(refused(1, 1, 1.0).contains("the first node must come before the second"));
    assert!(refused(0, 1, f64::NAN).contains("the weight of edge 0 – 1 is NaN"));
    let twice = Graph::new(axis(), crate::connections::edges(&[(0, 1, 1.0), (0, 1, 2.0)]), "").unwrap_err().to_string();
    assert!(twice.contains("edge 0 – 1 stands twice"), "{twice}");
    for (weight, refused) in [(-1.0, true), (0.0, true), (1.0, false)] {
        assert_eq!(ask(&Sbm, graph(3, &[(0, 1, weight), (1, 2, 1.0)]), &[]).is_err(), refused, "{weight}");
    }
    for model in ["normal", "none"] {
        assert!(ask(&Sbm, graph(3, &[(0, 1, -1.0), (1, 2, 0.0)]), &[("weights", Value::word(model))]).is_ok(), "{model}");
    }
    // The diagonal of a matrix does not count, and what is not finite is refused.
    let matrix = |values: Vec<f64>| Tensor::new(vec![axis(), axis()], None, values).unwrap();
    let of = |values: Vec<f64>| ask(&Sbm, matrix(values), &[]).unwrap().one::<Communities>("communities").unwrap();
    let (with, without) = (vec![9.0, 1.0, 0.0, 1.0, 9.0, 2.0, 0.0, 2.0, 9.0], vec![0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 2.0, 0.0]);
    assert_eq!(of(with), of(without));
    let error = ask(&Sbm, matrix(vec![0.0, f64::NAN, 0.0, f64::NAN, 0.0, 1.0, 0.0, 1.0, 0.0]), &[]).unwrap_err().to_string();
    assert!(error.contains("the matrix of connections"), "{error}");
    let none = Graph::new(Axis::count("unit", 0), Vec::new(), "").unwrap();
    assert!(ask(&Sbm, none, &[]).unwrap_err().to_string().contains("a graph without nodes"));
}
