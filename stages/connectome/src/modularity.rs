//! Communities of greatest modularity, or of greatest constant Potts quality, by the Leiden algorithm.
//!
//! Fast local moves, refinement within communities, aggregation (Traag, Waltman & van Eck 2019, algorithm A.2). Every community that comes out is connected. Quality: modularity with
//! a resolution (Reichardt & Bornholdt 2006), directed modularity (Leicht & Newman 2008), or the constant Potts model (Traag, Van Dooren & Nesterov 2011).

use neuroflow_data::random::Stream;
use neuroflow_stage::{CancelToken, StageError};
use std::collections::VecDeque;

/// What is made large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    /// Edge weight inside less what degrees let expect, over all weight.
    Modularity,
    /// Edge weight inside less the resolution times the number of pairs inside.
    Cpm,
}

/// Randomness of the refinement: the smaller, the greedier (θ of the paper, in mean edge weights).
const RANDOMNESS: f64 = 0.01;

/// A weighted graph whose nodes may stand for several.
#[derive(Debug, Clone)]
struct Weighted {
    starts: Vec<usize>,
    /// The other end and the weight, both ways added.
    ends: Vec<(u32, f64)>,
    /// What a node counts in the expectation: outgoing and incoming strength, or its size, twice.
    mass: Vec<[f64; 2]>,
}

impl Weighted {
    fn nodes(&self) -> usize {
        self.mass.len()
    }

    fn of(&self, node: usize) -> &[(u32, f64)] {
        &self.ends[self.starts[node]..self.starts[node + 1]]
    }
}

/// The problem: expectation is `scale · (mass₀ · mass₁' + mass₁ · mass₀')` between two nodes.
struct Problem {
    scale: f64,
    /// The mean edge weight, which makes gains comparable.
    unit: f64,
}

impl Problem {
    #[inline]
    fn expected(&self, a: [f64; 2], b: [f64; 2]) -> f64 {
        self.scale * (a[0] * b[1] + a[1] * b[0])
    }
}

/// Communities, numbered from 0 in the order of first appearance, and their quality; `iterations` runs over the whole, each from the result of the one before, fewer when one changes
/// nothing. Edges are (source, target, weight), without loops.
pub(crate) fn leiden(
    n: usize,
    edges: &[(usize, usize, f64)],
    directed: bool,
    quality: Quality,
    resolution: f64,
    iterations: usize,
    stream: &Stream,
    cancel: &CancelToken,
) -> Result<(Vec<u32>, f64), StageError> {
    let total: f64 = edges.iter().map(|edge| edge.2).sum();
    let mut mass = vec![[0.0; 2]; n];
    let scale = match quality {
        Quality::Modularity => {
            for &(source, target, weight) in edges {
                mass[source][0] += weight;
                mass[target][1] += weight;
                if !directed {
                    mass[source][1] += weight;
                    mass[target][0] += weight;
                }
            }
            if total > 0.0 { resolution / if directed { total } else { 4.0 * total } } else { 0.0 }
        }
        Quality::Cpm => {
            mass.fill([1.0; 2]);
            if directed { resolution } else { 0.5 * resolution }
        }
    };
    let graph = graph_of(mass, edges.iter().map(|&(source, target, weight)| (source as u32, target as u32, weight)));
    let unit = (edges.iter().map(|edge| edge.2.abs()).sum::<f64>() / edges.len().max(1) as f64).max(f64::MIN_POSITIVE);
    let problem = Problem { scale, unit };
    let mut of: Vec<u32> = (0..n as u32).collect();
    for iteration in 0..iterations {
        let before = of.clone();
        of = once(&graph, &problem, of, &mut stream.split_index(iteration as u64), cancel)?;
        if of == before {
            break;
        }
    }
    let value = value(n, edges, directed, quality, resolution, &of);
    Ok((of, value))
}

/// The quality of a partition: modularity, or the constant Potts quality over the total weight.
pub(crate) fn value(n: usize, edges: &[(usize, usize, f64)], directed: bool, quality: Quality, resolution: f64, of: &[u32]) -> f64 {
    let total: f64 = edges.iter().map(|edge| edge.2).sum();
    if edges.is_empty() || total == 0.0 {
        return 0.0;
    }
    let communities = of.iter().max().map_or(0, |most| *most as usize + 1);
    let inside: f64 = edges.iter().filter(|(source, target, _)| of[*source] == of[*target]).map(|edge| edge.2).sum();
    let mut mass = vec![[0.0; 2]; communities];
    match quality {
        Quality::Modularity => {
            for &(source, target, weight) in edges {
                mass[of[source] as usize][0] += weight;
                mass[of[target] as usize][1] += weight;
            }
            let expected: f64 = mass
                .iter()
                .map(|[out, into]| if directed { out * into / (total * total) } else { ((out + into) / (2.0 * total)).powi(2) })
                .sum();
            inside / total - resolution * expected
        }
        Quality::Cpm => {
            (0..n).for_each(|node| mass[of[node] as usize][0] += 1.0);
            let pairs: f64 = mass.iter().map(|[size, _]| size * (size - 1.0) * if directed { 1.0 } else { 0.5 }).sum();
            (inside - resolution * pairs) / total.abs()
        }
    }
}

