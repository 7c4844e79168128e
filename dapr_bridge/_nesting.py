"""A durable graph as a node of another graph: a thread of its own, and questions that reach the graph around it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import get_runtime
from langgraph.types import Command, interrupt

from dapr_bridge._names import BRIDGE_METADATA
from dapr_bridge.calling import GraphResult
from dapr_bridge.errors import BridgeError

# What LangGraph puts into the config of a task, and of nothing else.
_TASK = "__pregel_task_id"

_NAMES = uuid.UUID("5f0f9f0e-5c3e-4d0c-9a53-6a4b6a2a7c11")


@dataclass(frozen=True, kw_only=True)
class Nest:
    """The task of another graph that a call is made by; the same when that task is run again."""

    config: RunnableConfig
    thread_id: str

    def run_id(self, graph: str) -> str:
        """Name what the runs of the task have in common."""
        return f"{graph}-{uuid.uuid5(_NAMES, self.thread_id)}"


@dataclass(frozen=True, kw_only=True)
class NestedEnd:
    """How one run of a task ended, and whether an earlier attempt of the task had begun it."""

    result: GraphResult | BridgeError | GraphDrained
    is_old: bool

    @classmethod
    def of(cls, result: Callable[[], GraphResult], *, is_old: bool) -> NestedEnd:
        """Return how a run ended, by what its result is or raises."""
        try:
            return cls(result=result(), is_old=is_old)
        except (BridgeError, GraphDrained) as error:
            return cls(result=error, is_old=is_old)


def nest_of(config: RunnableConfig) -> Nest | None:
    """Return the task that the config is of, or None when it is a caller's own."""
    configurable = config.get("configurable", {})
    if _TASK not in configurable:
        return None
    own = {key: each for key, each in configurable.items() if not key.startswith(("__pregel_", "checkpoint_"))}
    own.pop("thread_id", None)
    thread_id = f"{configurable.get('thread_id', '')}/{configurable.get('checkpoint_ns', '')}"
    # What LangGraph notes there is of the task around, and so is the run that it may be of.
    metadata = {
        key: each
        for key, each in config.get("metadata", {}).items()
        if not key.startswith("langgraph_") and key not in (*BRIDGE_METADATA, "run_id", "thread_id")
    }
    return Nest(config={**config, "configurable": own, "metadata": metadata}, thread_id=thread_id)


def context_around() -> Any:
    """Return the static context of the graph around."""
    return get_runtime().context


async def run_in_task(given: Any, run: Callable[[Any, int], Awaitable[NestedEnd]]) -> GraphResult:
    """Run a graph to its end, handing its questions to the graph around, one after the other.

    The task is run again for each answer, after it was drained, and after a failure when it has a retry policy: what it
    did before is found by the runs' names.

    Args:
        given: the input.
        run: does the run of that number with an input, or finds it done.
    """
    number = 0
    while True:
        end = await run(given, number)
        number += 1
        if isinstance(end.result, BridgeError | GraphDrained):
            if not end.is_old:
                raise end.result
            given = None
        elif not end.result.interrupts:
            return end.result
        else:
            asked = end.result.interrupts
            answers = {each.id: interrupt(each.value, response_schema=each.response_schema) for each in asked}
            given = Command(resume=answers)
