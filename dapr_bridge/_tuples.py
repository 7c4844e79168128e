"""Keeps tuples apart from lists on the wire: LangGraph's serializer makes lists of those inside a value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from langgraph.types import Command, Interrupt, Overwrite, Send

Path = tuple[int, ...]
"""Where a value stands in another: its place in each of the containers around it."""

_ATOMS = frozenset({str, bytes, int, float, bool, type(None)})


def tuples_in(value: object) -> tuple[Path, ...]:
    """Return what `find_tuples` finds: most often nothing, which is told in a tenth of its time."""
    return tuple(find_tuples(value)) if _has_tuples(value) else ()


def _has_tuples(value: object) -> bool:
    left = [value]
    while left:
        each = left.pop()
        if type(each) is tuple:
            return True
        left.extend([item for item in _items(each) if type(item) not in _ATOMS])
    return False


def find_tuples(value: object, here: Path = ()) -> Iterator[Path]:
    """Find the tuples inside of dictionaries, lists, tuples, and what of LangGraph's holds values, such as Commands."""
    # Exact types: what is derived from these has a form of its own on the wire.
    if type(value) is tuple:
        yield here
    for place, item in enumerate(_items(value)):
        yield from find_tuples(item, (*here, place))


def with_tuples(value: Any, paths: Collection[Path], here: Path = ()) -> Any:
    """Return a value whose lists are tuples where `find_tuples` has found some."""
    if not paths:
        return value
    items = [with_tuples(item, paths, (*here, place)) for place, item in enumerate(_items(value))]
    if here in paths and type(value) in (list, tuple):
        return tuple(items)
    return _holding(value, items)


def _items(value: Any) -> Collection[Any]:
    if type(value) is dict:
        return value.values()
    if type(value) is Command:
        return (value.update, value.resume, *_goals(value))
    if type(value) is Send:
        return (value.arg,)
    if type(value) in (Interrupt, Overwrite):
        return (value.value,)
    return value if type(value) in (list, tuple) else ()


def _holding(value: Any, items: list[Any]) -> Any:
    """Return a container like the one in which `_items` has found something, with other items."""
    if type(value) is dict:
        return dict(zip(value, items, strict=True))
    if type(value) is Command:
        update, resume, *goals = items
        return replace(value, update=update, resume=resume, goto=goals if _has_many(value) else goals[0])
    if type(value) is Send:
        return Send(value.node, items[0], timeout=value.timeout)
    if type(value) is Interrupt:
        return Interrupt(value=items[0], id=value.id, response_schema=value.response_schema)
    if type(value) is Overwrite:
        return replace(value, value=items[0])
    return items if type(value) is list else value


def _goals(command: Command[Any]) -> Sequence[Any]:
    # LangGraph takes a tuple of them for a list.
    return cast("Sequence[Any]", command.goto) if _has_many(command) else (command.goto,)


def _has_many(command: Command[Any]) -> bool:
    return isinstance(command.goto, list | tuple)
