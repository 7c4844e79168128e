"""Where a graph has stopped by itself: at its questions, or at a breakpoint.

A delivery that comes again finds it there, and must not take it any further.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from dapr_bridge._langgraph import INTERRUPT, is_hidden
from dapr_bridge._pending import PendingTasks

Graph = Pregel[Any, Any, Any, Any]
Nodes = Collection[str] | str
_EVERY = "*"

Looks = Generator[RunnableConfig, StateSnapshot, bool]
"""Finds out by some states, which it yields the configs of and is sent."""


async def has_stopped(
    graph: Graph, head: CheckpointTuple, options: Mapping[str, Any], *, heeds_questions: bool = True
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
    return await alook(graph, _stands_between(graph, head, tasks.values(), before=before, after=after))


def stands_at_breakpoint(subgraph: Graph, head: CheckpointTuple) -> Looks:
    """Find out whether the call that has put this checkpoint of a subgraph stopped there, which may be its end."""
    before, after = subgraph.interrupt_before_nodes, subgraph.interrupt_after_nodes
    if not before and not after:
        return False
    state = yield head.config
    return (yield from _stands_between(subgraph, head, _names(state), before=before, after=after))


def look(graph: Graph, looks: Looks) -> bool:
    """Read the states that are asked for, of a graph or one within it."""
    try:
        config = next(looks)
        while True:
            config = looks.send(graph.get_state(config))
    except StopIteration as end:
        return end.value


async def alook(graph: Graph, looks: Looks) -> bool:
    """Read the states that are asked for, of a graph or one within it."""
    try:
        config = next(looks)
        while True:
            config = looks.send(await graph.aget_state(config))
    except StopIteration as end:
        return end.value


def _stands_between(
    graph: Graph, head: CheckpointTuple, following: Collection[str], *, before: Nodes, after: Nodes
) -> Looks:
    """Find out whether a breakpoint lies between the superstep that ended with a checkpoint and the following tasks."""
    if not _has_news(head.checkpoint):
        return False
    if _is_among(following, before, graph):
        return True
    # Before a new input no superstep has ended, whatever waited.
    if not after or head.parent_config is None or head.metadata.get("source") != "loop":
        return False
    state = yield head.parent_config
    return _is_among(_names(state), after, graph)


def _has_news(checkpoint: Checkpoint) -> bool:
    """Whether anything was written since a breakpoint was passed; LangGraph stops at none before."""
    seen = checkpoint["versions_seen"].get(INTERRUPT, {})
    return any(
        channel not in seen or version > seen[channel]  # pyright: ignore[reportOperatorIssue]
        for channel, version in checkpoint["channel_versions"].items()
    )


def _is_among(names: Collection[str], wanted: Nodes, graph: Graph) -> bool:
    if wanted == _EVERY:
        return any(not is_hidden(graph, name) for name in names)
    return any(name in wanted for name in names)


def _names(state: StateSnapshot) -> Collection[str]:
    return [task.name for task in state.tasks]
