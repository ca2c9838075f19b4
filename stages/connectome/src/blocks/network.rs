//! A graph as the search works on it: for each node its edges, side by side in memory.

/// One end of an edge, seen from the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Half {
    pub(crate) other: u32,
    /// 1 when the edge comes in from `other`, 0 when it goes out or has no direction.
    pub(crate) way: u8,
    pub(crate) weight: f64,
}

/// A simple graph, directed or not, on one or two sides.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Where the edges of each node begin; one longer than there are nodes.
    starts: Vec<usize>,
    halves: Vec<Half>,
    /// Ends of edges at each node: outgoing and incoming, all in the first when undirected.
    pub(crate) degrees: [Vec<u64>; 2],
    /// 0 or 1 for each node of a bipartite graph; empty otherwise.
    pub(crate) sides: Vec<u8>,
    pub(crate) directed: bool,
}

impl Network {
    /// A network of `n` nodes. Edges are (source, target, weight), each pair once (once each way when directed), no loops.
    pub(crate) fn new(n: usize, edges: &[(usize, usize, f64)], directed: bool, sides: Vec<u8>) -> Network {
        let mut starts = vec![0; n + 1];
        let mut degrees = [vec![0; n], vec![0; n]];
        for &(source, target, _) in edges {
            starts[source + 1] += 1;
            starts[target + 1] += 1;
            degrees[0][source] += 1;
            degrees[usize::from(directed)][target] += 1;
        }
        for node in 0..n {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut halves = vec![Half { other: 0, way: 0, weight: 0.0 }; 2 * edges.len()];
        for &(source, target, weight) in edges {
            halves[next[source]] = Half { other: target as u32, way: 0, weight };
            halves[next[target]] = Half { other: source as u32, way: u8::from(directed), weight };
            next[source] += 1;
            next[target] += 1;
        }
        Network { starts, halves, degrees, sides, directed }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// The most ends of edges that a node has, in one direction.
    pub(crate) fn most_ends(&self) -> usize {
        self.degrees.iter().flatten().max().map_or(0, |most| *most as usize)
    }

    /// Twice the number of edges.
    pub(crate) fn halves(&self) -> usize {
        self.halves.len()
    }

    /// The edges of a node.
    #[inline]
    pub(crate) fn of(&self, node: usize) -> &[Half] {
        &self.halves[self.starts[node]..self.starts[node + 1]]
    }

    /// The side of a node; 0 when there is one side only.
    #[inline]
    pub(crate) fn side(&self, node: usize) -> usize {
        self.sides.get(node).map_or(0, |side| usize::from(*side))
    }

    /// Every weight once.
    pub(crate) fn weights(&self) -> impl Iterator<Item = f64> + '_ {
        let directed = self.directed;
        (0..self.nodes()).flat_map(move |node| {
            let own = move |half: &&Half| if directed { half.way == 0 } else { half.other as usize > node };
            self.of(node).iter().filter(own).map(|half| half.weight)
        })
    }
}
