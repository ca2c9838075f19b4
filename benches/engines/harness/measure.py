"""Wall time and peak memory of a command."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Key = TypeVar("Key")

# Where a command's words go, below the folder that it runs in.
SAID = "said.txt"

# Repetitions stop when they have taken so many seconds together.
ENOUGH_S = 60.0


@dataclass(frozen=True)
class Measured:
    """How one command went."""

    seconds: float
    # Of the largest single process among the command and what it waited for. Never less than what this program held when it started the command.
    peak_mib: float
    # None when it was stopped because it took too long.
    status: int | None

    @property
    def failed(self) -> bool:
        """Whether it did not end well, or not in time."""
        return self.status != 0


@dataclass(frozen=True)
class Series:
    """The same command several times."""

    runs: tuple[Measured, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        """The largest."""
        return max(run.peak_mib for run in self.runs)

    @property
    def failure(self) -> str:
        """How the last one failed, in words; empty when it did not."""
        last = self.runs[-1]
        if last.status is None:
            return f"stopped after {last.seconds:.0f} s"
        return f"failed with status {last.status}" if last.failed else ""


def start(command: Sequence[str], folder: Path, environment: Mapping[str, str], said: str = SAID) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own, so that it can be ended with all that it started."""
    with open(folder / said, "wb") as out:
        return subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a command that `start` started, and its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str], cap_s: float, good: int = 0) -> Measured:
    """Runs a command to its end, or for `cap_s` seconds. `good` is the status that means that all is well; it becomes 0."""
    began = time.perf_counter()
    process = start(command, folder, environment)
    in_time = True
    # Looking is cheap, but a long command needs no exact end.
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        passed = time.perf_counter() - began
        if passed > cap_s and in_time:
            in_time = False
            kill(process)
        time.sleep(0.001 if passed < 2 else 0.01)
    seconds = time.perf_counter() - began
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    shown = 0 if process.returncode == good else process.returncode
    return Measured(seconds, usage.ru_maxrss / 1024, shown if in_time else None)


def repeat(times: int, one: Callable[[], Measured]) -> Series:
    """Measures up to `times` times: fewer when it fails or takes long."""
    return in_turns(times, {None: one})[None]


def in_turns(times: int, each: Mapping[Key, Callable[[], Measured]]) -> dict[Key, Series]:
    """The same for several things in turns, so that a slow minute of the machine meets all of them."""
    runs: dict[Key, list[Measured]] = {key: [] for key in each}
    for _ in range(times):
        for key, one in each.items():
            done = runs[key]
            if not any(run.failed for run in done) and sum(run.seconds for run in done) < ENOUGH_S:
                done.append(one())
    return {key: Series(tuple(done)) for key, done in runs.items()}


def last_words(folder: Path, said: str = SAID) -> str:
    """The end of what a command printed, on one line."""
    path = folder / said
    text = path.read_text(errors="replace") if path.exists() else ""
    return " ".join(text.split())[-200:]
