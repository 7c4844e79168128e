"""Figures, and the table that they become."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: what was measured, the value in words, and what is aimed at."""

    what: str
    value: str
    aim: str = ""


def milliseconds(samples: Sequence[float]) -> str:
    """Write seconds as a median and a range in milliseconds."""
    low, middle, high = min(samples) * 1e3, median(samples) * 1e3, max(samples) * 1e3
    return f"{middle:.1f} ms ({low:.1f} to {high:.1f}, n={len(samples)})"


def write_table(path: Path, sections: Iterable[tuple[str, str, Sequence[Figure]]]) -> None:
    """Write the page: a heading, a sentence and a table for each section."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {describe_machine()}",
        "The machine is shared and noisy: compare rows of one run, not runs.",
        "",
    ]
    for heading, sentence, figures in sections:
        lines += [f"## {heading}", "", sentence, "", "| what | measured | aim |", "|---|---|---|"]
        lines += [f"| {each.what} | {each.value} | {each.aim} |" for each in figures]
        lines.append("")
    path.write_text("\n".join(lines))


def describe_machine() -> str:
    """Say what this was measured on."""
    memory = psutil.virtual_memory().total >> 30
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory} GiB, {system}, load {load:.1f} at the end."