/// A graph from edges; parallel ones and both ways are added, loops dropped.
fn graph_of(mass: Vec<[f64; 2]>, edges: impl Iterator<Item = (u32, u32, f64)> + Clone) -> Weighted {
    let n = mass.len();
    let mut starts = vec![0usize; n + 1];
    for (source, target, _) in edges.clone().filter(|edge| edge.0 != edge.1) {
        starts[source as usize + 1] += 1;
        starts[target as usize + 1] += 1;
    }
    (0..n).for_each(|node| starts[node + 1] += starts[node]);
    let mut next = starts.clone();
    let mut ends = vec![(0u32, 0.0); starts[n]];
    for (source, target, weight) in edges.filter(|edge| edge.0 != edge.1) {
        ends[next[source as usize]] = (target, weight);
        ends[next[target as usize]] = (source, weight);
        next[source as usize] += 1;
        next[target as usize] += 1;
    }
    Weighted { starts, ends, mass }
}

/// One run of moving, refining and aggregating until nothing is left to aggregate.
fn once(graph: &Weighted, problem: &Problem, of: Vec<u32>, stream: &mut Stream, cancel: &CancelToken) -> Result<Vec<u32>, StageError> {
    let mut own: Option<Weighted> = None;
    let mut of = compact(&of);
    // The node of the current graph that each original node is in.
    let mut place: Vec<u32> = (0..graph.nodes() as u32).collect();
    loop {
        cancel.check()?;
        let here = own.as_ref().unwrap_or(graph);
        move_nodes(here, problem, &mut of, stream);
        of = compact(&of);
        let communities = of.iter().max().map_or(0, |most| *most as usize + 1);
        if communities == here.nodes() {
            break;
        }
        let refined = compact(&refine(here, problem, &of, stream));
        let groups = refined.iter().max().map_or(0, |most| *most as usize + 1);
        if groups == here.nodes() {
            // Nothing can be put together: the communities are what they are.
            break;
        }
        let mut mass = vec![[0.0; 2]; groups];
        let mut above = vec![0u32; groups];
        for node in 0..here.nodes() {
            let group = refined[node] as usize;
            mass[group][0] += here.mass[node][0];
            mass[group][1] += here.mass[node][1];
            above[group] = of[node];
        }
        let next = aggregated(here, &refined, mass);
        place.iter_mut().for_each(|place| *place = refined[*place as usize]);
        of = above;
        own = Some(next);
    }
    Ok(compact(&place.iter().map(|place| of[*place as usize]).collect::<Vec<_>>()))
}

/// The graph of groups.
fn aggregated(graph: &Weighted, group: &[u32], mass: Vec<[f64; 2]>) -> Weighted {
    let groups = mass.len();
    let mut members: Vec<u32> = (0..graph.nodes() as u32).collect();
    members.sort_by_key(|&node| group[node as usize]);
    let mut weights = vec![0.0; groups];
    let mut met = vec![false; groups];
    let mut touched: Vec<u32> = Vec::new();
    let (mut starts, mut ends) = (vec![0], Vec::new());
    let mut member = members.into_iter().peekable();
    for own in 0..groups as u32 {
        while let Some(node) = member.next_if(|node| group[*node as usize] == own) {
            for &(other, weight) in graph.of(node as usize) {
                let other = group[other as usize];
                if other != own {
                    if !met[other as usize] {
                        met[other as usize] = true;
                        touched.push(other);
                    }
                    weights[other as usize] += weight;
                }
            }
        }
        touched.sort_unstable();
        for other in touched.drain(..) {
            met[other as usize] = false;
            ends.push((other, std::mem::take(&mut weights[other as usize])));
        }
        starts.push(ends.len());
    }
    Weighted { starts, ends, mass }
}

