"""A durable graph as a node of another graph: a thread of its own, and questions that reach the graph around it."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained, ParentCommand
from langgraph.runtime import get_runtime
from langgraph.types import Command, interrupt

from dapr_bridge._langgraph import TaskAround, called_with, task_around
from dapr_bridge._names import BRIDGE_METADATA
from dapr_bridge._payloads import is_plain
from dapr_bridge.calling import GraphResult
from dapr_bridge.errors import BridgeError

# What LangGraph notes in the metadata of a run, out of its `configurable`.
_OF_THE_RUN = frozenset(
    {"thread_id", "checkpoint_id", "checkpoint_ns", "task_id", "run_id", "assistant_id", "graph_id"}
)

_NAMES = uuid.UUID("5f0f9f0e-5c3e-4d0c-9a53-6a4b6a2a7c11")


@dataclass(frozen=True, kw_only=True)
class Nest:
    """The task of another graph that a call is made by; the same when that task is run again.

    Attributes:
        config: what a call takes over from it.
        thread_id: thread of the call.
        namespace: the task's own.
    """

    config: RunnableConfig
    thread_id: str
    namespace: str

    def run_id(self, graph: str) -> str:
        """Name what the runs of the task have in common."""
        return f"{graph}-{uuid.uuid5(_NAMES, self.thread_id)}"

    def parent_command(self, command: Command[Any]) -> ParentCommand:
        """Return what LangGraph takes for a command to the graph of the task."""
        return ParentCommand(replace(command, graph=self.namespace))


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


class _Numbers:
    """Numbers the calls of each attempt at each task, so that a task that is run again makes the same ones."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._next: WeakKeyDictionary[object, Counter[int]] = WeakKeyDictionary()

    def take(self, task: TaskAround) -> int:
        """Return the number of the next call."""
        with self._guard:
            counts = self._next.setdefault(task.mark, Counter())
            counts[task.attempt] += 1
            return counts[task.attempt] - 1


_NUMBERS = _Numbers()
"""Those of this process: the calls of a task may be of several graphs."""


def call_config(bound: RunnableConfig | None, given: RunnableConfig | None) -> RunnableConfig:
    """Return the config of a call: what it is given, on top of what is around it and no note of that run's own."""
    config = called_with(bound, given)
    own = {key for each in (bound, given) if each for key in each.get("metadata") or {}}
    metadata = {
        key: value
        for key, value in config.get("metadata", {}).items()
        if not _is_a_note(key) and (key in own or (key not in _OF_THE_RUN and is_plain(value)))
    }
    return {**config, "metadata": metadata}


def nest_of(config: RunnableConfig) -> Nest | None:
    """Return the task that the config is of, or None when it is a caller's own; counts the calls of the task."""
    task = task_around(config)
    if task is None:
        return None
    configurable = config.get("configurable", {})
    own = {key: each for key, each in configurable.items() if not key.startswith(("__pregel_", "checkpoint_"))}
    own.pop("thread_id", None)
    metadata = {key: each for key, each in config.get("metadata", {}).items() if key not in ("run_id", "thread_id")}
    number = _NUMBERS.take(task)
    thread_id = f"{task.thread_id}/{task.namespace}" + (f"/{number}" if number else "")
    config = {**config, "configurable": own, "metadata": metadata}
    return Nest(config=config, thread_id=thread_id, namespace=task.namespace)


def _is_a_note(key: str) -> bool:
    return key.startswith("langgraph_") or key in BRIDGE_METADATA


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
