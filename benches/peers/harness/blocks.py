"""Weighted block models on planted graphs, against graph-tool, which is in no package index: the system's Python has it, or the cases are skipped."""

import time

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings

# graph-tool's variants: weights or not, degrees of their own or not. The best of them counts, which its user could not know.
VARIANTS = [(weights, degrees) for weights in (False, True) for degrees in (False, True)]
WORDS = ["unweighted", "unweighted, degree-corrected", "weighted", "weighted, degree-corrected"]


def planted(nodes: int, groups: int, inside: float, outside: float, seed: int, hubs: bool = False, pattern: bool = False):
    """Groups whose nodes have so many edges to their own group and to others on average, and weights twice as strong inside, exponential. With `hubs` degrees are broad;
    with `pattern` every pair of groups has a rate and a strength of its own, and groups differ in size."""

    def inputs(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
        rng = numpy.random.default_rng(seed)
        n, count = (nodes, groups) if not quick else (60, 3)
        of = rng.choice(count, n, p=rng.dirichlet(numpy.full(count, 5.0))) if pattern else numpy.arange(n) % count
        pull = numpy.minimum(rng.pareto(2.5, n) + 1.0, 20.0) if hubs else numpy.ones(n)
        members = [numpy.flatnonzero(of == group) for group in range(count)]
        sizes = numpy.array([len(group) for group in members])
        if pattern:
            rates = rng.gamma(0.4, size=(count, count))
            rates, strength = (rates + rates.T) * numpy.outer(sizes, sizes), rng.uniform(1.0, 3.0, (count, count))
            strength = numpy.triu(strength) + numpy.triu(strength, 1).T
        else:
            rates = numpy.where(numpy.eye(count) > 0, inside, outside / max(count - 1, 1)) * sizes[:, None]
            strength = numpy.where(numpy.eye(count) > 0, 2.0, 1.0)
        rates = numpy.triu(rates)
        rates[numpy.diag_indices(count)] /= 2.0
        counts = rng.multinomial(int(n * (inside + outside) / 2), (rates / rates.sum()).ravel()).reshape(count, count)
        ends = []
        for a, b in zip(*numpy.nonzero(counts), strict=True):
            draw = [rng.choice(members[group], counts[a, b], p=pull[members[group]] / pull[members[group]].sum()) for group in (a, b)]
            ends.append(numpy.sort(numpy.stack(draw, 1), 1))
        edges = numpy.unique(numpy.concatenate(ends), axis=0)
        edges = edges[edges[:, 0] != edges[:, 1]]
        weights = rng.exponential(size=len(edges)) * strength[of[edges[:, 0]], of[edges[:, 1]]] + 1e-9
        return {"edges": edges.astype(float), "weights": weights, "planted": of.astype(float)}, {}

    return inputs


def agreement(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Normalised mutual information (arithmetic)."""
    _, a = numpy.unique(one, return_inverse=True)
    _, b = numpy.unique(other, return_inverse=True)
    joint = numpy.zeros((a.max() + 1, b.max() + 1))
    numpy.add.at(joint, (a, b), 1.0 / len(a))

    def entropy(shares: numpy.ndarray) -> float:
        return -float((shares[shares > 0] * numpy.log(shares[shares > 0])).sum())

    apart = entropy(joint.sum(1)) + entropy(joint.sum(0))
    return 1.0 if apart == 0.0 else 2.0 * (apart - entropy(joint.ravel())) / apart


def with_graph_tool(arrays: Arrays, _: Settings) -> tuple[numpy.ndarray, float]:
    """The partition of the variant nearest to the planted one, after the number of the variant; and the seconds of that variant alone."""
    import graph_tool
    from graph_tool.inference import minimize_blockmodel_dl

    graph = graph_tool.Graph(directed=False)
    graph.add_vertex(len(arrays["planted"]))
    graph.add_edge_list(arrays["edges"].astype(int))
    weights = graph.new_edge_property("double", vals=arrays["weights"])
    best = (-1.0, numpy.zeros(0), 0.0)
    for place, (weighted, degrees) in enumerate(VARIANTS):
        graph_tool.seed_rng(7)
        numpy.random.seed(7)
        state = {"deg_corr": degrees, **({"recs": [weights], "rec_types": ["real-exponential"]} if weighted else {})}
        begin = time.perf_counter()
        found = minimize_blockmodel_dl(graph, state_args=state).get_blocks().a.astype(float)
        seconds = time.perf_counter() - begin
        near = agreement(found, arrays["planted"])
        if near > best[0]:
            best = (near, numpy.concatenate([[float(place)], found]), seconds)
    return best[1], best[2]


def judge(arrays: Arrays, ours: numpy.ndarray, theirs: numpy.ndarray) -> tuple[str, bool]:
    """Both agreements with the planted partition; ours may be less by what a few nodes make."""
    mine, peer = (agreement(found, arrays["planted"]) for found in (ours, theirs[1:]))
    return f"NMI {mine:.3f}, peer {peer:.3f} ({WORDS[int(theirs[0])]})", mine >= peer - 0.005


GRAPHS = {
    "200": planted(200, 4, 14.0, 6.0, 1),
    "200-faint": planted(200, 5, 10.0, 8.0, 11),
    "200-hubs": planted(200, 4, 12.0, 6.0, 12, hubs=True),
    "200-pattern": planted(200, 5, 10.0, 10.0, 13, pattern=True),
    "1000": planted(1_000, 10, 12.0, 8.0, 1),
    "1000-faint": planted(1_000, 10, 9.0, 11.0, 21),
    "1000-hubs": planted(1_000, 10, 12.0, 8.0, 22, hubs=True),
    "1000-pattern": planted(1_000, 12, 10.0, 10.0, 23, pattern=True),
    "10000": planted(10_000, 30, 12.0, 8.0, 1),
}

CASES = [
    Case(f"blocks-{name}", "graph-tool", 1.0, graph, with_graph_tool, None, repeats=1, turns=1, system="graph_tool", judge=judge)
    for name, graph in GRAPHS.items()
]
