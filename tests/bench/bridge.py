"""The bridge against plain Dapr and plain LangGraph: all of it in one run, on one daprd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from dapr_bridge.testing import ControlPlane
from tests.bench.bridge_costs import Cost, costs_section, draw_costs, measure_costs
from tests.bench.bridge_replay import draw_replays, measure_replays, replays_section
from tests.bench.bridge_rig import UNITS, Load, Rig, open_rig
from tests.bench.bridge_times import Say, Times, draw_times, measure_times, times_section
from tests.bench.figures import Figure, Section, figures_section

_CHAINS = (
    "One node that does nothing, again and again; milliseconds for each superstep, the start of the workflow included. "
    "The state is a counter and ballast that does not change. A plain activity carries no state at all (with 100 kB, a "
    "history passes 4 MiB after about 40 steps and its workflow stalls); LangGraph alone writes the whole state in "
    "each superstep."
)
_FANS = (
    "As many `Send`s at once as the second column says, each a task that does nothing; milliseconds for each task, the "
    "start of the workflow included. In unit `task` each is an activity. A workflow of plain activities that ends with "
    "the fan-out is spared what Dapr does to the next activity after one "
    "([decision 10](decisions/0010-the-tasks-of-a-fan-out-end-together.md)); one that has an activity before and after "
    "it, as a graph has, is not. A plain activity that lets LangGraph run one node and writes once does the least that "
    "a durable task of an activity's own can do."
)
_COSTS = (
    "What one superstep adds: counted by the sidecar (state), and in its store at the end of the run (history), as the "
    "difference between a chain and the next shorter one. A history row of zero: the whole chain is one activity."
)
_FAN_COSTS = "What one task of a fan-out adds, counted in the same way."
_REPLAY = (
    "A workflow that has run so many activities waits, its worker is replaced, and an event lets it end: the new "
    "worker fetches the history and replays it. No graph code runs in a replay."
)
_AIMS = "Computed from the tables of this run; the reasons for what is missed stand at the end of the page."


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is measured.

    Attributes:
        chains: lengths of chains.
        fans: widths of fan-outs.
        ballasts: sizes of the state, in bytes.
        replays: lengths of histories.
        repeats: how often each is run; those of hundreds of supersteps or tasks once.
        longest_plain: the longest chain of plain activities.
    """

    chains: Sequence[int] = (1, 10, 100, 1000)
    fans: Sequence[int] = (10, 100, 1000)
    ballasts: Sequence[int] = (0, 100_000, 10_000_000)
    replays: Sequence[int] = (10, 100, 200)
    repeats: int = 3
    longest_plain: int = 1000


async def measure_bridge(
    folder: Path, plane: ControlPlane, sizes: Sizes, *, plots: Path, say: Say = print
) -> list[Section]:
    """Measure everything, saying each figure as it comes, and draw the plots."""
    async with open_rig(folder, plane) as rig:
        await _warm_up(rig)
        chains = [Load(shape="chain", goal=goal, ballast=each) for each in sizes.ballasts for goal in sizes.chains]
        fans = [Load(shape="fan", goal=goal) for goal in sizes.fans]
        measured = [
            await measure_times(rig, load, repeats=sizes.repeats, longest_plain=sizes.longest_plain, say=say)
            for load in [*chains, *fans]
        ]
        chain_times, fan_times = measured[: len(chains)], measured[len(chains) :]
        chain_costs: list[Cost] = []
        for ballast in sizes.ballasts:
            chain_costs += await measure_costs(rig, [each for each in chains if each.ballast == ballast], say=say)
        fan_costs = await measure_costs(rig, fans, say=say)
        replays = await measure_replays(rig, sizes.replays, repeats=min(sizes.repeats, 3), say=say)
        late = rig.late
    draw_times(plots / "chains.svg", chain_times, x="supersteps", y="ms per superstep")
    draw_times(plots / "fans.svg", fan_times, x="tasks at once", y="ms per task")
    draw_costs(plots / "superstep.svg", chain_costs, step="superstep")
    draw_costs(plots / "task.svg", fan_costs, step="task")
    draw_replays(plots / "replay.svg", replays)
    return [
        figures_section("The bridge: aims", _AIMS, _aims(chain_times, fan_times, chain_costs, late)),
        times_section("The bridge: chains", _CHAINS, chain_times, unit="supersteps", plot="chains.svg"),
        times_section("The bridge: fan-outs", _FANS, fan_times, unit="tasks", plot="fans.svg"),
        costs_section(
            "The bridge: what a superstep costs", _COSTS, chain_costs, step="superstep", plot="superstep.svg"
        ),
        costs_section("The bridge: what a task costs", _FAN_COSTS, fan_costs, step="task", plot="task.svg"),
        replays_section("The bridge: replay", _REPLAY, replays, plot="replay.svg"),
    ]


