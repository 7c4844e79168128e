"""Where a run has stopped by itself: at its questions, or at a breakpoint.

A delivery that comes again finds the run there, and must not take it any further.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.pregel import Pregel

from dapr_bridge._pending import PendingTasks

Nodes = Collection[str] | str
_EVERY = "*"


async def has_stopped(
    graph: Pregel[Any, Any, Any, Any],
    head: CheckpointTuple,
    options: Mapping[str, Any],
    *,
    heeds_questions: bool = True,
) -> bool:
    """Tell whether the run that has put this checkpoint ended its call there, waiting.

    Args:
        graph: the graph, bound to its saver.
        head: the latest checkpoint; the run in question has put it.
        options: those of the call: `interrupt_before`, `interrupt_after`.
        heeds_questions: whether tasks that have all asked something are such an end.
    """
    pending = PendingTasks.on(head)
    tasks = {task.id: task.name for task in (await graph.aget_state(head.config)).tasks}
    waiting = tasks.keys() - pending.finished
    if not waiting:
        return False
    if waiting <= pending.asked.keys():
        return heeds_questions
    before: Nodes = options.get("interrupt_before") or graph.interrupt_before_nodes
    after: Nodes = options.get("interrupt_after") or graph.interrupt_after_nodes
    return _is_among(tasks.values(), before) or _is_among(await _names_before(graph, head.parent_config, after), after)


async def _names_before(
    graph: Pregel[Any, Any, Any, Any], parent: RunnableConfig | None, after: Nodes
) -> Collection[str]:
    if not parent or not after:
        return ()
    return [task.name for task in (await graph.aget_state(parent)).tasks]


def _is_among(names: Collection[str], wanted: Nodes) -> bool:
    return bool(names) if wanted == _EVERY else any(name in wanted for name in names)
