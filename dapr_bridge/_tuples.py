"""Keeps tuples apart from lists on the wire: LangGraph's serializer makes lists of those inside a value."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

Path = tuple[int, ...]
"""Where a value stands in another: its place in each of the containers around it."""


def find_tuples(value: object, here: Path = ()) -> Iterator[Path]:
    """Find the tuples inside of dictionaries, lists and tuples."""
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
    if here in paths:
        return tuple(items)
    if type(value) is dict:
        return dict(zip(value, items, strict=True))
    return items if type(value) is list else value


def _items(value: Any) -> Collection[Any]:
    if type(value) is dict:
        return value.values()
    return value if type(value) in (list, tuple) else ()
