"""GNU make."""

from pathlib import Path

from harness.engine import Engine
from harness.work import Commands, Shape, Words


class Make(Engine):
    """A rule for each task."""

    name = "make"

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        goal = "b" if shape is Shape.CHAINS else "out"
        lines = ["all: " + " ".join(f"{goal}/{number}.txt" for number in range(count))]
        for number in range(count):
            for written, read, command in tasks(shape, number, commands):
                lines += [f"{written}: {read}", f"\t@{command}"]
        (folder / "Makefile").write_text("\n".join(lines) + "\n")

    def run(self, count: int) -> list[str]:
        return [self.program, "-s", f"-j{self.jobs}"]

    def plan(self, count: int) -> list[str]:
        return [self.program, "-n", f"-j{self.jobs}"]


def tasks(shape: Shape, number: int, commands: Commands) -> list[tuple[str, str, str]]:
    """Output, input and command of the tasks of one number, written out."""
    if shape is Shape.FLAT:
        out = f"out/{number}.txt"
        return [(out, "", commands.alone(Words(str(number), "", out)))]
    source, a, b = (f"{place}/{number}.txt" for place in ("data", "a", "b"))
    return [(a, source, commands.first(Words(str(number), source, a))), (b, a, commands.second(Words(str(number), a, b)))]
