"""What is said of a value that cannot be kept, or not be rebuilt: where it is, which type, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import ToolMessage
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge.errors import ValueNotKeptError
from dapr_bridge.saver.serializer import ChangedError

UNSERIALIZABLE = (TypeError, ValueError, OverflowError, AttributeError, RecursionError)
"""What LangGraph's serializer raises for a value that it cannot keep."""

# A value may hold itself.
_DEEPEST = 20


def not_kept(value: object, error: Exception, serde: SerializerProtocol, *, what: str, owner: str) -> ValueNotKeptError:
    """Return the error of a value that the serializer does not take; `owner` is the class that may be told of more."""
    path, part = _at_fault(value, serde)
    where, kind = f"{what}, at {path}," if path else what, type(part).__name__
    if isinstance(error, ChangedError):
        return ValueNotKeptError(
            f"{where} holds a {kind} that LangGraph's serializer would change: {error}. It calls a class with the "
            "fields of an object, as `model_dump()` has those of a model, and makes lists of tuples, which a set does "
            "not take: change the class, or give plain data"
        )
    return ValueNotKeptError(
        f"{where} holds a {kind} that LangGraph's serializer cannot keep: {error}; give plain data, "
        f"or a dataclass or pydantic model that is passed to {owner}(allowed_types=[...])"
    )


def not_allowed(names: Collection[str], *, what: str, owner: str) -> ValueNotKeptError:
    """Return the error of a stored value with types that `owner` was not told of; `what` names the value."""
    types, them = ", ".join(sorted(names)), "it" if len(names) == 1 else "them"
    return ValueNotKeptError(
        f"{what} holds {types}; pass {them} to {owner}(allowed_types=[...]) to load {them}, or use plain data"
    )


def _at_fault(value: object, serde: SerializerProtocol) -> tuple[str, object]:
    """Find the innermost part that the serializer does not take; returns the way to it, and the part."""
    path = ""
    for _ in range(_DEEPEST):
        found = next(((key, part) for key, part in _parts(value) if not _is_taken(part, serde)), None)
        if found is None:
            break
        path, value = f"{path}[{found[0]!r}]", found[1]
    return path, value


def _parts(value: object) -> Iterable[tuple[Any, object]]:
    if isinstance(value, ToolMessage):
        return [("artifact", value.artifact)]
    if isinstance(value, Mapping):
        return cast("Mapping[Any, object]", value).items()
    return enumerate(cast("Sequence[object]", value)) if isinstance(value, list | tuple) else ()


def _is_taken(value: object, serde: SerializerProtocol) -> bool:
    try:
        serde.dumps_typed(value)
    except UNSERIALIZABLE:
        return False
    return True
