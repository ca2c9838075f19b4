"""ninja."""

from pathlib import Path

from harness.engine import Engine
from harness.peers.make import tasks
from harness.work import Commands, Shape


class Ninja(Engine):
    """One rule whose command is a variable, so that a task's command is its own."""

    name = "ninja"

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        lines = ["rule shell", "  command = $task"]
        for number in range(count):
            for written, read, command in tasks(shape, number, commands):
                lines += [f"build {written}: shell {read}".rstrip(), f"  task = {command}"]
        (folder / "build.ninja").write_text("\n".join(lines) + "\n")

    def run(self, count: int) -> list[str]:
        return [self.program, "--quiet", f"-j{self.jobs}"]

    def plan(self, count: int) -> list[str]:
        return [self.program, "--quiet", "-n"]
