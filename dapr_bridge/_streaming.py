"""A run of a graph, its events published while it goes on when somebody wants to see them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import GraphOutput, StreamMode

from dapr_bridge._backlog import streamed
from dapr_bridge._event_keys import NAMING_MODES, EventKeys, Namespace, StreamedEvent
from dapr_bridge._events import EventBus, EventPublisher, EventSink, StreamRequest
from dapr_bridge._langgraph import error_handlers, told
from dapr_bridge._names import BRIDGE_METADATA
from dapr_bridge._pending import PendingTasks
from dapr_bridge._run_ends import NOT_OF_THE_GRAPH
from dapr_bridge._run_values import RunValues
from dapr_bridge._wire import Failure, RunRequest
from dapr_bridge.saver import DaprSaver

_LANGGRAPH_OPTIONS = ("output_keys", "interrupt_before", "interrupt_after")


class RunStream:
    """Runs a graph as a request asks.

    Args:
        graph: the graph, bound to the saver.
        saver: its saver.
        bus: where events go; None when this worker streams nothing.
        request: what is asked for.
        run_id: the run.
        attempt: how many times its source of events has begun or gone on.
        source: what its events are from: the run, or one of its tasks.
    """

    def __init__(
        self,
        graph: Pregel[Any, Any, Any, Any],
        saver: DaprSaver,
        bus: EventBus | None,
        *,
        request: RunRequest,
        run_id: str,
        attempt: int,
        source: str = "run",
    ) -> None:
        self._graph, self._saver, self._request, self._attempt = graph, saver, request, attempt
        self._wanted = StreamRequest.from_json(request.stream) if request.stream else None
        self._publisher: EventPublisher | None = None
        if self._wanted and bus:
            self._publisher = EventPublisher(
                bus, saver, topic=self._wanted.topic, run_id=run_id, attempt=attempt, source=source
            )

    @property
    def refusal(self) -> Failure | None:
        """Why the run cannot be done as asked, or None."""
        if self._wanted is None or self._publisher is not None:
            return None
        text = "this worker streams nothing: give GraphWorker the name of a pub/sub component, events='message-pubsub'"
        return Failure(node=None, task_id=None, error_type="CallRefusedError", message=text)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many events there are, for `RunOutcome.events`."""
        return self._publisher.counts if self._publisher else {}

    async def run(
        self, graph: Pregel[Any, Any, Any, Any], value: Any, config: RunnableConfig, control: RunControl
    ) -> GraphOutput[Any]:
        """Run the graph, on whatever view of the saver; returns what `ainvoke` would, and what this run has asked."""
        arguments: dict[str, Any] = {"control": control, **await self.arguments()}
        listener = self.listener(config)
        if listener is None:
            return told(await graph.ainvoke(value, config, durability="sync", **arguments))
        latest: GraphOutput[Any] = GraphOutput(None)
        stream = streamed(graph, value, config, modes=listener.modes, subgraphs=listener.subgraphs, **arguments)
        async with listener, aclosing(stream) as events:
            async for namespace, mode, payload in events:
                if mode == "values" and not namespace:
                    latest = told(payload, after=latest)
                await listener.hear(namespace, mode, payload)
        return latest

    async def arguments(self) -> dict[str, Any]:
        """Return what LangGraph is given beside input and config."""
        options = self._request.options
        given = {name: options[name] for name in _LANGGRAPH_OPTIONS if options.get(name) is not None}
        if self._request.context is None:
            return given
        context = await RunValues(saver=self._saver).value(self._request.context, what="the context")
        return {**given, "context": context}

    def listener(self, config: RunnableConfig) -> Listener | None:
        """Return what publishes the run's events, or None when nobody wants to see them."""
        if self._wanted is None or self._publisher is None:
            return None
        handlers = error_handlers(self._graph)
        return Listener(
            self._saver, self._publisher, wanted=self._wanted, config=config, attempt=self._attempt, handlers=handlers
        )


class Listener:
    """Publishes what LangGraph streams, each event under its name.

    An asynchronous context manager: leaving it, with an exception or without, tells what has waited for its name.

    Attributes:
        modes: the stream modes that it has to hear.
        subgraphs: whether it has to hear subgraphs.
    """

    def __init__(
        self,
        saver: DaprSaver,
        sink: EventSink,
        *,
        wanted: StreamRequest,
        config: RunnableConfig,
        attempt: int,
        handlers: Mapping[str, str],
    ) -> None:
        self.modes = cast("list[StreamMode]", sorted({*wanted.modes, *NAMING_MODES}))
        self.subgraphs = wanted.subgraphs
        self._saver, self._sink, self._wanted = saver, sink, frozenset(wanted.modes)
        self._thread_id = config.get("configurable", {})["thread_id"]
        self._keys = EventKeys(saver.serde, attempt=attempt, pending=self._pending, handlers=handlers)

    async def hear(self, namespace: Namespace, mode: str, payload: Any) -> None:
        """Take in one event."""
        await self._publish(await self._keys.name(namespace, mode, payload))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What waits when another attempt goes on was not saved: that one tells it, or something else.
        if error is None or (isinstance(error, Exception) and not isinstance(error, NOT_OF_THE_GRAPH)):
            await self._publish(self._keys.rest())

    async def _publish(self, events: list[StreamedEvent]) -> None:
        for event in events:
            if event.mode in self._wanted:
                payload = _as_plain(event.mode, event.payload)
                await self._sink.emit(event.namespace, event.mode, payload, key=event.key)

    async def _pending(self, namespace: Namespace, checkpoint_id: str) -> PendingTasks:
        configurable = {
            "thread_id": self._thread_id,
            "checkpoint_ns": "|".join(namespace),
            "checkpoint_id": checkpoint_id,
        }
        return PendingTasks.on(await self._saver.aget_tuple({"configurable": configurable}))


def without_checkpoint(config: RunnableConfig) -> RunnableConfig:
    """Address a thread where it stands now."""
    kept = {key: each for key, each in config.get("configurable", {}).items() if not key.startswith("checkpoint_")}
    return {**config, "configurable": kept}


def _as_plain(mode: str, payload: Any) -> Any:
    """Leave out of an event's metadata what the bridge has put there."""
    match mode:
        case "messages":
            message, metadata = payload
            return message, _without_mark(metadata)
        case "checkpoints":
            return {**payload, "metadata": _without_mark(payload["metadata"])}
        case "tasks" if "metadata" in payload:
            kept = _without_mark(payload["metadata"])
            rest = {key: each for key, each in payload.items() if key != "metadata"}
            return {**rest, "metadata": kept} if kept else rest
        case "debug":
            inner = "checkpoints" if payload["type"] == "checkpoint" else "tasks"
            return {**payload, "payload": _as_plain(inner, payload["payload"])}
        case _:
            return payload


def _without_mark(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in metadata.items() if key not in BRIDGE_METADATA}
