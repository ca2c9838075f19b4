"""Non-negative factorisation in single precision, against TensorLy's HALS."""

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings

# The peer's sweeps, each with up to 100 passes over the columns of a factor.
SWEEPS = 10


def planted(shape: tuple[int, int, int], rank: int, own_sweeps: int):
    """A tensor of non-negative components with noise, and random starting factors."""

    def inputs(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
        sizes = tuple(size // 10 for size in shape) if quick else shape
        truth = [rng.gamma(0.5, size=(size, rank)) for size in sizes]
        tensor = numpy.einsum("ir,jr,kr->ijk", *truth, optimize=True)
        tensor += 0.1 * tensor.std() * numpy.abs(rng.standard_normal(sizes))
        start = {name: rng.uniform(size=(size, rank)).astype(numpy.float32) for name, size in zip("abc", sizes, strict=True)}
        return {"tensor": tensor.astype(numpy.float32), **start}, {"sweeps": SWEEPS, "own_sweeps": own_sweeps, "own_passes": 5}

    return inputs


def hals(arrays: Arrays, settings: Settings) -> numpy.ndarray:
    """The relative error after the sweeps."""
    from tensorly.cp_tensor import CPTensor, cp_norm, unfolding_dot_khatri_rao
    from tensorly.decomposition import non_negative_parafac_hals

    tensor = arrays["tensor"]
    rank = arrays["a"].shape[1]
    start = CPTensor((None, [arrays[name].copy() for name in "abc"]))
    found = non_negative_parafac_hals(tensor, rank, n_iter_max=int(settings["sweeps"]), init=start, tol=0)
    weights, parts = found
    products = unfolding_dot_khatri_rao(tensor, (weights, parts), 0)
    inner = float((products * parts[0] * (1 if weights is None else weights)).sum())
    norm = float((tensor.astype(numpy.float64) ** 2).sum())
    return numpy.array([max(norm + float(cp_norm(found)) ** 2 - 2 * inner, 0.0) ** 0.5 / norm**0.5])


# Ours have five passes and are extrapolated: as many sweeps as come within 1 % of the peer's error. Each side has a start of its own.
CASES = [
    Case(
        f"ntf-{label}-rank-{rank}", "tensorly", target, planted(shape, rank, own_sweeps), hals, None,
        f"relative error after {SWEEPS} sweeps of the peer, {own_sweeps} of ours", repeats=3,
    )
    for label, shape, target, rank, own_sweeps in (
        ("300x300x400", (300, 300, 400), 3.5, 8, 10),
        ("300x300x400", (300, 300, 400), 3.5, 20, 10),
        ("100x100x200", (100, 100, 200), 6.0, 8, 13),
        ("100x100x200", (100, 100, 200), 6.0, 20, 12),
    )
]
