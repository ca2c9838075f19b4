"""Snakemake."""

from pathlib import Path

from harness.engine import Engine
from harness.work import Commands, Shape, Words

NUMBER = "{wildcards.i}"
# Quiet but for mistakes.
QUIET = ["-q", "progress", "rules", "host", "reason"]


class Snakemake(Engine):
    """A rule with a wildcard for each step."""

    name = "snakemake"

    def environment(self, folder: Path) -> dict[str, str]:
        return {"XDG_CACHE_HOME": str(folder / "xdg")}

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        if shape is Shape.FLAT:
            text = goal("out", count) + rule("f", None, "out", commands.alone(Words(NUMBER, "", "{output}")))
        else:
            words = Words(NUMBER, "{input}", "{output}")
            text = goal("b", count) + rule("a", "data", "a", commands.first(words)) + rule("b", "a", "b", commands.second(words))
        (folder / "Snakefile").write_text(text)

    def run(self, count: int) -> list[str]:
        return [self.program, "-c", str(self.jobs), *QUIET]

    def plan(self, count: int) -> list[str]:
        return [self.program, "-n", *QUIET]

    def pretend(self, folder: Path, count: int, commands: Commands) -> str:
        for step in ("a", "b"):
            for number in range(count):
                (folder / step / f"{number}.txt").write_text(f"x{number}\n")
        return "outputs written by hand, so it has no records of them to read, which flatters it"


def goal(place: str, count: int) -> str:
    """The rule that asks for everything."""
    return f'rule all:\n    input: expand("{place}/{{i}}.txt", i=range({count}))\n'


def rule(name: str, read: str | None, written: str, command: str) -> str:
    """The rule of one step."""
    needs = f'    input: "{read}/{{i}}.txt"\n' if read else ""
    return f'\nrule {name}:\n{needs}    output: "{written}/{{i}}.txt"\n    shell: "{command}"\n'
