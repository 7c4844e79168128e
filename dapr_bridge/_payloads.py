"""Values as history carries them: small ones themselves, larger ones by reference."""

from __future__ import annotations

import base64
import json
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._as_given import losses_of, made_good
from dapr_bridge.errors import PayloadTooLargeError
from dapr_bridge.reference import Reference
from dapr_bridge.saver.records import Codec

INLINE_BYTES = 8 * 1024
"""The largest value that history carries itself; a workflow's history may hold 4 MiB in all."""

_ANY_KEYS = ormsgpack.OPT_NON_STR_KEYS

Payload = dict[str, Any]
"""A value on the wire: `{"json": ...}`, `{"type": ..., "data": base64}`, or `{"reference": name}`.

The latter two may have `LOST` beside.
"""

LOST = "lost"
"""What the serializer loses of a value (see `_as_given`), a payload too; not of a large one that no caller gave."""

NO_INPUT: Payload = {"json": None}
"""LangGraph's input for a run that goes on."""


def encode_inline(value: Any, serde: SerializerProtocol, *, what: str) -> Payload:
    """Encode a value for history.

    Raises:
        PayloadTooLargeError: it has more than `INLINE_BYTES`.
        ValueNotKeptError: the serializer cannot keep it.
    """
    if isinstance(value, Reference):
        return dict(value.to_json())
    payload, size = encode_payload(value, serde, what=what)
    if size > INLINE_BYTES:
        raise PayloadTooLargeError(
            f"{what} has {size} bytes and history carries at most {INLINE_BYTES}: "
            "save it with DaprSaver.aput_value in an activity and pass the Reference"
        )
    # What is lost counts for nothing here: workflows in flight have sent as much without it.
    return _with_lost(payload, value)


def lost_in(payload: Payload, value: Any) -> dict[str, Any]:
    """Return what is lost of a value that a payload stands for; nothing of what is JSON."""
    return {} if "json" in payload else losses_of(value)


def fits_inline(value: Any, serde: SerializerProtocol, *, what: str, most: int = INLINE_BYTES) -> Payload | None:
    """Encode a value for history, or return None when it, or what is lost of it, has more bytes than it may have."""
    payload, size = encode_payload(value, serde, what=what)
    if size > most:
        return None
    whole = _with_lost(payload, value)
    return whole if len(json.dumps(whole.get(LOST))) <= INLINE_BYTES else None


def _with_lost(payload: Payload, value: Any) -> Payload:
    lost = lost_in(payload, value)
    return {**payload, LOST: {"json": lost}} if lost else payload


def decode_inline(payload: Payload, serde: SerializerProtocol) -> Any:
    """Rebuild a value from `encode_inline`; a reference comes back as a `Reference`."""
    if "reference" in payload:
        return Reference.from_json(payload)
    if "json" in payload:
        return payload["json"]
    return _as_it_was(serde.loads_typed((payload["type"], base64.b64decode(payload["data"]))), payload)


def decode_kept(payload: Payload, serde: SerializerProtocol, *, what: str) -> Any:
    """Rebuild a value as `decode_inline` does, where the reader has a say in what types there are.

    Raises:
        ValueNotKeptError: it holds a type that is not allowed.
    """
    if "data" not in payload:
        return decode_inline(payload, serde)
    value = Codec(serde).load(payload["type"].encode() + b"\0" + base64.b64decode(payload["data"]), what)
    return _as_it_was(value, payload)


def _as_it_was(value: Any, payload: Payload) -> Any:
    lost = payload.get(LOST, {}).get("json")
    return made_good(value, lost) if lost else value


def encode_payload(value: Any, serde: SerializerProtocol, *, what: str) -> tuple[Payload, int]:
    """Encode a value of any size; returns its size too. `what` names it in the error.

    Raises:
        ValueNotKeptError: the serializer cannot keep it.
    """
    if is_plain(value):
        return {"json": value}, len(json.dumps(value))
    kind, data = Codec(serde).dump_typed(value, what=what)
    encoded = base64.b64encode(data).decode()
    return {"type": kind, "data": encoded}, len(encoded)


def is_plain(value: Any) -> bool:
    """Whether JSON gives back an equal value of the same types."""
    if value is None or type(value) in (bool, int, str):
        return True
    if type(value) is float:
        return value == value and abs(value) != float("inf")
    if type(value) is list:
        return all(is_plain(item) for item in value)
    return type(value) is dict and all(type(key) is str and is_plain(item) for key, item in value.items())


def in_one_order(payload: Payload) -> Payload:
    """Return what is the same for equal sets, by which inputs are told apart; a payload without a set is itself.

    In which order a set of strings is walked, and so encoded, is another in each process. What is lost tells none
    apart, for earlier releases have not noted it.
    """
    kept = {key: each for key, each in payload.items() if key != LOST} if LOST in payload else payload
    data = base64.b64decode(kept.get("data", ""))
    in_order = _with_sorted_sets(data) if b"builtins" in data else None
    return kept if in_order is None else {**kept, "data": base64.b64encode(in_order).decode()}


def _with_sorted_sets(data: bytes) -> bytes | None:
    """Encode anew what LangGraph's serializer has encoded, each set in the order of its items' bytes; None: no set."""
    has_sets = False

    def within(code: int, inner: bytes) -> ormsgpack.Ext:
        nonlocal has_sets
        value = ormsgpack.unpackb(inner, ext_hook=within, option=_ANY_KEYS)
        match value:
            case ["builtins", "set" | "frozenset" as kind, [*items] | {**items}]:
                has_sets = True
                value = ["builtins", kind, sorted(items, key=_bytes_of)]
            case _:
                pass
        return ormsgpack.Ext(code, _bytes_of(value))

    try:
        value = ormsgpack.unpackb(data, ext_hook=within, option=_ANY_KEYS)
    except ormsgpack.MsgpackDecodeError:
        # Another serializer's.
        return None
    return _bytes_of(value) if has_sets else None


def _bytes_of(value: Any) -> bytes:
    return ormsgpack.packb(value, option=_ANY_KEYS)
