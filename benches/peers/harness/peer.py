"""The peer's side of a case, in a process of its own: `python -m harness.peer CASE FOLDER REPEATS ANSWER` prints seconds as a JSON list."""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy

from harness.case import read
from harness.cases import CASES


def main() -> None:
    """Times one case."""
    warnings.simplefilter("ignore")
    name, folder, repeats, answer = sys.argv[1:]
    case = next(case for case in CASES if case.name == name)
    # Imports and first calls are not what is compared.
    case.answer(*case.inputs(numpy.random.default_rng(0), True))
    arrays, settings = read(Path(folder))
    seconds = []
    for _ in range(int(repeats)):
        begin = time.perf_counter()
        found = case.answer(arrays, settings)
        taken = time.perf_counter() - begin
        if isinstance(found, tuple):
            found, taken = found
        seconds.append(taken)
    numpy.save(answer, numpy.asarray(found, dtype=float))
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
