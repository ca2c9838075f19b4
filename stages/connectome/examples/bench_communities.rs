//! Times block models and Leiden on planted graphs, and says how well the planted groups are found.
//!
//! `cargo run --release -p neuroflow-connectome --example bench_communities [most edges [least edges [methods that begin so]]]`

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Instant;

use neuroflow_compute::statistics::normalised_mutual_information;
use neuroflow_compute::threads::spent_ms;
use neuroflow_connectome::leiden::Leiden;
use neuroflow_connectome::sbm::Sbm;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Communities, Edge, Graph, Typed};
use neuroflow_stage::{AnyStage, Context, Inputs, Value};

/// Groups of equal size; a node has `inside` edges to its own group and `outside` to others on average; weights exponential, twice as strong inside.
fn planted(n: usize, groups: usize, inside: f64, outside: f64) -> (Graph, Vec<usize>) {
    let mut stream = Stream::new(1);
    let truth: Vec<usize> = (0..n).map(|node| node % groups).collect();
    let mut edges: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    for node in 0..n {
        for (mean, own) in [(inside / 2.0, true), (outside / 2.0, false)] {
            for _ in 0..stream.poisson(mean) {
                let other = loop {
                    let other = stream.below(n as u64) as usize;
                    let other = if own { other / groups * groups + truth[node] } else { other };
                    if other < n && other != node && (truth[other] == truth[node]) == own {
                        break other;
                    }
                };
                let weight = stream.exponential() * if own { 2.0 } else { 1.0 } + 1e-9;
                edges.insert((node.min(other), node.max(other)), weight);
            }
        }
    }
    let edges = edges.into_iter().map(|((source, target), weight)| Edge { source, target, weight }).collect();
    (Graph::new(Axis::count("unit", n), edges, "weight").unwrap(), truth)
}

/// The most memory that this process has held until now; 0 where that is not told.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

fn main() {
    let most: usize = std::env::args().nth(1).and_then(|most| most.parse().ok()).unwrap_or(20_000);
    let least: usize = std::env::args().nth(2).and_then(|least| least.parse().ok()).unwrap_or(0);
    let methods = std::env::args().nth(3).unwrap_or_default();
    println!(
        "| nodes | edges | groups | method | s | processor s | peak, MiB | found | NMI | nats an edge |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for (n, groups, inside, outside) in
        [(200, 4, 14.0, 6.0), (1_000, 10, 12.0, 8.0), (10_000, 30, 12.0, 8.0), (100_000, 100, 12.0, 8.0), (1_000_000, 300, 12.0, 8.0)]
    {
        if n * 10 > most {
            break;
        }
        if n * 10 < least {
            continue;
        }
        let (graph, truth) = planted(n, groups, inside, outside);
        let edges = graph.edges().len();
        let line = |name: &str, stage: &dyn AnyStage, params: &[(&str, Value)]| {
            if !name.starts_with(&methods) {
                return;
            }
            let mut inputs = Inputs::new();
            inputs.push("graph", "", graph.clone().into_artifact().unwrap());
            let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let (started, spent) = (Instant::now(), spent_ms());
            let outputs = stage.run(&inputs, &params, &Context { threads: 2, ..Context::quiet(1) }).unwrap();
            let (seconds, spent) = (started.elapsed().as_secs_f64(), (spent_ms() - spent) / 1e3);
            let found: Communities = outputs.one("communities").unwrap();
            let nmi = normalised_mutual_information(found.membership(), &truth).unwrap();
            let length =
                found.facts.iter().find(|(fact, _)| fact == "description_length").map_or(f64::NAN, |(_, nats)| nats / edges as f64);
            let (peak, count) = (peak_mib(), found.count());
            println!("| {n} | {edges} | {groups} | {name} | {seconds:.2} | {spent:.2} | {peak} | {count} | {nmi:.4} | {length:.6} |");
        };
        let one = ("restarts", Value::Int(1));
        let plain = ("degree_corrected", Value::word("no"));
        line("Leiden", &Leiden, std::slice::from_ref(&one));
        line("blocks, exponential weights", &Sbm, &[one.clone(), plain.clone()]);
        line("blocks, no weights", &Sbm, &[one.clone(), plain.clone(), ("weights", Value::word("none"))]);
        line("nested, exponential weights", &Sbm, &[one.clone(), plain, ("nested", true.into())]);
        line("blocks, as by default", &Sbm, &[]);
    }
}
