"""What crosses between workflow and activities, as JSON; fields are added, never renamed or reused."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge.errors import PayloadTooLargeError, ValueNotKeptError
from dapr_bridge.reference import Reference
from dapr_bridge.saver.records import UNSERIALIZABLE, Codec

INLINE_BYTES = 8 * 1024
"""The largest value that history carries itself; a workflow's history may hold 4 MiB in all."""

Payload = dict[str, Any]
"""A value on the wire: `{"json": ...}`, `{"type": ..., "data": base64}`, or `{"reference": name}`."""


def encode_inline(value: Any, serde: SerializerProtocol, *, what: str) -> Payload:
    """Encode a value for history.

    Raises:
        PayloadTooLargeError: it has more than `INLINE_BYTES`.
    """
    if isinstance(value, Reference):
        return dict(value.to_json())
    payload, size = _encode(value, serde)
    if size > INLINE_BYTES:
        raise PayloadTooLargeError(
            f"{what} has {size} bytes and history carries at most {INLINE_BYTES}: "
            "save it with DaprSaver.aput_value in an activity and pass the Reference"
        )
    return payload


def fits_inline(value: Any, serde: SerializerProtocol) -> Payload | None:
    """Encode a value for history, or return None when it is too large."""
    payload, size = _encode(value, serde)
    return payload if size <= INLINE_BYTES else None


def decode_inline(payload: Payload, serde: SerializerProtocol) -> Any:
    """Rebuild a value from `encode_inline`; a reference comes back as a `Reference`.

    Raises:
        ValueNotKeptError: it holds a type that the serializer does not build.
    """
    if "reference" in payload:
        return Reference.from_json(payload)
    if "json" in payload:
        return payload["json"]
    return Codec(serde).load(payload["type"].encode() + b"\0" + base64.b64decode(payload["data"]))


def _encode(value: Any, serde: SerializerProtocol) -> tuple[Payload, int]:
    if _is_plain(value):
        return {"json": value}, len(json.dumps(value))
    try:
        kind, data = serde.dumps_typed(value)
    except UNSERIALIZABLE as error:
        raise ValueNotKeptError(f"a {type(value).__name__} cannot be kept in history: {error}") from error
    encoded = base64.b64encode(data).decode()
    return {"type": kind, "data": encoded}, len(encoded)


def _is_plain(value: Any) -> bool:
    """Whether JSON gives back an equal value of the same types."""
    if value is None or type(value) in (bool, int, str):
        return True
    if type(value) is float:
        return value == value and abs(value) != float("inf")
    if type(value) is list:
        return all(_is_plain(item) for item in value)
    return type(value) is dict and all(type(key) is str and _is_plain(item) for key, item in value.items())


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A wish to run a graph on a thread.

    Attributes:
        graph: name of the graph.
        thread_id: LangGraph thread.
        run_id: what makes a repeated request the same run; with None, the activity takes its own identity.
        asked_at: the workflow's clock, ISO 8601; tells calls apart that continue-as-new would give one identity.
        input: LangGraph's input, a Command, or null to go on.
        config: `configurable`, `tags`, `metadata`, `recursion_limit`, as JSON.
        context: the run's context, for a graph with a context schema.
    """

    graph: str
    thread_id: str
    run_id: str | None
    asked_at: str
    input: Payload
    config: Mapping[str, Any]
    context: Payload | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        record = {**asdict(self), "input": self.input, "config": dict(self.config), "context": self.context}
        # Without one, the record is that of releases before there was a context: histories in flight hold it.
        return {key: value for key, value in record.items() if key != "context" or value is not None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunRequest:
        """Rebuild a request; unknown fields of a newer release are left alone."""
        return cls(
            graph=record["graph"],
            thread_id=record["thread_id"],
            run_id=record.get("run_id"),
            asked_at=record.get("asked_at", ""),
            input=record["input"],
            config=record.get("config") or {},
            context=record.get("context"),
        )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run stopped at a node."""

    node: str | None
    task_id: str | None
    error_type: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        status: finished, interrupted (waits for an answer or at a breakpoint), failed, or busy.
        checkpoint_id: the thread's latest checkpoint.
        output: LangGraph's output, or a reference to it.
        interrupts: the questions that wait: id, and value as payload.
        failure: what went wrong, of a failed run.
    """

    status: Literal["finished", "interrupted", "failed", "busy"]
    checkpoint_id: str = ""
    output: Payload | None = None
    interrupts: Sequence[Mapping[str, Any]] = ()
    failure: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        return {
            "status": self.status,
            "checkpoint_id": self.checkpoint_id,
            "output": self.output,
            "interrupts": [dict(each) for each in self.interrupts],
            "failure": asdict(self.failure) if self.failure else None,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunOutcome:
        """Rebuild an outcome."""
        failure = record.get("failure")
        return cls(
            status=record["status"],
            checkpoint_id=record.get("checkpoint_id", ""),
            output=record.get("output"),
            interrupts=record.get("interrupts") or (),
            failure=Failure(**failure) if failure else None,
        )
