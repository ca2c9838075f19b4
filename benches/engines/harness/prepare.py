"""Makes what is measured: neuroflow in release, and the other engines in an environment of their own."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from harness.engine import Engine
from harness.neuroflow import Neuroflow
from harness.peers.doit import Doit
from harness.peers.dvc import Dvc
from harness.peers.make import Make
from harness.peers.ninja import Ninja
from harness.peers.redun import Redun
from harness.peers.snakemake import Snakemake

PEERS: dict[str, type[Engine]] = {peer.name: peer for peer in (Make, Ninja, Doit, Redun, Snakemake, Dvc)}
NAMES = (Neuroflow.name, *PEERS)

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements.txt"


def target() -> Path:
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def neuroflow() -> Path:
    """The program that NEUROFLOW_BINARY names, or one that is built now."""
    if named := os.environ.get("NEUROFLOW_BINARY"):
        return Path(named).absolute()
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    return target() / "release" / "neuroflow"


def environment() -> Path:
    """The folder with the programs of the other engines; made anew when the requirements change."""
    place = target() / "bench-engines"
    made_of, wanted = place / "requirements.txt", REQUIREMENTS.read_text()
    if not made_of.exists() or made_of.read_text() != wanted:
        print("installing the other engines", file=sys.stderr)
        venv.create(place, clear=True, with_pip=True)
        subprocess.run([place / "bin" / "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
        made_of.write_text(wanted)
    return place / "bin"


def engines(names: list[str], jobs: int) -> list[Engine]:
    """The engines of these names, ready to run."""
    ready: list[Engine] = []
    for name in names:
        if name == Neuroflow.name:
            ready.append(Neuroflow(neuroflow(), jobs))
        elif name == Make.name:
            if (found := shutil.which("make")) is None:
                sys.exit("make is not installed")
            ready.append(Make(Path(found), jobs))
        else:
            ready.append(PEERS[name](environment() / name, jobs))
    return ready
