"""Random graphs mean through the bridge what they mean with `ainvoke`."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, assume, given, note, settings

from dapr_bridge import DurableGraph
from tests.parity.difference import differences
from tests.parity.generated.programs import Program, programs
from tests.parity.hosting import LateHost
from tests.parity.play import Seen, play, watched
from tests.parity.shape import AnyGraph, Shape
from tests.parity.sides import BridgeSide, NativeSide

_IN_EVERY_RUN = 40
_EXAMPLES = settings.default.max_examples if settings.get_current_profile_name() == "parity" else _IN_EVERY_RUN
_NUMBERS = itertools.count(1)


def test_a_generated_graph_means_the_same_through_the_bridge(late: LateHost) -> None:
    alike = 0

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=_EXAMPLES == _IN_EVERY_RUN,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(programs())
    def compare(program: Program) -> None:
        nonlocal alike
        different = list(asyncio.run(_differences(program, late)))
        for each in different[:20]:
            note(each)
        assert different == []
        alike += 1

    compare()

    assert alike >= _EXAMPLES


async def _differences(program: Program, late: LateHost) -> list[str]:
    thread_id = f"generated-{late.unit}-{next(_NUMBERS)}"
    native = await _native(program, thread_id)
    assume(not _is_matter_of_time(program.build(), native))
    return list(differences(native, await _bridged(program, thread_id, late)))


async def _native(program: Program, thread_id: str) -> Seen:
    graph, runs = watched(program.build())
    shape = Shape(build=program.build, script=program.script)
    return await play(shape, NativeSide(graph), thread_id=thread_id, runs=runs)


async def _bridged(program: Program, thread_id: str, late: LateHost) -> Seen:
    graph, runs = watched(program.build())
    name = late.worker.host(graph, saver=late.saver)
    shape = Shape(build=program.build, script=program.script)
    async with DurableGraph(graph, name=name, saver=late.saver, address=late.address) as durable:
        seen = await play(shape, BridgeSide(durable, graph, late.saver), thread_id=thread_id, runs=runs)
    late.worker.release()
    return seen


def _is_matter_of_time(graph: AnyGraph, native: Seen) -> bool:
    """Tell whether LangGraph itself might give another answer the next time."""
    memories = {name for name, subgraph in graph.get_subgraphs() if getattr(subgraph, "checkpointer", None) is True}
    states = [state for each in native for state in (each.get("state"), *each.get("history", ())) if state]
    return any(_has_race(state.get("tasks", ()), memories) for state in states)


def _has_race(tasks: Sequence[Mapping[str, Any]], memories: Collection[str]) -> bool:
    """Tell of a superstep whether its end depends on which task is first.

    Two use one memory, or one failure is for either of two tasks of a node, or one fails while others still wait for
    their subgraphs.
    """
    times = Counter(task["name"] for task in tasks)
    failed = [task for task in tasks if task["error"] != "None"]
    is_cut_short = len(tasks) > 1 and any("GraphRecursionError" in str(task["error"]) for task in failed)
    return is_cut_short or any(times[each] > 1 for each in (*memories, *(task["name"] for task in failed)))
