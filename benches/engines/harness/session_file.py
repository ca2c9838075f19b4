"""A recording of any size, as a MATLAB 5 file that `ingest.trials` reads."""

import random
import struct
from array import array
from pathlib import Path

# Types of elements and classes of arrays, as the format numbers them.
INT8, INT32, UINT32, DOUBLE, MATRIX = 1, 5, 6, 9, 14
CELL_CLASS, STRUCT_CLASS, DOUBLE_CLASS = 1, 2, 6
# The room for a field's name.
NAME_BYTES = 32

TRIALS, BINS = 64, 2048
# Bytes of one unit's values.
UNIT_BYTES = 8 * TRIALS * BINS


def write_session(path: Path, units: int) -> int:
    """Writes a session of so many units; gives the bytes of its values, as doubles."""
    pool = array("d", (random.Random(1).gauss(0, 1) for _ in range(2 * BINS)))
    names = [f"neuron{unit + 1}" for unit in range(units)]
    first = _unit(pool, 0)
    with open(path, "wb") as file:
        file.write(b"MATLAB 5.0 MAT-file, made by a benchmark".ljust(124) + struct.pack("<H", 0x0100) + b"IM")
        # All units take the same room, so the header can be written before they are.
        begin = _array_head(STRUCT_CLASS, (1, 1), "D") + _field_names(names)
        file.write(struct.pack("<II", MATRIX, len(begin) + units * len(first)) + begin)
        for unit in range(units):
            file.write(_unit(pool, unit))
        directions = array("d", (45.0 * (trial % 8) for trial in range(TRIALS)))
        design = _array_head(STRUCT_CLASS, (1, 1), "TE") + _field_names(["direction"]) + _doubles(directions, (1, TRIALS))
        file.write(_element(MATRIX, design))
        file.write(_doubles(array("d", (bin / 1000 for bin in range(BINS))), (1, BINS), "t"))
    return units * UNIT_BYTES


def _unit(pool: "array[float]", unit: int) -> bytes:
    """A cell array with a trace for each trial."""
    traces = []
    for trial in range(TRIALS):
        start = (31 * unit + 7 * trial) % BINS
        traces.append(_doubles(pool[start : start + BINS], (BINS, 1)))
    return _element(MATRIX, _array_head(CELL_CLASS, (1, TRIALS), "") + b"".join(traces))


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _array_head(of_class: int, shape: tuple[int, int], name: str) -> bytes:
    return _element(UINT32, struct.pack("<II", of_class, 0)) + _element(INT32, struct.pack("<ii", *shape)) + _element(INT8, name.encode())


def _doubles(values: "array[float]", shape: tuple[int, int], name: str = "") -> bytes:
    return _element(MATRIX, _array_head(DOUBLE_CLASS, shape, name) + _element(DOUBLE, values.tobytes()))


def _field_names(names: list[str]) -> bytes:
    # The length of names is always in the short form: type and size share one word.
    length = struct.pack("<HHi", INT32, 4, NAME_BYTES)
    return length + _element(INT8, b"".join(name.encode().ljust(NAME_BYTES, b"\0") for name in names))
