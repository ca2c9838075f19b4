"""What all cases share: where they work, how large they are, and for how long."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.engine import Engine
from harness.measure import Measured, Series, measure
from harness.neuroflow import Neuroflow
from harness.table import Row, row
from harness.work import Commands, Shape, make_folder


@dataclass
class Bench:
    """One call of the harness."""

    engines: list[Engine]
    # An empty folder outside of any repository: engines look at the repository that they run in.
    place: Path
    quick: bool
    # Other engines are stopped after so many seconds; neuroflow's large cases get ten times as many.
    cap_s: float
    rows: list[Row] = field(default_factory=list)

    @property
    def neuroflow(self) -> Neuroflow | None:
        """neuroflow, when it is among the engines."""
        return next((engine for engine in self.engines if isinstance(engine, Neuroflow)), None)

    def tell(self, case: str, count: int, engine: Engine, series: Series, target: str = "", note: str = "") -> None:
        """Adds a line to the table."""
        made = row(case, count, engine.label, series, target if isinstance(engine, Neuroflow) else "", note)
        self.rows.append(made)
        print(f"  {made.case}, {made.count:,}, {made.engine}: {made.seconds} s, {made.peak} MiB  {made.target}  {made.note}", file=sys.stderr)

    @contextmanager
    def folder(self, name: str, shape: Shape, count: int) -> Iterator[Path]:
        """A folder with a shape's inputs, for as long as it is needed."""
        folder = self.place / name
        make_folder(folder, shape, count)
        # What was written and removed before is not to be paid for by what is measured next.
        os.sync()
        try:
            yield folder
        finally:
            # What a killed command left behind may still be writing.
            shutil.rmtree(folder, ignore_errors=True)

    def cold(self, engine: Engine, shape: Shape, count: int, commands: Commands) -> Measured:
        """Runs from nothing, in a new folder."""
        with self.folder(engine.name, shape, count) as folder:
            engine.write(folder, shape, count, commands)
            return measure(engine.run(count), folder, engine.environment(folder), self.cap_s)