/// Moves nodes to the community where they gain most; a move wakes the neighbours that are elsewhere.
fn move_nodes(graph: &Weighted, problem: &Problem, of: &mut [u32], stream: &mut Stream) {
    let n = graph.nodes();
    let mut mass = vec![[0.0; 2]; n];
    let mut sizes = vec![0u32; n];
    for (node, community) in of.iter().enumerate() {
        let community = *community as usize;
        mass[community][0] += graph.mass[node][0];
        mass[community][1] += graph.mass[node][1];
        sizes[community] += 1;
    }
    let mut empty: Vec<u32> = (0..n as u32).rev().filter(|&community| sizes[community as usize] == 0).collect();
    let mut queue: VecDeque<u32> = stream.permutation(n).into_iter().map(|node| node as u32).collect();
    let mut waiting = vec![true; n];
    let mut weights = vec![0.0; n];
    let mut met = vec![false; n];
    let mut touched: Vec<u32> = Vec::new();
    while let Some(node) = queue.pop_front() {
        let node = node as usize;
        waiting[node] = false;
        let from = of[node];
        let own = graph.mass[node];
        for &(other, weight) in graph.of(node) {
            let community = of[other as usize];
            if !met[community as usize] {
                met[community as usize] = true;
                touched.push(community);
            }
            weights[community as usize] += weight;
        }
        let rest = [mass[from as usize][0] - own[0], mass[from as usize][1] - own[1]];
        let stay = weights[from as usize] - problem.expected(own, rest);
        let mut best = (stay, from);
        for &community in &touched {
            if community != from {
                let gain = weights[community as usize] - problem.expected(own, mass[community as usize]);
                if gain > best.0 + 1e-12 * problem.unit {
                    best = (gain, community);
                }
            }
        }
        // Alone, a node gains nothing and loses nothing.
        if best.0 < -1e-12 * problem.unit
            && sizes[from as usize] > 1
            && let Some(&community) = empty.last()
        {
            best = (0.0, community);
        }
        for community in touched.drain(..) {
            met[community as usize] = false;
            weights[community as usize] = 0.0;
        }
        let to = best.1;
        if to == from {
            continue;
        }
        for way in 0..2 {
            mass[from as usize][way] -= own[way];
            mass[to as usize][way] += own[way];
        }
        if sizes[to as usize] == 0 {
            empty.pop();
        }
        sizes[from as usize] -= 1;
        sizes[to as usize] += 1;
        if sizes[from as usize] == 0 {
            mass[from as usize] = [0.0; 2];
            empty.push(from);
        }
        of[node] = to;
        for &(other, _) in graph.of(node) {
            if of[other as usize] != to && !waiting[other as usize] {
                waiting[other as usize] = true;
                queue.push_back(other);
            }
        }
    }
}

/// Splits each community into parts that are well connected, each node joining a part at random by how much it gains.
fn refine(graph: &Weighted, problem: &Problem, of: &[u32], stream: &mut Stream) -> Vec<u32> {
    let n = graph.nodes();
    let mut whole = vec![[0.0; 2]; n];
    for node in 0..n {
        whole[of[node] as usize][0] += graph.mass[node][0];
        whole[of[node] as usize][1] += graph.mass[node][1];
    }
    let mut part: Vec<u32> = (0..n as u32).collect();
    let mut mass = graph.mass.clone();
    let mut alone = vec![true; n];
    // Weight from each part, and from each node, to the rest of its community.
    let inside = |node: usize| graph.of(node).iter().filter(|(other, _)| of[*other as usize] == of[node]).map(|end| end.1).sum::<f64>();
    let mut outward: Vec<f64> = (0..n).map(inside).collect();
    let less = |a: [f64; 2], b: [f64; 2]| [a[0] - b[0], a[1] - b[1]];
    let mut weights = vec![0.0; n];
    let mut met = vec![false; n];
    let mut touched: Vec<u32> = Vec::new();
    for node in stream.permutation(n) {
        let community = whole[of[node] as usize];
        if !alone[node] || outward[node] < problem.expected(graph.mass[node], less(community, graph.mass[node])) {
            continue;
        }
        for &(other, weight) in graph.of(node) {
            if of[other as usize] == of[node] {
                let other = part[other as usize];
                if !met[other as usize] {
                    met[other as usize] = true;
                    touched.push(other);
                }
                weights[other as usize] += weight;
            }
        }
        let mut choices: Vec<(u32, f64)> = vec![(node as u32, 0.0)];
        for &other in &touched {
            let at = other as usize;
            let connected = outward[at] >= problem.expected(mass[at], less(community, mass[at]));
            let gain = weights[at] - problem.expected(graph.mass[node], mass[at]);
            if at != node && connected && gain >= 0.0 {
                choices.push((other, gain / problem.unit));
            }
        }
        let most = choices.iter().map(|choice| choice.1).fold(0.0, f64::max);
        let chance = |gain: f64| ((gain - most) / RANDOMNESS).exp();
        let mut draw = stream.uniform() * choices.iter().map(|choice| chance(choice.1)).sum::<f64>();
        let mut chosen = node as u32;
        for &(other, gain) in &choices {
            draw -= chance(gain);
            if draw <= 0.0 {
                chosen = other;
                break;
            }
        }
        if chosen as usize != node {
            let at = chosen as usize;
            outward[at] += outward[node] - 2.0 * weights[at];
            mass[at] = [mass[at][0] + graph.mass[node][0], mass[at][1] + graph.mass[node][1]];
            part[node] = chosen;
            alone[at] = false;
            alone[node] = false;
        }
        for other in touched.drain(..) {
            met[other as usize] = false;
            weights[other as usize] = 0.0;
        }
    }
    part
}

