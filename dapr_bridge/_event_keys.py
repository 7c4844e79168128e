"""Names for what a run streams, the same when another attempt of the run streams it again.

LangGraph does not say which task an `updates` event is of, nor which checkpoint a `values` event shows. Both follow
from what comes next: a task's result right after its update, a checkpoint right after the values that it holds. So an
event waits here until its name is known; it never waits for the graph's code.

What an error handler writes is named after the task that has failed: where a superstep's tasks run apart, LangGraph
tells it when the handler ends, and once more, as that task's, when the superstep does.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._payloads import encode_payload
from dapr_bridge._pending import PendingTasks
from dapr_bridge.errors import ValueNotKeptError

NAMING_MODES = ("checkpoints", "tasks", "values")
"""The stream modes that have to be seen to name what the others stream."""

Namespace = tuple[str, ...]

_INTERRUPT, _METADATA = "__interrupt__", "__metadata__"


@dataclass(eq=False)
class StreamedEvent:
    """One event as LangGraph streams it; the key is empty while its name is not known."""

    namespace: Namespace
    mode: str
    payload: Any
    key: str = ""


@dataclass
class _Place:
    """What is known of one namespace: its current checkpoint, that superstep's tasks, which of them are told.

    Of the tasks that have failed: their names and ids.
    """

    checkpoint_id: str = ""
    tasks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    told: set[str] = field(default_factory=set[str])
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


class EventKeys:
    """Names the events of one attempt, in the order in which LangGraph streams them.

    Args:
        serde: serializer for events that only their content can name.
        attempt: number of the attempt.
        pending: tells what the tasks after a checkpoint have saved.
        handlers: names of error handlers, by the nodes of the outermost graph whose failures they handle.
    """

    def __init__(
        self,
        serde: SerializerProtocol,
        *,
        attempt: int,
        pending: Callable[[Namespace, str], Awaitable[PendingTasks]],
        handlers: Mapping[str, str] | None = None,
    ) -> None:
        self._serde, self._attempt, self._pending = serde, attempt, pending
        self._handlers = handlers or {}
        self._places: dict[Namespace, _Place] = {}
        self._waiting: deque[StreamedEvent] = deque()
        self._seen: Counter[str] = Counter()

    async def name(self, namespace: Namespace, mode: str, payload: Any) -> list[StreamedEvent]:
        """Take in one event; returns the events whose names are known now, in order."""
        place = self._places.setdefault(namespace, _Place())
        event = StreamedEvent(namespace, mode, payload)
        self._waiting.append(event)
        match mode:
            case "checkpoints":
                self._name_checkpoint(event, place)
            case "tasks":
                self._name_task(event, place)
            case "values":
                self._name_values(event, place)
            case "updates":
                await self._name_update(event, place)
            case "debug":
                event.key = self._key(event, _debug_subject(payload))
            case "messages":
                # Its metadata names the task.
                event.key = self._key(event, self._digest(payload))
            case _:
                event.key = self._key(event, self._running_task(namespace), self._digest(payload))
        return self._released()

    def rest(self) -> list[StreamedEvent]:
        """Return what still waits, at the end of the attempt."""
        for event in self._waiting:
            event.key = event.key or self._key(event, self._places[event.namespace].checkpoint_id, "last")
        return self._released()

    def _released(self) -> list[StreamedEvent]:
        named: list[StreamedEvent] = []
        while self._waiting and self._waiting[0].key:
            named.append(self._waiting.popleft())
        return named

    def _name_checkpoint(self, event: StreamedEvent, place: _Place) -> None:
        place.checkpoint_id = event.payload["config"]["configurable"].get("checkpoint_id", "")
        place.tasks = [(task["name"], task["id"]) for task in event.payload["tasks"]]
        place.told, place.failed = set(), []
        event.key = self._key(event, place.checkpoint_id)
        if self._attempt > 1 and event.payload.get("metadata", {}).get("source") == "input":
            # Only a loop that goes on there shows the values before its input is applied.
            self._forget_earlier(event.namespace, "values")
        self._name_earlier(event.namespace, "values", place.checkpoint_id)

    def _name_task(self, event: StreamedEvent, place: _Place) -> None:
        task_id = event.payload["id"]
        if "result" not in event.payload:
            event.key = self._key(event, task_id, "start")
            if task_id not in (each for _, each in place.tasks):
                place.tasks.append((event.payload["name"], task_id))
            return
        place.told.add(task_id)
        event.key = self._key(event, task_id, "result")
        if event.payload.get("error"):
            place.failed.append((event.payload["name"], task_id))
        self._name_earlier(event.namespace, "updates", self._writer(event, place))

    def _writer(self, event: StreamedEvent, place: _Place) -> str:
        """Return the id of the task whose output an ended one has written: its own, or that of one that it handles."""
        handled = [each for name, each in place.failed if self._handlers.get(name) == event.payload["name"]]
        is_apart = not event.namespace and len(handled) == 1
        return handled[0] if is_apart else event.payload["id"]

    def _name_values(self, event: StreamedEvent, place: _Place) -> None:
        if isinstance(event.payload, Mapping) and _INTERRUPT in event.payload:
            event.key = self._key(event, place.checkpoint_id, _interrupt_ids(event.payload))

    async def _name_update(self, event: StreamedEvent, place: _Place) -> None:
        if _INTERRUPT in event.payload:
            event.key = self._key(event, place.checkpoint_id, _interrupt_ids(event.payload))
        elif event.payload.get(_METADATA, {}).get("cached"):
            pending = await self._pending(event.namespace, place.checkpoint_id)
            task_id = _task_of_saved_update(event, place, pending)
            place.told.add(task_id)
            event.key = self._key(event, task_id)
            if task_id in pending.handled and not event.namespace:
                event.payload = {self._handlers.get(name, name): each for name, each in event.payload.items()}

    def _running_task(self, namespace: Namespace) -> str:
        """Name the one task that runs; of a namespace without tasks of its own, as `@task` has, the one around it.

        Of several, nobody can tell which one streams: what a task streams that has to run again is then told again.
        """
        while namespace and not self._places.get(namespace, _Place()).tasks:
            namespace = namespace[:-1]
        place = self._places.get(namespace, _Place())
        running = [each for _, each in place.tasks if each not in place.told]
        return running[0] if len(running) == 1 else f"attempt {self._attempt}"

    def _name_earlier(self, namespace: Namespace, mode: str, subject: str) -> None:
        for event in self._waiting:
            if not event.key and event.mode == mode and event.namespace == namespace:
                event.key = self._key(event, subject)
                return

    def _forget_earlier(self, namespace: Namespace, mode: str) -> None:
        for event in list(self._waiting):
            if not event.key and event.mode == mode and event.namespace == namespace:
                self._waiting.remove(event)

    def _key(self, event: StreamedEvent, *parts: str) -> str:
        base = "|".join([event.mode, "/".join(event.namespace), *parts])
        self._seen[base] += 1
        return f"{base}|{self._seen[base]}"

    def _digest(self, payload: object) -> str:
        try:
            encoded, _ = encode_payload(payload, self._serde, what="the event")
        except ValueNotKeptError:
            return ""
        return hashlib.sha256(repr(encoded).encode()).hexdigest()[:16]


def _task_of_saved_update(event: StreamedEvent, place: _Place, pending: PendingTasks) -> str:
    """Find the task whose saved output is told again: the tasks come in their order."""
    names = set(event.payload) - {_METADATA}
    candidates = [each for name, each in place.tasks if name in names and each not in place.told]
    # One that had not saved anything has its output from the cache.
    return next((each for each in candidates if each in pending.finished), next(iter(candidates), ""))


def _debug_subject(payload: Mapping[str, Any]) -> str:
    wrapped = payload["payload"]
    if payload["type"] == "checkpoint":
        return f"{wrapped['config']['configurable'].get('checkpoint_id', '')}"
    return f"{payload['type']}:{wrapped['id']}"


def _interrupt_ids(payload: Mapping[str, Any]) -> str:
    return ",".join(each.id for each in payload[_INTERRUPT])
