"""What a run streams, on its way from the worker over Dapr pub/sub to the client."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import grpc
from dapr.proto import api_v1

from dapr_bridge._contexts import Closing
from dapr_bridge._payloads import Payload, decode_kept, encode_payload
from dapr_bridge._tuples import Path, tuples_in, with_tuples
from dapr_bridge.errors import StateStoreUnavailableError, ValueNotKeptError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.sidecar import Patience, SidecarCalls, describe

logger = logging.getLogger(__name__)

# A run waits for its publications: an event that does not go out soon is not worth a run that stands still.
_PATIENCE = Patience(away=timedelta(seconds=5), trouble=timedelta(seconds=1), call=timedelta(seconds=5))

_MESSAGE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class StreamRequest:
    """What a client wants to see of a run.

    Attributes:
        modes: LangGraph's stream modes.
        subgraphs: whether events of subgraphs are wanted.
        topic: where the client listens.
    """

    modes: Sequence[str]
    subgraphs: bool
    topic: str

    def to_json(self) -> dict[str, Any]:
        """Return what a run's request carries."""
        return {"modes": list(self.modes), "subgraphs": self.subgraphs, "topic": self.topic}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StreamRequest:
        """Rebuild what `to_json` gave."""
        return cls(modes=tuple(record["modes"]), subgraphs=record["subgraphs"], topic=record["topic"])


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a run.

    Attributes:
        run_id: the run.
        source: what published it: `run`, or a task's id in unit `task`.
        attempt: how many times that source has begun; a later attempt may publish again what an earlier one did.
        number: its place among the events of one attempt of the source, from 1.
        key: what it tells, by name: events of two attempts that share a key are one event.
        namespace: LangGraph's namespace of the graph that it is from.
        mode: its stream mode.
        value: the payload, encoded; `{"error": text}` when it could not be.
        tuples: where in the payload there are tuples (see `_tuples`).
    """

    run_id: str
    source: str
    attempt: int
    number: int
    key: str
    namespace: tuple[str, ...]
    mode: str
    value: Payload
    tuples: Sequence[Path] = ()

    def to_bytes(self) -> bytes:
        """Return the message.

        As a text in JSON: daprd rewrites the JSON that it carries, which loses the order of keys.
        """
        return json.dumps({"event": json.dumps(vars(self))}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Event:
        """Read a message; fields of a newer release are left alone."""
        record = json.loads(json.loads(data)["event"])
        return cls(
            run_id=record["run_id"],
            source=record["source"],
            attempt=record["attempt"],
            number=record["number"],
            key=record["key"],
            namespace=tuple(record["namespace"]),
            mode=record["mode"],
            value=record["value"],
            tuples=tuple(tuple(path) for path in record.get("tuples", ())),
        )


class EventSink(Protocol):
    """Where a run's events go; whatever runs a task of the graph calls it."""

    async def emit(self, namespace: tuple[str, ...], mode: str, payload: object, *, key: str) -> None: ...


class EventBus(Closing):
    """A pub/sub component, as a worker publishes to it."""

    def __init__(self, component: str, *, address: str | None) -> None:
        self.component = component
        self._calls = SidecarCalls(address, _PATIENCE)

    async def publish(self, topic: str, data: bytes) -> None:
        """Publish a message; one that the broker does not take is lost, and the run goes on."""
        request = api_v1.PublishEventRequest(
            pubsub_name=self.component, topic=topic, data=data, data_content_type="application/json"
        )
        try:
            await arun(self._calls.call(self._calls.stub.PublishEvent, request))
        except (grpc.RpcError, StateStoreUnavailableError) as error:
            logger.warning("event is lost: pub/sub %s does not take it: %s", self.component, describe(error))

    def close(self) -> None:
        """Close the connection to the sidecar."""
        self._calls.close()


class EventPublisher:
    """Numbers and publishes the events of one attempt of one source; an `EventSink`."""

    def __init__(
        self, bus: EventBus, saver: DaprSaver, *, topic: str, run_id: str, attempt: int, source: str = "run"
    ) -> None:
        self._bus, self._saver, self._topic = bus, saver, topic
        self._run_id, self._source, self._attempt = run_id, source, attempt
        self._count = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many events there are, for `RunOutcome.events`."""
        return {source_name(self._source, self._attempt): self._count}

    async def emit(self, namespace: tuple[str, ...], mode: str, payload: object, *, key: str) -> None:
        """Publish one event; it is out when this returns, or lost."""
        # Also one that seems to be lost has a number of its own: it may have gone out all the same.
        self._count = number = self._count + 1
        value = await self._encode(payload, number)
        event = Event(
            run_id=self._run_id,
            source=self._source,
            attempt=self._attempt,
            number=number,
            key=key,
            namespace=namespace,
            mode=mode,
            value=value,
            # What cannot be encoded may hold itself, and would be looked through without an end.
            tuples=() if "error" in value else tuples_in(payload),
        )
        await self._bus.publish(self._topic, event.to_bytes())

    async def _encode(self, payload: object, number: int) -> Payload:
        try:
            encoded, size = encode_payload(payload, self._saver.serde, what="the event")
        except (ValueNotKeptError, RecursionError) as error:
            return {"error": str(error)}
        if size <= _MESSAGE_BYTES:
            return encoded
        name = f"{self._run_id}/events/{self._source}/{self._attempt}/{number}"
        return dict((await self._saver.aput_value(name, payload)).to_json())


def source_name(source: str, attempt: int) -> str:
    """Name a source's attempt, as `RunOutcome.events` does."""
    return f"{source}#{attempt}"


async def decode_event(event: Event, saver: DaprSaver) -> Any:
    """Return an event's payload as LangGraph streamed it.

    Raises:
        ValueNotKeptError: the worker could not encode it, or it holds a type that this side does not allow.
    """
    if "error" in event.value:
        raise ValueNotKeptError(f"an event of stream mode {event.mode!r} was lost: {event.value['error']}")
    value = decode_kept(event.value, saver.serde, what=f"an event of stream mode {event.mode!r}")
    if isinstance(value, Reference):
        value = await saver.aget_value(value)
    return with_tuples(value, frozenset(event.tuples))
