"""Answers to a subgraph whose state a person has edited since it has asked something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot

from dapr_bridge._langgraph import INTERRUPT
from dapr_bridge._pending import PendingTasks, is_answer_without_id
from dapr_bridge.saver.reading import BY_HAND

Graph = Pregel[Any, Any, Any, Any]


async def without_edited_question(
    graph: Graph, value: Any, head: CheckpointTuple | None, config: RunnableConfig
) -> CheckpointTuple | None:
    """Return where a run begins, without a question that nothing asks any more as it is saved there.

    A run brings its answer by the id of the question that waits. An edit of a subgraph's state changes the ids of what
    it asks, of which the graphs around it do not know. LangGraph gives an answer without an id to whatever asks next;
    without a question that waits, so does the run.

    Args:
        graph: the graph, bound to its saver.
        value: the run's input.
        head: the thread's latest checkpoint.
        config: LangGraph's, for the latest checkpoint.
    """
    asked = PendingTasks.on(head).asked
    if head is None or len(asked) != 1 or not is_answer_without_id(value) or not any(graph.get_subgraphs()):
        return head
    [task_id] = asked
    state = await graph.aget_state(config, subgraphs=True)
    if not _is_edited_within(state, [task_id]):
        return head
    writes = [each for each in head.pending_writes or () if each[:2] != (task_id, INTERRUPT)]
    return head._replace(pending_writes=writes)


def _is_edited_within(state: StateSnapshot, tasks: Sequence[str]) -> bool:
    """Whether the state of a subgraph in these tasks was edited, and nothing has been done with it since."""
    inner = [task.state for task in state.tasks if task.id in tasks and isinstance(task.state, StateSnapshot)]
    return any(_is_as_edited(each) or _is_edited_within(each, [task.id for task in each.tasks]) for each in inner)


def _is_as_edited(state: StateSnapshot) -> bool:
    is_by_hand = cast("dict[str, Any]", state.metadata or {}).get("source") in BY_HAND
    return is_by_hand and not any(task.interrupts or task.result is not None for task in state.tasks)
