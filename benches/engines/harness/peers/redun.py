"""redun."""

from pathlib import Path

from harness.engine import Engine
from harness.work import Commands, Shape, Words

SETTINGS = "[backend]\ndb_uri = sqlite:///redun.db\n\n[executors.default]\ntype = local\nmax_workers = {jobs}\n"

HEAD = """import subprocess
from redun import File, task

redun_namespace = "bench"


def shell(command):
    subprocess.run(["sh", "-c", command], check=True)

"""


class Redun(Engine):
    """Tasks are Python functions."""

    name = "redun"
    note = "tasks are functions in threads, each of which starts a shell"
    # It ends with 1 when something would run.
    plan_status = 1
    plan_note = "stops at the first layer of tasks that are not known"

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        settings = folder / ".redun" / "redun.ini"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(SETTINGS.format(jobs=self.jobs))
        if shape is Shape.FLAT:
            text = task("f", "out", commands.alone(Words("{i}", "", "out/{i}.txt")), given=False)
            text += "\n@task()\ndef main(n: int):\n    return [f(i) for i in range(n)]\n"
        else:
            text = task("a", "a", commands.first(Words("{i}", "data/{i}.txt", "a/{i}.txt")), given=True)
            text += task("b", "b", commands.second(Words("{i}", "a/{i}.txt", "b/{i}.txt")), given=True)
            # What lists the inputs is called each time: its result says nothing about their content.
            text += '\n@task(cache=False)\ndef main(n: int):\n    return [b(i, a(i, File(f"data/{i}.txt"))) for i in range(n)]\n'
        (folder / "flow.py").write_text(HEAD + text)

    def run(self, count: int) -> list[str]:
        return [self.program, "--log-level", "ERROR", "run", "flow.py", "main", "--n", str(count)]

    def plan(self, count: int) -> list[str]:
        return [self.program, "--log-level", "ERROR", "run", "--dryrun", "flow.py", "main", "--n", str(count)]


def task(name: str, written: str, command: str, *, given: bool) -> str:
    """The function of one step; `{i}` in the command is the number."""
    arguments = "i: int, given: File" if given else "i: int"
    return f'\n@task()\ndef {name}({arguments}) -> File:\n    shell(f"{command}")\n    return File(f"{written}/{{i}}.txt")\n'
