"""A run of a graph, its events published while it goes on when somebody wants to see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.pregel import Pregel
from langgraph.types import StreamMode

from dapr_bridge._event_keys import NAMING_MODES, EventKeys, Namespace, StreamedEvent
from dapr_bridge._events import EventBus, EventPublisher, StreamRequest
from dapr_bridge._names import RUN_METADATA
from dapr_bridge._wire import Failure, RunRequest, decode_inline
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver

_LANGGRAPH_OPTIONS = ("output_keys", "interrupt_before", "interrupt_after")
_INTERRUPT = "__interrupt__"

_Chunk = tuple[Namespace, str, Any]


class RunStream:
    """Runs a graph as a request asks.

    Args:
        graph: the graph, bound to the saver.
        saver: its saver.
        bus: where events go; None when this worker streams nothing.
        request: what is asked for.
        run_id: the run.
        attempt: how many times it has begun or gone on.
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
    ) -> None:
        self._graph, self._saver, self._request, self._attempt = graph, saver, request, attempt
        self._wanted = StreamRequest.from_json(request.stream) if request.stream else None
        self._publisher: EventPublisher | None = None
        if self._wanted and bus:
            self._publisher = EventPublisher(bus, saver, topic=self._wanted.topic, run_id=run_id, attempt=attempt)

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

    async def run(self, value: Any, config: RunnableConfig) -> Any:
        """Run the graph; returns what `ainvoke` would, without the interrupts."""
        given = await self._given()
        if self._wanted and self._publisher:
            output = await self._stream(value, config, given, self._wanted, self._publisher)
        else:
            output = await self._graph.ainvoke(value, config, durability="sync", **given)
        return _without_interrupts(output)

    async def _given(self) -> dict[str, Any]:
        options = self._request.options
        given = {name: options[name] for name in _LANGGRAPH_OPTIONS if options.get(name) is not None}
        if self._request.context is None:
            return given
        context = decode_inline(self._request.context, self._saver.serde)
        return {
            **given,
            "context": await self._saver.aget_value(context) if isinstance(context, Reference) else context,
        }

    async def _stream(
        self,
        value: Any,
        config: RunnableConfig,
        given: Mapping[str, Any],
        wanted: StreamRequest,
        publisher: EventPublisher,
    ) -> Any:
        latest: Any = None
        keys = EventKeys(
            self._saver.serde,
            attempt=self._attempt,
            finished=lambda namespace, each: self._finished(config, namespace, each),
        )

        async def publish(events: list[StreamedEvent]) -> None:
            for event in events:
                if event.mode in wanted.modes:
                    await publisher.emit(
                        event.namespace, event.mode, _as_plain(event.mode, event.payload), key=event.key
                    )

        modes = cast("list[StreamMode]", sorted({*wanted.modes, *NAMING_MODES}))
        stream = self._graph.astream(
            value, config, stream_mode=modes, subgraphs=wanted.subgraphs, durability="sync", **given
        )
        try:
            async for chunk in stream:
                namespace, mode, payload = cast("_Chunk", chunk if wanted.subgraphs else ((), *chunk))
                if mode == "values" and not namespace:
                    latest = payload
                await publish(await keys.name(namespace, mode, payload))
        except Exception:
            await publish(keys.rest())
            raise
        await publish(keys.rest())
        return latest

    async def _finished(self, config: RunnableConfig, namespace: Namespace, checkpoint_id: str) -> frozenset[str]:
        configurable = {
            "thread_id": config.get("configurable", {})["thread_id"],
            "checkpoint_ns": "|".join(namespace),
            "checkpoint_id": checkpoint_id,
        }
        found = await self._saver.aget_tuple({"configurable": configurable})
        writes = found.pending_writes or [] if found else []
        return frozenset(task_id for task_id, channel, _ in writes if channel not in WRITES_IDX_MAP)


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
    return {key: each for key, each in metadata.items() if key != RUN_METADATA}


def _without_interrupts(output: Any) -> Any:
    """What `ainvoke` adds to a dictionary, or returns in place of another value."""
    if isinstance(output, dict) and _INTERRUPT in output:
        return {key: each for key, each in output.items() if key != _INTERRUPT} or None
    return output
