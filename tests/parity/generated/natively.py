"""What LangGraph makes of a generated graph, where that is no matter of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tests.parity.generated.parts import BROKEN
from tests.parity.generated.programs import Program
from tests.parity.play import Seen, play, watched
from tests.parity.shape import AnyGraph, Shape
from tests.parity.sides import NativeSide


async def play_natively(program: Program, thread_id: str) -> Seen:
    """Play a program's script in this process."""
    graph, runs = watched(program.build())
    shape = Shape(build=program.build, script=program.script)
    return await play(shape, NativeSide(graph), thread_id=thread_id, runs=runs)


def is_matter_of_time(graph: AnyGraph, native: Seen) -> bool:
    """Tell whether LangGraph itself might give another answer the next time."""
    memories = {name for name, subgraph in graph.get_subgraphs() if getattr(subgraph, "checkpointer", None) is True}
    states = [state for each in native for state in (each.get("state"), *each.get("history", ())) if state]
    return any(_has_race(state.get("tasks", ()), memories) for state in states)


def _has_race(tasks: Sequence[Mapping[str, Any]], memories: Collection[str]) -> bool:
    """Tell of a superstep whether its end depends on which task is first.

    Two use one memory, or one failure is for either of two tasks of a node, or one fails that does not let the others
    go first: a subgraph that comes to its limit, or whose own nodes get into each other's way.
    """
    times = Counter(task["name"] for task in tasks)
    failed = [task for task in tasks if task["error"] != "None"]
    is_cut_short = len(tasks) > 1 and any(BROKEN not in str(task["error"]) for task in failed)
    return is_cut_short or any(times[each] > 1 for each in (*memories, *(task["name"] for task in failed)))
