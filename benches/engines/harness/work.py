"""The work that every engine is given: shapes, and the commands of their tasks.

`chains` of N: `data/i.txt` -> a -> b, N independent chains of two tasks. `flat` of N: N tasks without inputs.
"""

import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# Where tasks write down that they began.
LOG = "log.txt"


class Shape(Enum):
    """What the tasks hang on."""

    CHAINS = "chains"
    FLAT = "flat"


class Style(Enum):
    """What the commands do beside their work."""

    # Nothing: for timing.
    PLAIN = "plain"
    # They log that they ran.
    LOGGED = "logged"
    # They log, and write in two parts with a pause, so that a torn file can be seen.
    SLOW = "slow"


@dataclass(frozen=True)
class Words:
    """How a command names things in the language of one engine."""

    number: str
    read: str
    write: str
    log: str = LOG


@dataclass(frozen=True)
class Commands:
    """The commands of the tasks. They hold no braces and no dollars, which mean different things to different engines."""

    style: Style = Style.PLAIN
    # Whether the second task of each chain has another command that does the same.
    revised: bool = False

    def first(self, words: Words) -> str:
        """Of `data/i.txt`, the first line."""
        if self.style is Style.SLOW:
            return f"{self._logged('a', words)}(echo head; sleep 0.05; echo tail) > {words.write}"
        return f"{self._logged('a', words)}head -n1 {words.read} > {words.write}"

    def second(self, words: Words) -> str:
        """A copy of what the first gave."""
        start = ("true revised; " if self.revised else "") + self._logged("b", words)
        if self.style is Style.SLOW:
            return f"{start}(echo head; sleep 0.05; cat {words.read}; echo tail) > {words.write}"
        return f"{start}cat {words.read} > {words.write}"

    def alone(self, words: Words) -> str:
        """The task's number."""
        return f"echo {words.number} > {words.write}"

    def _logged(self, step: str, words: Words) -> str:
        return "" if self.style is Style.PLAIN else f"echo {step} {words.number} >> {words.log}; "


def data(number: int) -> str:
    """The content of a chain's input."""
    return f"x{number}\nsecond line\n"


def make_folder(path: Path, shape: Shape, count: int) -> None:
    """An empty folder with the inputs of a shape."""
    shutil.rmtree(path, ignore_errors=True)
    for name in ("data", "a", "b", "out"):
        (path / name).mkdir(parents=True)
    if shape is Shape.CHAINS:
        for number in range(count):
            (path / "data" / f"{number}.txt").write_text(data(number))


def logged(folder: Path) -> list[str]:
    """Which tasks ran since the last look."""
    log = folder / LOG
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines
