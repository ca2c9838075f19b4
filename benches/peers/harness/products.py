"""Matrix products and correlations, against NumPy."""

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings


def square(size: int):
    """Two square matrices of single precision."""

    def inputs(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
        n = 128 if quick else size
        return {name: rng.standard_normal((n, n), dtype=numpy.float32) for name in "ab"}, {}

    return inputs


def product(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """Every 64th value of the product: the other side would have to convert them all."""
    return (arrays["a"] @ arrays["b"]).ravel()[::64]


def activity(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
    """Units × bins, with shared fluctuations."""
    units, bins = (50, 300) if quick else (1_000, 10_000)
    shared = rng.standard_normal((5, bins), dtype=numpy.float32)
    loads = rng.standard_normal((units, 5), dtype=numpy.float32)
    return {"x": loads @ shared + rng.standard_normal((units, bins), dtype=numpy.float32)}, {}


CASES = [
    Case("matmul-1024", "numpy", 0.9, square(1024), product, 1e-5, repeats=30),
    Case("matmul-4096", "numpy", 0.9, square(4096), product, 1e-5, repeats=3),
    Case("affinity", "numpy", 1.5, activity, lambda arrays, _: numpy.corrcoef(arrays["x"], dtype=numpy.float32), 1e-5, repeats=10),
]
