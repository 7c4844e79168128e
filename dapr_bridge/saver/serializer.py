"""LangGraph's serializer, which refuses what it would rebuild as another: it calls a class with the fields it saved.

What a class makes of them is its own affair: a field that is no argument, one that is left out of `model_dump()`, or a
validator that changes what it has changed before. LangGraph itself goes on with whatever comes back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import ToolMessage
from langgraph.types import Command, Send
from pydantic import BaseModel

from dapr_bridge._langgraph import KeepingSerializer

_MISSING = object()
_SETS = b"builtins"


class ChangedError(ValueError):
    """A value would come back as another; the message says what of it."""


class OwnTypesSerializer(KeepingSerializer):
    """Rebuilds LangGraph's, LangChain's and Python's types, and classes of one's own.

    Args:
        types: these classes.
    """

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._own = tuple(types)
        self._names = tuple(each.__name__.encode() for each in self._own)
        super().__init__(allowed_msgpack_modules=self._own or None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize a value.

        Raises:
            ChangedError: a set, or something of one's own, would come back as another.
        """
        kind, data = super().dumps_typed(obj)
        if any(name in data for name in (*self._names, _SETS)):
            for change in _changes(obj, self.loads_typed((kind, data)), self._own):
                raise ChangedError(change)
        return kind, data


def _changes(value: object, again: object, own: tuple[type, ...]) -> Iterator[str]:
    """Say what of a value is another in what it comes back as; a tuple may be a list."""
    if isinstance(value, own):
        yield from _changes_of_own(value, again, own)
    elif isinstance(value, BaseModel):
        # Of LangChain's classes a message's is the part that a field of a wider type loses.
        yield from _as_another_type(value, again)
        yield from _changes_in_parts(value, again, own)
    elif isinstance(value, dict):
        yield from _changes_by_name(cast("dict[object, object]", value), again, own)
    elif isinstance(value, list | tuple):
        yield from _changes_in_order(cast("Sequence[object]", value), again, own)
    elif isinstance(value, set | frozenset):
        # With tuples in it, which come back as lists.
        yield from _as_another_type(cast("object", value), again)
    elif isinstance(value, Command | Send):
        yield from _changes_in_parts(value, again, own)
    elif isinstance(value, str | bytes | int | float | None) and value == value and value != again:
        yield f"a {type(value).__name__} would come back as another"


def _changes_in_parts(value: object, again: object, own: tuple[type, ...]) -> Iterator[str]:
    for each, found in zip(_parts(value), _parts(again), strict=False):
        yield from _changes(each, found, own)


def _parts(value: object) -> tuple[object, ...]:
    match value:
        case Command(update=update, resume=resume, goto=goto):
            return update, resume, goto
        case Send(arg=arg):
            return (arg,)
        case ToolMessage(artifact=artifact):
            return (artifact,)
        case _:
            return ()


def _changes_of_own(value: object, again: object, own: tuple[type, ...]) -> Iterator[str]:
    yield from _as_another_type(value, again)
    if isinstance(value, tuple):
        yield from _changes_in_order(cast("Sequence[object]", value), again, own)
    for name in _fields(value):
        if any(_changes(getattr(value, name, _MISSING), getattr(again, name, _MISSING), own)):
            yield f"its {name!r} would come back as another"


def _as_another_type(value: object, again: object) -> Iterator[str]:
    if type(again) is not type(value):
        yield f"it would come back as a {type(again).__name__}"


def _changes_by_name(value: Mapping[object, object], again: object, own: tuple[type, ...]) -> Iterator[str]:
    if not isinstance(again, dict):
        yield from _as_another_type(value, again)
        return
    found = cast("dict[object, object]", again)
    if value.keys() != found.keys():
        yield "a dict would come back with other keys"
        return
    for key, each in value.items():
        yield from _changes(each, found[key], own)


def _changes_in_order(value: Sequence[object], again: object, own: tuple[type, ...]) -> Iterator[str]:
    if not isinstance(again, list | tuple):
        yield from _as_another_type(value, again)
        return
    for each, found in zip(value, cast("Sequence[object]", again), strict=True):
        yield from _changes(each, found, own)


def _fields(value: object) -> Iterable[str]:
    if isinstance(value, BaseModel):
        return (*type(value).model_fields, *(value.model_extra or {}))
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value) if each.compare]
    return ()
