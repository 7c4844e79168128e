"""What it costs a worker to take over a workflow: its history is fetched and replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.bridge_graphs import GRAPH_WAIT, PLAIN_WAIT
from tests.bench.bridge_rig import Rig
from tests.bench.bridge_times import Say
from tests.bench.figures import Section, milliseconds
from tests.bench.plots import draw

_WORKFLOWS = {"plain activities": PLAIN_WAIT, "runs of a graph": GRAPH_WAIT}


@dataclass(kw_only=True)
class Replays:
    """Seconds from an event to the end, by what the history holds, for one length of it."""

    length: int
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


async def measure_replays(rig: Rig, lengths: Sequence[int], *, repeats: int, say: Say) -> list[Replays]:
    """Let workflows of each length wait, start the worker anew, and let them end."""
    found: list[Replays] = []
    for length in lengths:
        replays = Replays(length=length)
        for _ in range(repeats):
            for name, workflow in _WORKFLOWS.items():
                replays.samples.setdefault(name, []).append(await rig.resumed(workflow, length))
        found.append(replays)
        say(
            f"replay of {length}: "
            + ", ".join(f"{name} {milliseconds(each)}" for name, each in replays.samples.items())
        )
    return found


def replays_section(heading: str, text: str, found: Sequence[Replays], *, plot: str) -> Section:
    """Return the table."""
    columns = ["in the history", *(f"{name}: event to end" for name in _WORKFLOWS)]
    rows = [[f"{each.length:,}", *(milliseconds(each.samples[name]) for name in _WORKFLOWS)] for each in found]
    return Section(heading=heading, text=text, columns=columns, rows=rows, plot=plot)


def draw_replays(path: Path, found: Sequence[Replays]) -> None:
    """Draw both lines."""
    lines = {name: [(each.length, median(each.samples[name]) * 1e3) for each in found] for name in _WORKFLOWS}
    draw(path, {"a new worker goes on": lines}, x="activities in the history", y="ms from an event to the end")
