"""What a superstep writes and asks for, counted at the sidecar and in its store: the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dapr_bridge import Unit
from tests.bench.bridge_rig import UNITS, Load, Rig
from tests.bench.bridge_times import Say, size
from tests.bench.figures import Section
from tests.bench.plots import draw

_READ, _WRITES = "GetBulkState", ("SaveState", "ExecuteStateTransaction")
_PANELS = {"history": "bytes of history", "state": "bytes of state written", "reads": "reads", "writes": "writes"}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What was counted of one run, or of each superstep between two runs."""

    load: Load
    unit: Unit
    history: float
    state: float
    reads: float
    writes: float

    def per_step_beyond(self, shorter: Cost) -> Cost:
        """Return what each superstep adds that this run has and a shorter one has not."""
        steps = self.load.goal - shorter.load.goal
        return Cost(
            load=self.load,
            unit=self.unit,
            history=(self.history - shorter.history) / steps,
            state=(self.state - shorter.state) / steps,
            reads=(self.reads - shorter.reads) / steps,
            writes=(self.writes - shorter.writes) / steps,
        )


async def measure_cost(rig: Rig, load: Load, unit: Unit) -> Cost:
    """Run once and count."""
    counter = rig.counter()
    _, name = await rig.durably(load, unit)
    calls, received = counter.new_calls_and_bytes()
    return Cost(
        load=load,
        unit=unit,
        history=rig.history_bytes(name),
        state=sum(received[each] for each in _WRITES),
        reads=calls[_READ],
        writes=sum(calls[each] for each in _WRITES),
    )


async def measure_costs(rig: Rig, loads: Sequence[Load], *, say: Say) -> list[Cost]:
    """Return what each superstep adds, between one load and the next larger one."""
    found: list[Cost] = []
    for unit in UNITS:
        runs = [await measure_cost(rig, load, unit) for load in loads]
        found += [longer.per_step_beyond(shorter) for shorter, longer in pairwise(runs)]
        say(f"{loads[-1]}, unit {unit}: counted")
    return found


def costs_section(heading: str, text: str, found: Sequence[Cost], *, step: str, plot: str) -> Section:
    """Return the table."""
    columns = [
        "state",
        f"up to {step}s",
        "unit",
        f"history, bytes/{step}",
        f"state written, bytes/{step}",
        f"reads/{step}",
        f"writes/{step}",
    ]
    rows = [
        [
            size(each.load.ballast),
            f"{each.load.goal:,}",
            f"`{each.unit}`",
            f"{each.history:.1f}",
            f"{each.state:,.0f}",
            f"{each.reads:.2f}",
            f"{each.writes:.2f}",
        ]
        for each in found
    ]
    return Section(heading=heading, text=text, columns=columns, rows=rows, plot=plot)


def draw_costs(path: Path, found: Sequence[Cost], *, step: str) -> None:
    """Draw each column of the table over the length of the run, a line for each unit and size of the state."""
    series: dict[tuple[Unit, int], list[Cost]] = {}
    for each in found:
        series.setdefault((each.unit, each.load.ballast), []).append(each)
    panels = {
        title: {
            f"unit {unit}, state of {size(ballast)}": [(each.load.goal, getattr(each, column)) for each in costs]
            for (unit, ballast), costs in series.items()
        }
        for column, title in _PANELS.items()
    }
    draw(path, panels, x=f"{step}s", y=f"per {step}", log_y=False, same_y=False)
