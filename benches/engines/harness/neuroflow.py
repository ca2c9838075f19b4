"""neuroflow."""

import json
import os
import subprocess
from pathlib import Path

from harness.engine import Engine
from harness.work import LOG, Commands, Shape, Words

PIPELINE = "pipeline.nf"


class Neuroflow(Engine):
    """A loop over numbers or files. Results stay in its cache, which lies in the folder, and are taken out by `get`."""

    name = "neuroflow"

    def __init__(self, program: Path, jobs: int, *, sandbox: bool = True) -> None:
        super().__init__(program, jobs)
        self.sandbox = sandbox

    @property
    def label(self) -> str:
        return super().label + ("" if self.sandbox else ", no sandbox")

    def environment(self, folder: Path) -> dict[str, str]:
        settings = {"NEUROFLOW_CACHE": str(folder / "cache"), "NEUROFLOW_SANDBOX": "best" if self.sandbox else "off"}
        # Nothing that the person at this machine has set.
        return {**settings, "XDG_CONFIG_HOME": str(folder / "settings"), "NEUROFLOW_MIRRORS": "", "NEUROFLOW_OFFLINE": "1"}

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        # A logged task writes outside of its own folder, so the log is named by its whole path.
        log = str(folder / LOG)
        if shape is Shape.FLAT:
            steps = program("f", commands.alone(Words("{{ i }}", "", "{{ out }}", log)), i="i")
            text = f"for i in 0 .. {count} {{\n{steps}}}\n\nreport flat {{ f }}\n"
        else:
            first = commands.first(Words("{{ i }}", "{{ source }}", "{{ out }}", log))
            second = commands.second(Words("{{ i }}", "{{ a }}", "{{ out }}", log))
            steps = program("a", first, i="i", source="sources[i]") + program("b", second, i="i", a="a")
            text = f'input sources = file("data/*.txt")\n\nfor i in sources {{\n{steps}}}\n\nreport chains {{ b }}\n'
        (folder / PIPELINE).write_text(f"pipeline {shape.value}\n\n{text}")

    def run(self, count: int) -> list[str]:
        return self.command("run", PIPELINE, "--quiet", "--cores", str(self.jobs))

    def plan(self, count: int) -> list[str]:
        return self.command("run", PIPELINE, "--dry-run")

    def command(self, *arguments: str) -> list[str]:
        """neuroflow with arguments."""
        return [self.program, *arguments]

    def take_out(self, folder: Path, step: str, number: int) -> Path:
        path = folder / step / f"{number}.txt"
        self.ask(folder, "get", f'{step}["{number}"]', "-o", str(path))
        return path

    def ask(self, folder: Path, *arguments: str) -> str:
        """What neuroflow answers."""
        environment = {**os.environ, **self.environment(folder)}
        asked = subprocess.run(self.command(*arguments), cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if asked.returncode:
            raise RuntimeError(f"neuroflow {' '.join(arguments)}: {asked.stderr.strip()}")
        return asked.stdout

    def tasks(self, folder: Path) -> tuple[int, float]:
        """How many tasks the latest run computed, and their seconds together."""
        record = json.loads(self.ask(folder, "show", "--json"))
        return record["counts"]["ran"], sum(task["wall_ms"] for task in record["ran"]) / 1000


def program(name: str, command: str, **given: str) -> str:
    """A step that is a program. Of `given` it takes what its command names."""
    inputs = "".join(f", {key} = {value}" for key, value in given.items() if f"{{{{ {key} }}}}" in command)
    return f'  {name} = exec("{command}"{inputs}) -> file("{name}.txt")\n'
