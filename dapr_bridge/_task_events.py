"""Which of the events of a lone task's run are told: those of the task, not those of the window it runs in."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from langgraph.types import StreamMode

from dapr_bridge._langgraph import INTERRUPT

_METADATA = "__metadata__"


class Ear(Protocol):
    """What hears a run's events."""

    @property
    def modes(self) -> Sequence[StreamMode]:
        """The stream modes that it has to hear."""
        ...

    @property
    def subgraphs(self) -> bool:
        """Whether it has to hear subgraphs."""
        ...

    async def hear(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Take in one event."""
        ...


class DeafEar:
    """Hears a run as one that is streamed, and tells nobody."""

    modes: Sequence[StreamMode] = ("values",)
    subgraphs = False

    async def hear(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Take in one event."""


class GoingOn:
    """Hands on the events of a run that goes on, but for the state from which it does: that was told before.

    Args:
        ear: what hears the rest.
    """

    def __init__(self, ear: Ear) -> None:
        self.modes, self.subgraphs = ear.modes, ear.subgraphs
        self._ear = ear
        self._has_begun = False

    async def hear(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Take in one event."""
        self._has_begun |= mode == "checkpoints" and not namespace
        if self._has_begun or namespace or mode != "values":
            await self._ear.hear(namespace, mode, payload)


class OneTask:
    """Hands on the events of one task.

    In a lone task's run LangGraph tells again where the graph stands, gives the other tasks for done, and ends a
    superstep that is not ended yet.

    Args:
        ear: what hears the rest.
        others: ids of the other tasks of the superstep.
        checkpoint_id: the checkpoint that the superstep follows.
        has_cache: whether a task's output may come from a cache.
    """

    def __init__(self, ear: Ear, *, others: Collection[str], checkpoint_id: str, has_cache: bool) -> None:
        self.modes, self.subgraphs = ear.modes, ear.subgraphs
        self._ear, self._others, self._checkpoint_id = ear, frozenset(others), checkpoint_id
        self._has_cache = has_cache

    async def hear(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Take in one event."""
        if namespace or self._is_of_task(mode, payload):
            await self._ear.hear(namespace, mode, payload)

    def _is_of_task(self, mode: str, payload: Any) -> bool:
        match mode:
            case "values":
                return isinstance(payload, Mapping) and INTERRUPT in payload
            case "checkpoints":
                return payload["config"]["configurable"].get("checkpoint_id") == self._checkpoint_id
            case "tasks":
                return payload["id"] not in self._others
            case "updates" if payload == {INTERRUPT: ()}:
                # It stands at a breakpoint within; whether the run does, its other tasks say too.
                return False
            case "updates":
                is_saved = bool(isinstance(payload, Mapping) and payload.get(_METADATA, {}).get("cached"))
                return not is_saved or (self._has_cache and any(payload[each] for each in payload if each != _METADATA))
            case "debug":
                inner = "checkpoints" if payload["type"] == "checkpoint" else "tasks"
                return self._is_of_task(inner, payload["payload"])
            case _:
                return True


class SavedTasks:
    """Hands on that tasks have begun, and what they have saved, of a superstep in which nothing runs.

    LangGraph tells first of each task that it begins, and then of each, in the same order, what it has written.

    Args:
        ear: what hears it.
        finished: ids of the tasks that are to be told of.

    Attributes:
        values: how often the values were told: once as the superstep begins, and again if what is saved is among them.
    """

    def __init__(self, ear: Ear, *, finished: Collection[str]) -> None:
        self.modes, self.subgraphs = ear.modes, ear.subgraphs
        self.values = 0
        self._ear, self._finished = ear, finished
        self._begun: deque[str] = deque()

    async def hear(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        """Take in one event."""
        self.values += mode == "values" and not namespace
        if self._is_of_finished(mode, payload):
            await self._ear.hear(namespace, mode, payload)

    def _is_of_finished(self, mode: str, payload: Any) -> bool:
        match mode:
            case "tasks":
                self._begun.append(payload["id"])
                return payload["id"] in self._finished
            case "updates":
                return bool(self._begun) and self._begun.popleft() in self._finished
            case "debug":
                return payload["type"] == "task" and payload["payload"]["id"] in self._finished
            case _:
                return False
