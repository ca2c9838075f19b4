"""What the harness asks of an engine."""

import re
import subprocess
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from harness.work import Commands, Shape


class Engine(ABC):
    """A workflow engine. It runs in a folder that `harness.work.make_folder` made."""

    name: str
    # What a reader of its numbers must know.
    note = ""
    # The same for the time that its plan takes.
    plan_note = ""
    # What its plan ends with when all is well.
    plan_status = 0

    def __init__(self, program: Path, jobs: int) -> None:
        self.program = str(program)
        self.jobs = jobs

    @cached_property
    def version(self) -> str:
        """The number that it says."""
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False).stdout
        number = re.search(r"\d+(\.\d+)+", said)
        return number.group() if number else "?"

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return f"{self.name} {self.version}"

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables for its commands in a folder."""
        return {}

    @abstractmethod
    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        """Writes the pipeline; called again when the commands change."""

    @abstractmethod
    def run(self, count: int) -> list[str]:
        """The command that runs a pipeline of `count`."""

    @abstractmethod
    def plan(self, count: int) -> list[str]:
        """The command that says what would run."""

    def pretend(self, folder: Path, count: int, commands: Commands) -> str:
        """Writes what a run of chains would leave behind, for sizes at which a run takes too long. In words how that is not the same; empty when it can't."""
        return ""

    def take_out(self, folder: Path, step: str, number: int) -> Path:
        """The file with a task's result."""
        return folder / step / f"{number}.txt"
