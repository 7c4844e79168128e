"""What a superstep of a chain and a task of a fan-out take: in plain Dapr, plain LangGraph, and both units."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.bridge_rig import UNITS, Load, Rig
from tests.bench.figures import Section
from tests.bench.plots import Line, draw

WAYS = {
    "plain": "plain Dapr activity",
    "joined": "the same between two activities",
    "loops": "plain activity with a loop of LangGraph and one write",
    "native": "LangGraph, SqliteSaver",
    "run": "unit `run`",
    "task": "unit `task`",
}

# A message of Dapr's holds 4 MiB: an activity that carries its state stalls its workflow. LangGraph's saver writes the
# whole state each superstep, 10 GB for a long chain of 10 MB.
_MOST_NATIVE_BYTES = 2 << 30
LONG, _MOST_LONG = 500, 3
_AFTERMATH = 2.5

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Times:
    """The samples of one load: seconds for each superstep or task, by way."""

    load: Load
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, way: str, seconds: float) -> None:
        """Take in one run."""
        self.samples.setdefault(way, []).append(seconds / self.load.goal)

    def middle(self, way: str) -> float | None:
        """Return the median in milliseconds."""
        return median(self.samples[way]) * 1e3 if way in self.samples else None

    def beyond(self, shorter: Times, way: str) -> float | None:
        """Return what each step costs that a shorter load does not have, in milliseconds."""
        long, short = self.middle(way), shorter.middle(way)
        if long is None or short is None:
            return None
        return (long * self.load.goal - short * shorter.load.goal) / (self.load.goal - shorter.load.goal)

    def cell(self, way: str) -> str:
        """Return the median with its range, in milliseconds."""
        found = self.samples.get(way)
        if not found:
            return "-"
        return f"{median(found) * 1e3:.2f} ({min(found) * 1e3:.2f} to {max(found) * 1e3:.2f})"

    def over_native(self) -> str:
        """What unit `run` takes longer than LangGraph alone, in milliseconds; run by run."""
        pairs = zip(self.samples.get("run", []), self.samples.get("native", []), strict=False)
        added = [(run - native) * 1e3 for run, native in pairs]
        return f"{median(added):+.2f}" if added else "-"

    def over_plain(self, way: str = "plain") -> str:
        """Unit `task` over a plain activity, run by run."""
        pairs = zip(self.samples.get("task", []), self.samples.get(way, []), strict=False)
        ratios = [task / plain for task, plain in pairs]
        return f"{median(ratios):.2f}" if ratios else "-"


async def measure_times(rig: Rig, load: Load, *, repeats: int, longest_plain: int, say: Say) -> Times:
    """Run one load in every way, in turn, so that the machine's noise hits each of them."""
    times = Times(load=load)
    # A plain chain of a thousand takes minutes: daprd needs the longer for a step, the longer the history is.
    has_plain = not load.ballast and (load.shape == "fan" or load.goal <= longest_plain)
    is_long = load.goal >= LONG
    for number in range(min(repeats, _MOST_LONG) if is_long else repeats):
        # A long plain workflow takes half a minute, and is run once.
        is_brief = not (is_long and number)
        if has_plain and is_brief:
            times.add("plain", await rig.plainly(load))
        if load.shape == "fan":
            times.add("loops", await rig.in_loops(load))
        if load.ballast * load.goal < _MOST_NATIVE_BYTES:
            times.add("native", await rig.natively(load))
        for unit in UNITS:
            seconds, _ = await rig.durably(load, unit)
            times.add(unit, seconds)
        if load.shape == "fan" and is_brief:
            times.add("joined", await rig.plainly(load, joined=True))
            # What it has put off comes back later, and would be charged to others.
            await asyncio.sleep(_AFTERMATH)
    say(f"{load}: " + ", ".join(f"{WAYS[way]} {times.cell(way)}" for way in times.samples))
    return times


def times_section(heading: str, text: str, found: Sequence[Times], *, unit: str, plot: str) -> Section:
    """Return the table of one shape."""
    ways = {way: name for way, name in WAYS.items() if any(way in each.samples for each in found)}
    plain = [way for way in ("plain", "joined", "loops") if way in ways]
    columns = [
        "state",
        unit,
        *(f"{name}, ms" for name in ways.values()),
        "`run` less LangGraph, ms",
        *(f"`task` over {WAYS[way].removeprefix('plain Dapr ')}" for way in plain),
    ]
    rows = [
        [
            size(each.load.ballast),
            f"{each.load.goal:,}",
            *(each.cell(way) for way in ways),
            each.over_native(),
            *(each.over_plain(way) for way in plain),
        ]
        for each in found
    ]
    return Section(heading=heading, text=text, columns=columns, rows=rows, plot=plot)


def draw_times(path: Path, found: Sequence[Times], *, x: str, y: str) -> None:
    """Draw one panel for each size of the state."""
    panels: dict[str, Mapping[str, Line]] = {}
    for ballast in dict.fromkeys(each.load.ballast for each in found):
        of_size = [each for each in found if each.load.ballast == ballast]
        lines = {
            name: [(each.load.goal, middle) for each in of_size if (middle := each.middle(way)) is not None]
            for way, name in WAYS.items()
        }
        panels[f"state of {size(ballast)}"] = {name: line for name, line in lines.items() if line}
    draw(path, panels, x=x, y=y)


def size(count: int) -> str:
    """Write a number of bytes."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= factor:
            return f"{count // factor} {unit}"
    return f"{count} B"
