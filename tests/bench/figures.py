"""Figures, the sections that they become, and the page that keeps the sections which were not measured this time."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

_TOP = """# Benchmarks

Written by `make bench`. The machines are shared and noisy: compare what stands in one section, which was measured in
turn in one run, and not one run with another. A figure is a median, with the range in brackets.

"""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: what was measured, the value in words, and what is aimed at."""

    what: str
    value: str
    aim: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, a text, a table, and a plot beside it if there is one."""

    heading: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    plot: str = ""

    def to_markdown(self, measured: str) -> str:
        """Return the section as it stands on the page."""
        picture = [f"![{self.heading}](plots/{self.plot})", ""] if self.plot else []
        table = [self.columns, ["---"] * len(self.columns), *self.rows]
        lines = [f"| {' | '.join(row)} |" for row in table]
        return "\n".join([f"## {self.heading}", "", self.text, "", *picture, *lines, "", measured, "", ""])


def figures_section(heading: str, text: str, figures: Iterable[Figure]) -> Section:
    """Return a section of single figures."""
    rows = [[each.what, each.value, each.aim] for each in figures]
    return Section(heading=heading, text=text, columns=["what", "measured", "aim"], rows=rows)


def milliseconds(samples: Sequence[float], *, digits: int = 1) -> str:
    """Write seconds as a median and a range in milliseconds."""
    low, middle, high = (f"{each * 1e3:.{digits}f}" for each in (min(samples), median(samples), max(samples)))
    return f"{middle} ms ({low} to {high}, n={len(samples)})"


def write_page(path: Path, sections: Iterable[Section]) -> None:
    """Put sections in the places of those with the same headings, new ones at the end; the others stay."""
    kept = _read_sections(path)
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {describe_machine()}"
    kept.update({each.heading: each.to_markdown(measured) for each in sections})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TOP + "".join(kept.values()).rstrip() + "\n")


def _read_sections(path: Path) -> dict[str, str]:
    parts = path.read_text().split("\n## ")[1:] if path.exists() else []
    return {part.partition("\n")[0]: f"## {part.strip()}\n\n" for part in parts}


def describe_machine() -> str:
    """Say what this was measured on."""
    memory = psutil.virtual_memory().total >> 30
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory} GiB, {system}, load {load:.1f} at the end."
