"""Large pipelines of stages that run in neuroflow itself: many tasks, each almost nothing."""

from harness.bench import Bench
from harness.measure import Measured, Series, measure, repeat
from harness.neuroflow import PIPELINE, Neuroflow
from harness.table import at_most, sentence
from harness.work import Shape

TIMES = 3
# The cap of commands is meant for other engines; a first run of a million chains may take longer.
CAP_FACTOR = 10
NOOP = "no-op, in process"

NOOP_S = {100_000: 2.5, 1_000_000: 25.0}
PEAK_MIB = 4096.0
COLD_TASKS, COLD_S = 1_000, 0.5

# A session of eight values a bin. Every window has the same bins, so that all results are one object and the tasks alone are measured.
HEAD = """pipeline large

input sessions = ingest.simulate(trials_per_direction = 1, units = [1, 1, 1], communities = 1, sampling = 1 Hz)
session = ingest.trials(sessions["sim1"])

"""


def text(count: int, *, chained: bool) -> str:
    """`count` windows that differ in their ends by less than a bin, with or without a second one behind each."""
    steps = "  a = ingest.window(session, window = 0 s .. end)\n"
    if chained:
        steps += "  b = ingest.window(a, window = 0 s .. end)\n"
    return f"{HEAD}for end in 1100000 us .. {1_100_000 + count} us step 1 us {{\n{steps}}}\n"


def in_process(bench: Bench) -> None:
    """Tasks in neuroflow itself, from nothing."""
    neuroflow = bench.neuroflow
    if neuroflow is None:
        return

    def once() -> Measured:
        with bench.folder("in-process", Shape.FLAT, 0) as folder:
            (folder / PIPELINE).write_text(text(COLD_TASKS, chained=False))
            return measure(neuroflow.run(COLD_TASKS), folder, neuroflow.environment(folder), bench.cap_s)

    series = repeat(TIMES, once)
    bench.tell("cold, in process", COLD_TASKS, neuroflow, series, at_most(COLD_S, series.seconds))


def scale(bench: Bench) -> None:
    """Plans and runs without anything to do, of ever more chains; and how the time of a task grows."""
    neuroflow = bench.neuroflow
    if neuroflow is None:
        return
    smallest: dict[str, float] = {}
    for count in (1_000, 10_000) if bench.quick else (10_000, 100_000, 1_000_000):
        for case, series in sized(bench, neuroflow, count).items():
            each = series.seconds / (2 * count)
            growth = each / smallest.setdefault(case, each)
            limit = NOOP_S.get(count) if case == NOOP else None
            reached = at_most(limit, series.seconds) if limit else ""
            memory = at_most(PEAK_MIB, series.peak_mib, "MiB", 0) if limit else ""
            note = f"{1e6 * each:.1f} µs a task, {growth:.2f} × that of the smallest"
            bench.tell(case, count, neuroflow, series, sentence(reached, memory), note)


def sized(bench: Bench, neuroflow: Neuroflow, count: int) -> dict[str, Series]:
    """Plan, first run, no-op and plan again of so many chains."""
    with bench.folder("large", Shape.FLAT, 0) as folder:
        (folder / PIPELINE).write_text(text(count, chained=True))

        def once(command: list[str]) -> Measured:
            return measure(command, folder, neuroflow.environment(folder), CAP_FACTOR * bench.cap_s)

        plan = repeat(TIMES, lambda: once(neuroflow.plan(count)))
        cold = repeat(1, lambda: once(neuroflow.run(count)))
        noop = repeat(TIMES, lambda: once(neuroflow.run(count)))
        done = repeat(TIMES, lambda: once(neuroflow.plan(count)))
    return {"plan, in process": plan, "cold chains, in process": cold, NOOP: noop, "plan when all is done, in process": done}
