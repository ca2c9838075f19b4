"""Cases that every engine runs."""

import time
from functools import partial
from pathlib import Path

from harness.bench import Bench
from harness.engine import Engine
from harness.measure import Measured, Series, in_turns, measure, repeat
from harness.neuroflow import Neuroflow
from harness.table import at_most, sentence
from harness.work import Commands, Shape, data

TIMES = 3
PLAIN = Commands()

# Targets of neuroflow in seconds, by the number of chains.
NOOP_S = {10_000: 0.25}
PLAN_S = {10_000: 0.4}
# Beyond the work of the two tasks that run.
ONE_CHANGED_S = {1_000: 0.06}
# Times make, without a sandbox, by the number of tasks.
COLD_OF_MAKE = {1_000: 2.0}

# From so many chains on, running them takes too long for engines whose state can be written by hand.
MANY = 10_000
# The state of DVC, which runs one task at a time, is written by hand from here on.
MANY_FOR_DVC = 1_000


def cold(bench: Bench) -> None:
    """Tasks without inputs, from nothing; neuroflow with and without its sandbox."""
    for count in (100,) if bench.quick else (100, 1_000):
        engines = list(bench.engines)
        if (neuroflow := bench.neuroflow) is not None:
            engines.insert(engines.index(neuroflow) + 1, Neuroflow(Path(neuroflow.program), neuroflow.jobs, sandbox=False))
        found = in_turns(TIMES, {engine: partial(bench.cold, engine, Shape.FLAT, count, PLAIN) for engine in engines})
        make = next((series for engine, series in found.items() if engine.name == "make"), None)
        for engine, series in found.items():
            of_make = series.seconds / make.seconds if make else None
            limit = COLD_OF_MAKE.get(count) if isinstance(engine, Neuroflow) and not engine.sandbox else None
            target = at_most(limit, of_make, "× make") if limit and of_make else ""
            times_make = f"{of_make:.2f} × make" if of_make and engine.name != "make" else ""
            bench.tell("cold", count, engine, series, target, sentence(times_make, engine.note))


def chains(bench: Bench) -> None:
    """Chains of two tasks: what would run, nothing to do, and one input changed."""
    for count in (100,) if bench.quick else (100, 1_000, 10_000):
        for engine in bench.engines:
            with bench.folder(engine.name, Shape.CHAINS, count) as folder:
                engine.write(folder, Shape.CHAINS, count, PLAIN)
                chains_of(bench, engine, count, folder)


def chains_of(bench: Bench, engine: Engine, count: int, folder: Path) -> None:
    """The same for one engine and one number of chains."""

    def once(command: list[str], good: int = 0) -> Measured:
        return measure(command, folder, engine.environment(folder), bench.cap_s, good)

    def target(limits: dict[int, float], seconds: float) -> str:
        return at_most(limits[count], seconds) if count in limits else ""

    plan = repeat(TIMES, lambda: once(engine.plan(count), engine.plan_status))
    bench.tell("plan", count, engine, plan, target(PLAN_S, plan.seconds), engine.plan_note)

    many = count >= (MANY_FOR_DVC if engine.name == "dvc" else MANY)
    pretended = engine.pretend(folder, count, PLAIN) if many else ""
    first = once(engine.run(count))
    if not pretended:
        bench.tell("cold chains", count, engine, Series((first,)), note=engine.note)
    if first.failed:
        bench.tell("no-op", count, engine, Series((first,)), note=sentence("the run before it did not end", pretended))
        return
    noop = repeat(TIMES, lambda: once(engine.run(count)))
    bench.tell("no-op", count, engine, noop, target(NOOP_S, noop.seconds), pretended)

    changed, beyond, right = [], [], True
    for turn in range(TIMES):
        # Engines that look at times of files need a time that is another.
        time.sleep(1.1)
        (folder / "data" / "7.txt").write_text(f"changed {turn}\nsecond line\n")
        changed.append(once(engine.run(count)))
        if changed[-1].failed:
            break
        right &= engine.take_out(folder, "b", 7).read_text() == f"changed {turn}\n"
        if isinstance(engine, Neuroflow):
            ran, seconds = engine.tasks(folder)
            right &= ran == 2
            beyond.append(changed[-1].seconds - seconds)
    series = Series(tuple(changed))
    reached = target(ONE_CHANGED_S, sorted(beyond)[len(beyond) // 2]) if beyond else ""
    bench.tell("one input changed", count, engine, series, reached, sentence("" if right else "THE RESULT IS WRONG", pretended))
    (folder / "data" / "7.txt").write_text(data(7))