fn compact(of: &[u32]) -> Vec<u32> {
    crate::blocks::partition::compact(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of_cliques(cliques: usize, size: usize) -> (usize, Vec<(usize, usize, f64)>) {
        let mut edges = Vec::new();
        for clique in 0..cliques {
            let first = clique * size;
            for a in 0..size {
                for b in a + 1..size {
                    edges.push((first + a, first + b, 1.0));
                }
            }
            let next = (clique + 1) % cliques * size;
            edges.push((first.min(next + 1), first.max(next + 1), 1.0));
        }
        (cliques * size, edges)
    }

    #[test]
    fn cliques_in_a_ring_are_communities_and_the_value_is_that_of_the_definition() {
        let (n, edges) = ring_of_cliques(6, 5);
        for (quality, resolution) in [(Quality::Modularity, 1.0), (Quality::Cpm, 0.3)] {
            let (of, found) = leiden(n, &edges, false, quality, resolution, 10, &Stream::new(1), &CancelToken::new()).unwrap();
            assert_eq!(of, (0..n as u32).map(|node| node / 5).collect::<Vec<_>>());
            if quality == Quality::Modularity {
                // 66 edges, 60 inside; every clique has 22 of 132 ends.
                assert!((found - (60.0 / 66.0 - 6.0 * (22.0f64 / 132.0).powi(2))).abs() < 1e-12, "{found}");
            } else {
                assert!((found - (60.0 - 0.3 * 60.0) / 66.0).abs() < 1e-12, "{found}");
            }
        }
    }

    #[test]
    fn a_high_resolution_leaves_all_alone_and_a_low_one_puts_all_together() {
        let (n, edges) = ring_of_cliques(4, 4);
        let count = |resolution: f64| {
            let (of, _) = leiden(n, &edges, false, Quality::Cpm, resolution, 5, &Stream::new(2), &CancelToken::new()).unwrap();
            *of.iter().max().unwrap() + 1
        };
        assert_eq!((count(2.0), count(1e-4)), (16, 1));
    }

    #[test]
    fn communities_are_connected() {
        let mut stream = Stream::new(7);
        let mut edges = Vec::new();
        for a in 0..120usize {
            for b in a + 1..120 {
                if stream.uniform() < 0.03 {
                    edges.push((a, b, stream.exponential()));
                }
            }
        }
        let (of, _) = leiden(120, &edges, false, Quality::Modularity, 1.0, 10, &Stream::new(3), &CancelToken::new()).unwrap();
        for community in 0..=*of.iter().max().unwrap() {
            let members: Vec<usize> = (0..120).filter(|&node| of[node] == community).collect();
            let mut reached = vec![members[0]];
            let mut at = 0;
            while at < reached.len() {
                let node = reached[at];
                at += 1;
                for &(a, b, _) in &edges {
                    let other = if a == node {
                        b
                    } else if b == node {
                        a
                    } else {
                        continue;
                    };
                    if of[other] == community && !reached.contains(&other) {
                        reached.push(other);
                    }
                }
            }
            assert_eq!(reached.len(), members.len(), "community {community}");
        }
    }

    #[test]
    fn directed_modularity_weighs_senders_against_receivers() {
        // Two directed cycles joined by one edge.
        let mut edges: Vec<(usize, usize, f64)> = (0..5).map(|node| (node, (node + 1) % 5, 1.0)).collect();
        edges.extend((0..5).map(|node| (5 + node, 5 + (node + 1) % 5, 1.0)));
        edges.push((0, 5, 1.0));
        let (of, found) = leiden(10, &edges, true, Quality::Modularity, 1.0, 10, &Stream::new(1), &CancelToken::new()).unwrap();
        assert!((value(10, &edges, true, Quality::Modularity, 1.0, &of) - found).abs() < 1e-12);
        let two: Vec<u32> = (0..10).map(|node| node / 5).collect();
        // (6 · 5 + 5 · 6) / 11² of chance.
        assert!((value(10, &edges, true, Quality::Modularity, 1.0, &two) - (10.0 / 11.0 - 60.0 / 121.0)).abs() < 1e-12);
        assert!(found >= value(10, &edges, true, Quality::Modularity, 1.0, &two) - 1e-12);
    }
}