async def _warm_up(rig: Rig) -> None:
    load = Load(shape="fan", goal=2)
    await rig.plainly(load)
    await rig.natively(load)
    for unit in UNITS:
        await rig.durably(load, unit)
    rig.late.clear()


def _aims(chains: Sequence[Times], fans: Sequence[Times], costs: Sequence[Cost], late: Sequence[float]) -> list[Figure]:
    small = [each for each in chains if not each.load.ballast]
    figures = [
        Figure(
            what=f"unit `run` over LangGraph alone, per superstep of {each.load}",
            value=f"{each.over_native()} ms",
            aim="at most 2 ms",
        )
        for each in small
    ]
    figures += [
        Figure(
            what=f"unit `task` over a plain activity, per node of {each.load}",
            value=f"{each.over_plain()} times",
            aim="at most 1.3 times",
        )
        for each in [*small, *fans]
        if each.samples.get("plain")
    ]
    figures += _further(small)
    figures += [
        Figure(
            what=f"unit `task` over plain activities {what}, per node of {each.load}",
            value=f"{each.over_plain(way)} times",
            aim="at most 1.3 times",
        )
        for way, what in (("joined", "between two others"), ("loops", "with a loop of LangGraph and one write"))
        for each in fans
    ]
    figures += [_flatness(costs, "state"), _flatness(costs, "history"), *_evenness(chains)]
    return [
        *figures,
        Figure(
            what="a caller knows the end after it",
            value=f"{median(late) * 1e3:.0f} ms (at most {max(late) * 1e3:.0f} ms, n={len(late)})",
            aim="not Dapr's late second",
        ),
    ]


def _further(chains: Sequence[Times]) -> list[Figure]:
    """What a superstep costs once a run has begun: a chain less the next shorter one."""
    figures: list[Figure] = []
    for shorter, longer in pairwise(chains):
        run, native, task, plain = (longer.beyond(shorter, way) for way in ("run", "native", "task", "plain"))
        what = f"each superstep beyond {shorter.load.goal:,}, up to {longer.load.goal:,}"
        if run and native:
            value = f"{run - native:+.2f} ms"
            figures.append(Figure(what=f"unit `run` over LangGraph alone, {what}", value=value, aim="at most 2 ms"))
        if task and plain:
            value = f"{task / plain:.2f} times"
            what = f"unit `task` over a plain activity, {what}"
            figures.append(Figure(what=what, value=value, aim="at most 1.3 times"))
    return figures


def _evenness(chains: Sequence[Times]) -> list[Figure]:
    """What a superstep takes once a run has begun, at each size of the state: in the longest chains that were run."""
    by_size: dict[int, list[Times]] = {}
    for each in chains:
        by_size.setdefault(each.load.ballast, []).append(each)
    longest = [each[-2:] for each in by_size.values() if len(each) > 1]
    figures: list[Figure] = []
    for unit in UNITS:
        found = [each for shorter, longer in longest if (each := longer.beyond(shorter, unit)) is not None]
        if found:
            shorter, longer = (each.load.goal for each in longest[0])
            what = f"each superstep beyond {shorter:,}, up to {longer:,}, over all sizes of the state"
            value = f"{min(found):.2f} to {max(found):.2f} ms"
            figures.append(Figure(what=f"unit `{unit}`, {what}", value=value, aim="constant"))
    return figures


def _flatness(costs: Sequence[Cost], what: str) -> Figure:
    found = [getattr(each, what) for each in costs]
    return Figure(
        what=f"bytes of {what} per superstep, over all sizes of the state and lengths of chains",
        value=f"{min(found):,.0f} to {max(found):,.0f}" if found else "-",
        aim="constant",
    )
