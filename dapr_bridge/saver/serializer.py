"""LangGraph's serializer, which refuses what it would rebuild as another: it calls a class with the fields it saved.

What a class makes of them is its own affair: a field that is no argument, one that is left out of `model_dump()`, or a
validator that changes what it has changed before. LangGraph itself goes on with whatever comes back.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import ToolMessage
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel

from dapr_bridge._langgraph import KeepingSerializer

_MISSING = object()
_ATOMS = frozenset({str, bytes, int, float, bool, type(None)})


class ChangedError(ValueError):
    """A value would come back as another; the message says what of it."""


class OwnTypesSerializer(KeepingSerializer):
    """Rebuilds LangGraph's, LangChain's and Python's types, and classes of one's own.

    Args:
        types: these classes.
    """

    def __init__(self, types: Iterable[type] = ()) -> None:
        allowed = tuple(types)
        own = tuple(filter(_has_instances, allowed))
        self._names = tuple(each.__name__.encode() for each in own)
        self._look = _Look(own)
        super().__init__(allowed_msgpack_modules=allowed or None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Serialize a value.

        Raises:
            ChangedError: a set, or something of one's own, would come back as another.
        """
        (kind, data), has_lost_a_set = self.dumped(obj)
        if has_lost_a_set:
            raise ChangedError("it would come back as a list")
        if any(name in data for name in self._names):
            for change in self._look.changes(obj, self.loads_typed((kind, data))):
                raise ChangedError(change)
        return kind, data


def _has_instances(kind: object) -> bool:
    """Whether an object can be asked if it is one: not of a TypedDict or a protocol."""
    try:
        isinstance(None, cast("type", kind))
    except TypeError:
        return False
    return isinstance(kind, type)


@dataclass(frozen=True)
class _Look:
    """Compares values with what they come back as, where a tuple may be a list.

    Attributes:
        own: classes of one's own.
        is_within: whether it looks at what an object of theirs holds. Elsewhere LangGraph changes texts and the keys of
            dictionaries as it does without such an object beside.
    """

    own: tuple[type, ...]
    is_within: bool = False

    def changes(self, value: object, again: object) -> Iterator[str]:
        """Say what of a value is another in what it comes back as."""
        if isinstance(value, self.own):
            yield from self._of_own(value, again)
        elif isinstance(value, BaseModel):
            # Of LangChain's classes a message's is the part that a field of a wider type loses.
            yield from _as_another_type(value, again)
            yield from self._each(zip(_parts(value), _parts(again), strict=False))
        elif isinstance(value, dict):
            yield from self._by_name(cast("dict[object, object]", value), again)
        elif isinstance(value, list | tuple | deque):
            yield from self._in_order(cast("Sequence[object]", value), again)
        elif isinstance(value, set | frozenset):
            # With tuples in it that come back as lists, or hold such.
            yield from _as_another_type(cast("object", value), again)
        elif isinstance(value, Command | Send | Interrupt | Overwrite):
            yield from self._each(zip(_parts(value), _parts(again), strict=False))
        elif isinstance(value, str | bytes | int | float | None):
            yield from self._of_atom(value, again)

    def _of_own(self, value: object, again: object) -> Iterator[str]:
        within = _Look(self.own, is_within=True)
        yield from _as_another_type(value, again)
        if isinstance(value, tuple):
            yield from within._in_order(cast("Sequence[object]", value), again)
        for name in _fields(value):
            held = ((getattr(value, name, _MISSING), getattr(again, name, _MISSING)),)
            if any(within._each(held)):
                yield f"its {name!r} would come back as another"

    def _by_name(self, value: Mapping[object, object], again: object) -> Iterator[str]:
        if not isinstance(again, dict):
            yield from _as_another_type(value, again)
            return
        found = cast("dict[object, object]", again)
        if len(value) != len(found) or (self.is_within and value.keys() != found.keys()):
            yield "a dict would come back with other keys"
            return
        others = [found[key] for key in value] if self.is_within else found.values()
        yield from self._each(zip(value.values(), others, strict=True))

    def _in_order(self, value: Sequence[object], again: object) -> Iterator[str]:
        if not isinstance(again, list | tuple | deque):
            yield from _as_another_type(value, again)
            return
        found = cast("Sequence[object]", again)
        if len(value) != len(found):
            yield f"a {type(value).__name__} would come back with other items"
            return
        yield from self._each(zip(value, found, strict=True))

    def _each(self, pairs: Iterable[tuple[object, object]]) -> Iterator[str]:
        for value, again in pairs:
            if type(value) not in _ATOMS:
                yield from self.changes(value, again)
            elif self.is_within:
                yield from self._of_atom(value, again)

    def _of_atom(self, value: object, again: object) -> Iterator[str]:
        if self.is_within and value == value and value != again:
            yield f"a {type(value).__name__} would come back as another"


def _parts(value: object) -> tuple[object, ...]:
    match value:
        case Command(update=update, resume=resume, goto=goto):
            return update, resume, goto
        case Send(arg=arg):
            return (arg,)
        case Interrupt(value=held) | Overwrite(value=held):
            return (held,)
        case ToolMessage(artifact=artifact):
            return (artifact,)
        case _:
            return ()


def _as_another_type(value: object, again: object) -> Iterator[str]:
    if type(again) is not type(value):
        yield f"it would come back as a {type(again).__name__}"


def _fields(value: object) -> Iterable[str]:
    if isinstance(value, BaseModel):
        return (*type(value).model_fields, *(value.model_extra or {}))
    if dataclasses.is_dataclass(value):
        return [each.name for each in dataclasses.fields(value) if each.compare]
    return ()
