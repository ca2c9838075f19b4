"""doit."""

from pathlib import Path

from harness.engine import Engine
from harness.work import Commands, Shape, Words

SETTINGS = 'DOIT_CONFIG = {"reporter": "zero", "verbosity": 0}\n'


class Doit(Engine):
    """A generator of tasks for each step."""

    name = "doit"
    plan_note = "`list --all --status`: it has no dry run"

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        if shape is Shape.FLAT:
            text = task("f", "out", None, count, commands.alone(Words("{i}", "", "out/{i}.txt")))
        else:
            text = task("a", "a", "data", count, commands.first(Words("{i}", "data/{i}.txt", "a/{i}.txt")))
            text += task("b", "b", "a", count, commands.second(Words("{i}", "a/{i}.txt", "b/{i}.txt")))
        (folder / "dodo.py").write_text(SETTINGS + text)

    def run(self, count: int) -> list[str]:
        return [self.program, "-n", str(self.jobs)]

    def plan(self, count: int) -> list[str]:
        return [self.program, "list", "--all", "--status"]


def task(name: str, written: str, read: str | None, count: int, command: str) -> str:
    """The generator of one step; `{i}` in the command is the number."""
    # A task without inputs is run each time unless it is told that it is up to date.
    needs = f'"file_dep": [f"{read}/{{i}}.txt"]' if read else '"uptodate": [True]'
    return (
        f"\ndef task_{name}():\n    for i in range({count}):\n"
        f'        yield {{"name": str(i), "actions": [f"{command}"], "targets": [f"{written}/{{i}}.txt"], {needs}}}\n'
    )
