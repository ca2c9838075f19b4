"""What one comparison is: inputs, the peer's way, and how far the two answers may differ."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy

Arrays = dict[str, numpy.ndarray]
Settings = dict[str, float]

SETTINGS = "settings.json"


@dataclass(frozen=True)
class Case:
    """One comparison."""

    name: str
    # The package, as it calls itself on PyPI.
    peer: str
    # How many times faster neuroflow is to be.
    target: float
    # Arrays and settings of the full size, or of a small one.
    inputs: Callable[[numpy.random.Generator, bool], tuple[Arrays, Settings]]
    # The peer's answer. What is timed is just this; an answer that is a pair has timed itself, in seconds.
    answer: Callable[[Arrays, Settings], numpy.ndarray | tuple[numpy.ndarray, float]]
    # The largest difference allowed between the two answers, relative to the largest value of the peer's; none: they are not the same thing, see `note`.
    tolerance: float | None
    note: str = ""
    # The share of the work that the peer does; its time is taken accordingly, and the answers are compared as far as the peer's go.
    share: float = 1.0
    # How often each side is timed; the best counts.
    repeats: int = 5
    # How often each side is started.
    turns: int = 3
    # The module of a peer that is in no package index: the system's Python is asked for it, and the case skipped without it.
    system: str = ""
    # What the two answers are worth, and whether that is allowed; instead of the tolerance.
    judge: Callable[[Arrays, numpy.ndarray, numpy.ndarray], tuple[str, bool]] | None = None

    def write(self, folder: Path, quick: bool) -> None:
        """Puts the inputs where both sides find them."""
        arrays, settings = self.inputs(numpy.random.default_rng(20261129), quick)
        for name, array in arrays.items():
            numpy.save(folder / f"{name}.npy", numpy.ascontiguousarray(array))
        (folder / SETTINGS).write_text(json.dumps(settings))


def read(folder: Path) -> tuple[Arrays, Settings]:
    """The inputs of a case."""
    arrays = {path.stem: numpy.load(path) for path in folder.glob("*.npy")}
    return arrays, json.loads((folder / SETTINGS).read_text())
