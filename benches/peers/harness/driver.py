"""Runs both sides of each case in turn and prints the table: `python -m harness.driver BINARY THREADS CASES quick|full`."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy

from harness.case import Case, read
from harness.cases import CASES

# The Python of the system, for peers that only a distribution packs.
SYSTEM = "/usr/bin/python3"


class Missing(Exception):
    """A peer that is not there."""


def interpreter(case: Case) -> tuple[str, str]:
    """The Python that has the peer, and the peer's version."""
    if not case.system:
        return sys.executable, version(case.peer)
    ask = f"import warnings; warnings.simplefilter('ignore'); import {case.system}; print({case.system}.__version__)"
    try:
        done = subprocess.run([SYSTEM, "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        done = None
    if done is None or done.returncode != 0:
        raise Missing(f"skipped: {SYSTEM} has no {case.system}; Debian's python3-{case.peer} does")
    return SYSTEM, done.stdout.split()[0]


def seconds(command: list[str]) -> list[float]:
    """What a side printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:4])}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def agreement(case: Case, ours: Path, theirs: Path) -> tuple[str, bool]:
    """How far the two answers lie apart, in words, and whether that is allowed."""
    a, b = numpy.load(ours).ravel(), numpy.load(theirs).ravel()
    if case.judge:
        return case.judge(read(ours.parent / "inputs")[0], a, b)
    if case.tolerance is None:
        return (f"{a[0]:.4g}, peer {b[0]:.4g}: " if a.size == b.size == 1 else "") + case.note, True
    if case.share < 1.0:
        a = a[: len(b)]
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}", False
    largest = float(numpy.nanmax(numpy.abs(b))) or 1.0
    apart = float(numpy.nanmax(numpy.abs(a - b))) / largest
    right = bool(apart <= case.tolerance) and bool(numpy.array_equal(numpy.isnan(a), numpy.isnan(b)))
    return f"{apart:.1e} of {case.tolerance:.0e} allowed" + (f"; {case.note}" if case.note else ""), right


def line(case: Case, binary: str, threads: str, quick: bool) -> tuple[list[str], bool]:
    """One row of the table, and whether the answers agree."""
    python, edition = interpreter(case)
    with tempfile.TemporaryDirectory(prefix="neuroflow-peers-") as place:
        folder = Path(place) / "inputs"
        folder.mkdir()
        case.write(folder, quick)
        repeats = "1" if quick else str(case.repeats)
        ours, theirs = Path(place) / "ours.npy", Path(place) / "theirs.npy"
        mine: list[float] = []
        peer: list[float] = []
        # Alternately, so that a busy moment of the machine does not fall on one side only.
        for _ in range(1 if quick else case.turns):
            peer += [taken / case.share for taken in seconds([python, "-m", "harness.peer", case.name, str(folder), repeats, str(theirs)])]
            mine += seconds([binary, case.name, str(folder), repeats, str(ours), threads])
        said, right = agreement(case, ours, theirs)
    ratio = min(peer) / min(mine)
    reached = "met" if ratio >= case.target else "MISSED"
    cells = [case.name, f"{case.peer} {edition}", f"{min(peer):.4g}", f"{min(mine):.4g}", f"{ratio:.2f}", f"{case.target:g}: {reached}"]
    return [*cells, said if right else f"DIFFERENT: {said}"], right


def main() -> None:
    """Everything."""
    binary, threads, names, size = sys.argv[1:]
    wanted = [name for name in names.split(",") if name]
    if unknown := set(wanted) - {case.name for case in CASES}:
        sys.exit(f"{', '.join(sorted(unknown))}: there is {', '.join(case.name for case in CASES)}")
    print(f"{platform.machine()}, {threads} threads a side, load at the beginning {os.getloadavg()[0]:.1f}\n")
    head = ["case", "peer", "peer, s", "neuroflow, s", "ratio", "target", "answers differ by"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    fine = True
    for case in CASES:
        if wanted and case.name not in wanted:
            continue
        try:
            cells, right = line(case, binary, threads, size == "quick")
        except Missing as missing:
            cells, right = [case.name, case.peer, "", "", "", "", str(missing)], True
        except RuntimeError as error:
            cells, right = [case.name, case.peer, "", "", "", "", str(error)], False
        fine &= right
        print("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |", flush=True)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
