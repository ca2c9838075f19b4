"""Large things: an artifact that one stage hands to another, and the hashing of new inputs."""

import os
import random
import shutil
from functools import partial
from pathlib import Path

from harness import prepare
from harness.bench import Bench
from harness.measure import Measured, Series, in_turns, measure
from harness.neuroflow import PIPELINE, Neuroflow
from harness.session_file import UNIT_BYTES, write_session
from harness.table import at_most, row
from harness.work import Shape

MIB, GIB = 1 << 20, 1 << 30
TIMES = 3

# An artifact that is handed on may make a run larger by so much of itself.
GROWTH = 1.1
# What neuroflow is to reach of the speed of b3sum.
OF_HASHER = 0.8

HAND_OVER = """pipeline hand_over

input session = mat("session.mat")
whole = ingest.trials(session)
tuning = ingest.tuning(whole, by = "direction", window = 0 s .. 2 s)

report hand_over { tuning }
"""

HASHING = """pipeline hashing

input large = file("large.bin")
first = exec("head -c1 {{ large }} > {{ out }}", large = large) -> file("first.bin")

report hashing { first }
"""

# What stands in for b3sum where it is not installed.
B3SUM = "import blake3, sys; print(blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(sys.argv[1]).hexdigest())"


def hand_over(bench: Bench) -> None:
    """How much larger a run is in which a step takes a large artifact: from the cache, and from a step of the same run."""
    neuroflow = bench.neuroflow
    if neuroflow is None:
        return
    units = (64 * MIB if bench.quick else GIB) // UNIT_BYTES
    _, small, _ = handed(bench, neuroflow, 1)
    maker, taker, both = handed(bench, neuroflow, units)
    size = units * UNIT_BYTES / MIB
    for case, run, base, told in (
        ("handed over from the cache", taker, small, f"of the same run with {UNIT_BYTES // MIB} MiB"),
        ("handed over in one run", both, maker, "of the run that only makes it"),
    ):
        target = at_most(GROWTH * size, run.peak_mib - base.peak_mib, "MiB more", 0)
        bench.tell(case, round(size), neuroflow, Series((run,)), target, f"N is MiB; the peak {told} is {base.peak_mib:.0f} MiB")


def handed(bench: Bench, neuroflow: Neuroflow, units: int) -> tuple[Measured, Measured, Measured]:
    """A run that makes an artifact, one that finds it in the cache and takes it, and one that does both."""
    with bench.folder("hand-over", Shape.FLAT, 0) as folder:
        write_session(folder / "session.mat", units)
        (folder / PIPELINE).write_text(HAND_OVER)

        def once(*arguments: str) -> Measured:
            return measure([*neuroflow.run(1), *arguments], folder, neuroflow.environment(folder), bench.cap_s)

        maker, taker = once("--until", "whole"), once()
        shutil.rmtree(folder / "cache")
        return maker, taker, once()


def hashing(bench: Bench) -> None:
    """A new input is hashed, and kept, beside b3sum and cp on the same file; all find it in memory."""
    neuroflow = bench.neuroflow
    if neuroflow is None:
        return
    size = 256 * MIB if bench.quick else 4 * GIB
    installed = shutil.which("b3sum")
    hasher = [installed] if installed else [str(prepare.environment() / "python"), "-c", B3SUM]
    with bench.folder("hashing", Shape.FLAT, 0) as folder:
        large, copy = folder / "large.bin", folder / "copy.bin"
        write_noise(large, size)
        (folder / PIPELINE).write_text(HASHING)

        def other(*command: str) -> Measured:
            copy.unlink(missing_ok=True)
            os.sync()
            return measure(command, folder, {}, bench.cap_s)

        def ours(command: list[str]) -> Measured:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            os.sync()
            return measure(command, folder, neuroflow.environment(folder), bench.cap_s)

        hasher_name = "b3sum" if installed else "blake3 of Python (b3sum is not installed)"
        commands = {hasher_name: partial(other, *hasher, large.name), "cp": partial(other, "cp", large.name, copy.name)}
        own = {"hashed": partial(ours, neuroflow.plan(1)), "kept": partial(ours, neuroflow.run(1))}
        found = in_turns(TIMES, {**commands, **own})

    def rate(series: Series) -> str:
        return f"N is MiB; {size / GIB / series.seconds:.2f} GiB/s"

    for name in commands:
        bench.rows.append(row("new input", size // MIB, name, found[name], note=rate(found[name])))
    hashed, kept = found["hashed"], found["kept"]
    share = found[hasher_name].seconds / hashed.seconds
    target = f"{'met' if share >= OF_HASHER else 'MISSED'}: {share:.0%} of the speed of {hasher_name}, {OF_HASHER:.0%} wanted"
    bench.tell("new input, hashed", size // MIB, neuroflow, hashed, target, rate(hashed))
    both = sum(found[name].seconds for name in commands) / kept.seconds
    note = f"{rate(kept)}; {both:.0%} of the speed of cp and {hasher_name} in turn"
    bench.tell("new input, kept", size // MIB, neuroflow, kept, "", note)


def write_noise(path: Path, size: int) -> None:
    """A file in which no block is like another."""
    source = random.Random(1)
    with open(path, "wb") as file:
        for _ in range(size // (4 * MIB)):
            file.write(source.randbytes(4 * MIB))
