"""What engines do when something is touched, changed, lost, killed, or run twice: by the tasks that really ran."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.bench import Bench
from harness.engine import Engine
from harness.measure import kill, last_words, measure, start
from harness.neuroflow import Neuroflow
from harness.table import markdown
from harness.work import LOG, Commands, Shape, Style, data, logged

COUNT = 20
TASKS = 2 * COUNT
LOGGED = Commands(Style.LOGGED)
SLOW = Commands(Style.SLOW)
# Seconds that any command of a probe may take.
CAP_S = 120.0


@dataclass(frozen=True)
class Verdict:
    """What came of a probe."""

    passed: bool
    reason: str

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}: {self.reason}"


class Probed:
    """An engine with a folder of chains that have run once."""

    def __init__(self, engine: Engine, folder: Path, commands: Commands) -> None:
        self.engine, self.folder = engine, folder
        engine.write(folder, Shape.CHAINS, COUNT, commands)

    def run(self) -> list[str]:
        """Runs once more; gives the tasks that ran."""
        measured = measure(self.engine.run(COUNT), self.folder, self.engine.environment(self.folder), CAP_S)
        if measured.failed:
            raise RuntimeError(f"the run ended with {measured.status}: {last_words(self.folder)}")
        return logged(self.folder)

    def source(self, number: int) -> Path:
        """The input of a chain."""
        return self.folder / "data" / f"{number}.txt"

    def change(self, number: int, text: str) -> list[str]:
        """Writes another input and runs."""
        # Engines that look at times of files need a time that is another.
        time.sleep(1.1)
        self.source(number).write_text(text)
        return self.run()

    def result(self, number: int) -> str:
        """The result of a chain, taken out anew."""
        path = self.engine.take_out(self.folder, "b", number)
        return path.read_text() if path.exists() else ""


def probes(bench: Bench) -> str:
    """Runs all probes; gives their table."""
    lines = []
    found = {engine.name: probe(bench, engine) for engine in bench.engines}
    for name in PROBES:
        lines.append([name, *(found[engine.name][name] for engine in bench.engines)])
    return markdown(["probe", *(engine.label for engine in bench.engines)], lines)


def probe(bench: Bench, engine: Engine) -> dict[str, Verdict]:
    """All probes of one engine, each in a new folder."""
    # A sandboxed program can't write a log that outlives it.
    engine = Neuroflow(Path(engine.program), engine.jobs, sandbox=False) if isinstance(engine, Neuroflow) else engine
    found = {}
    for name, (commands, ask) in PROBES.items():
        with bench.folder(engine.name, Shape.CHAINS, COUNT) as folder:
            probed = Probed(engine, folder, commands)
            try:
                if commands is LOGGED and (ran := len(probed.run())) != TASKS:
                    raise RuntimeError(f"the first run ran {ran} tasks of {TASKS}")
                found[name] = ask(probed)
            except (RuntimeError, OSError) as error:
                found[name] = Verdict(False, str(error))
    return found


def touched(probed: Probed) -> Verdict:
    """An input gets a new time and keeps its content."""
    time.sleep(1.1)
    os.utime(probed.source(3))
    ran = len(probed.run())
    return Verdict(ran == 0, f"{ran} tasks ran")


def cut_off(probed: Probed) -> Verdict:
    """An input changes where the first task does not look, so its result stays as it was."""
    ran = probed.change(3, "x3\nanother second line\n")
    return Verdict(ran == ["a 3"], f"ran {', '.join(ran) or 'nothing'}")


def reverted(probed: Probed) -> Verdict:
    """An input changes and changes back."""
    forth = len(probed.change(3, "changed\n"))
    back = len(probed.change(3, data(3)))
    right = probed.result(3) == "x3\n"
    return Verdict(forth == 2 and back == 0 and right, f"{forth} ran forth, {back} back" + ("" if right else ", the result is WRONG"))


def deleted(probed: Probed) -> Verdict:
    """A result is deleted."""
    probed.engine.take_out(probed.folder, "b", 5).unlink()
    return restored(probed, len(probed.run()), 5)


def edited(probed: Probed) -> Verdict:
    """A result is edited by hand."""
    path = probed.engine.take_out(probed.folder, "b", 5)
    time.sleep(1.1)
    # Some engines hand out links to what they keep, so the file is replaced and not written into.
    path.unlink()
    path.write_text("edited by hand\n")
    return restored(probed, len(probed.run()), 5)


def restored(probed: Probed, ran: int, number: int) -> Verdict:
    """Whether a result is again what it was, at the price of one task at most."""
    right = probed.result(number) == f"x{number}\n"
    return Verdict(right and ran <= 1, f"{ran} tasks ran, the result is {'right' if right else 'WRONG or missing'}")


def revised(probed: Probed) -> Verdict:
    """The command of all second tasks changes."""
    probed.engine.write(probed.folder, Shape.CHAINS, COUNT, Commands(Style.LOGGED, revised=True))
    time.sleep(1.1)
    ran = probed.run()
    seconds = sum(line.startswith("b ") for line in ran)
    return Verdict(seconds == COUNT == len(ran), f"{len(ran)} tasks ran, {COUNT} have another command")


def killed(probed: Probed) -> Verdict:
    """A run is killed in its middle and started again."""
    engine, folder = probed.engine, probed.folder
    process = start(engine.run(COUNT), folder, engine.environment(folder))
    deadline = time.monotonic() + CAP_S
    log = folder / LOG
    while process.poll() is None and time.monotonic() < deadline and (not log.exists() or log.read_text().count("\n") < COUNT):
        time.sleep(0.005)
    kill(process)
    process.wait()
    # What it started may outlive it for a moment.
    time.sleep(0.3)
    before = len(logged(folder))
    try:
        after = len(probed.run())
    except RuntimeError as error:
        return Verdict(False, f"{before} ran before; {error}")
    torn = torn_results(probed)
    lost = before + after - TASKS
    reason = f"{before} ran before and {after} after, {torn} torn files"
    return Verdict(torn == 0 and 0 <= lost <= engine.jobs, reason)


def together(probed: Probed) -> Verdict:
    """Two runs of the same at once."""
    engine, folder = probed.engine, probed.folder
    both = [start(engine.run(COUNT), folder, engine.environment(folder), f"said-{which}.txt") for which in range(2)]
    deadline = time.monotonic() + CAP_S
    while any(process.poll() is None for process in both) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in both:
        if process.poll() is None:
            kill(process)
            process.wait()
    ran, torn = len(logged(folder)), torn_results(probed)
    reason = f"{ran} tasks ran of {TASKS}, {torn} torn files"
    for which, process in enumerate(both):
        if process.returncode:
            reason += f"; one ended with {process.returncode}: {last_words(folder, f'said-{which}.txt')[-120:]}"
    return Verdict(ran == TASKS and torn == 0 and not any(process.returncode for process in both), reason)


def torn_results(probed: Probed) -> int:
    """How many results are missing or not whole."""
    return sum(probed.result(number) != "head\nhead\ntail\ntail\n" for number in range(COUNT))


PROBES: dict[str, tuple[Commands, Callable[[Probed], Verdict]]] = {
    "input touched, not changed": (LOGGED, touched),
    "input changed, first result the same": (LOGGED, cut_off),
    "input changed and changed back": (LOGGED, reverted),
    "output deleted": (LOGGED, deleted),
    "output edited": (LOGGED, edited),
    "command changed": (LOGGED, revised),
    "kill -9, then again": (SLOW, killed),
    "two at once": (SLOW, together),
}
