"""Results as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.measure import Series


@dataclass(frozen=True)
class Row:
    """One line of the table of times."""

    case: str
    count: int
    engine: str
    seconds: str
    peak: str
    # What neuroflow is to reach, and whether it did.
    target: str = ""
    note: str = ""


def row(case: str, count: int, engine: str, series: Series, target: str = "", note: str = "") -> Row:
    """The line of a series."""
    times = f"{series.seconds:.3f}" + (f" ({len(series.runs)}×)" if len(series.runs) > 1 else "")
    return Row(case, count, engine, times, f"{series.peak_mib:.0f}", target, sentence(series.failure, note))


def at_most(limit: float, value: float, unit: str = "s", digits: int = 2) -> str:
    """A target that is an upper limit, and whether it was reached."""
    # Adding nothing turns -0 into 0.
    return f"{'met' if value <= limit else 'MISSED'}: {round(value, digits) + 0.0:.{digits}f} of {limit:g} {unit}"


def sentence(*parts: str) -> str:
    """What is not empty, with commas."""
    return ", ".join(part for part in parts if part)


def markdown(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table."""
    rows = [list(head), ["---"] * len(head)] + [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def times(rows: Iterable[Row]) -> str:
    """The table of times."""
    head = ("case", "N", "engine", "wall time, s", "peak memory, MiB", "target", "note")
    return markdown(head, ((r.case, f"{r.count:,}", r.engine, r.seconds, r.peak, r.target, r.note) for r in rows))
