"""DVC."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from harness.engine import Engine
from harness.work import Commands, Shape, Words

NUMBER = "${item}"


class Dvc(Engine):
    """A stage with `foreach` for each step."""

    name = "dvc"
    note = "one task at a time"
    plan_note = "`repro --dry`, which fails at the first input that no run has made yet"

    def environment(self, folder: Path) -> dict[str, str]:
        return {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "site")}

    def write(self, folder: Path, shape: Shape, count: int, commands: Commands) -> None:
        if not (folder / ".dvc").exists():
            subprocess.run([self.program, "init", "--no-scm", "-q"], cwd=folder, env={**os.environ, **self.environment(folder)}, check=True)
        (folder / "params.yaml").write_text(f"numbers: {json.dumps(list(range(count)))}\n")
        if shape is Shape.FLAT:
            text = stage("f", None, "out", commands.alone(Words(NUMBER, "", f"out/{NUMBER}.txt")))
        else:
            text = stage("a", "data", "a", commands.first(Words(NUMBER, f"data/{NUMBER}.txt", f"a/{NUMBER}.txt")))
            text += stage("b", "a", "b", commands.second(Words(NUMBER, f"a/{NUMBER}.txt", f"b/{NUMBER}.txt")))
        (folder / "dvc.yaml").write_text("stages:\n" + text)

    def run(self, count: int) -> list[str]:
        return [self.program, "repro", "-q"]

    def plan(self, count: int) -> list[str]:
        return [self.program, "repro", "-q", "--dry"]

    def pretend(self, folder: Path, count: int, commands: Commands) -> str:
        lock = ["schema: '2.0'", "stages:"]
        for step, source, command in (("a", "data", commands.first), ("b", "a", commands.second)):
            for number in range(count):
                read, written = f"{source}/{number}.txt", f"{step}/{number}.txt"
                (folder / written).write_text(f"x{number}\n")
                lock += [f"  {step}@{number}:", f"    cmd: {json.dumps(command(Words(str(number), read, written)))}"]
                lock += ["    deps:", *locked(folder, read), "    outs:", *locked(folder, written)]
                keep(folder, written)
        (folder / "dvc.lock").write_text("\n".join(lock) + "\n")
        return "lock file and cache written by hand"


def stage(name: str, read: str | None, written: str, command: str) -> str:
    """The stage of one step."""
    needs = f"      deps: ['{read}/{NUMBER}.txt']\n" if read else ""
    return f"  {name}:\n    foreach: ${{numbers}}\n    do:\n      cmd: {json.dumps(command)}\n{needs}      outs: ['{written}/{NUMBER}.txt']\n"


def digest(path: Path) -> str:
    """The digest that DVC knows a file by."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def locked(folder: Path, path: str) -> list[str]:
    """A file as the lock file names it."""
    file = folder / path
    return [f"    - path: {path}", "      hash: md5", f"      md5: {digest(file)}", f"      size: {file.stat().st_size}"]


def keep(folder: Path, path: str) -> None:
    """Puts a file into DVC's cache."""
    name = digest(folder / path)
    kept = folder / ".dvc" / "cache" / "files" / "md5" / name[:2] / name[2:]
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes((folder / path).read_bytes())
        kept.chmod(0o444)
