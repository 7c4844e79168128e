"""What a store's search filter means, as LangGraph's `InMemoryStore` has it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_EQUALITY: Mapping[str, Callable[[Any, Any], bool]] = {"$eq": operator.eq, "$ne": operator.ne}
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def meets(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether an item's value meets a filter: each of its entries, where what is missing counts as None.

    Raises:
        ValueError: the filter has an unknown operator, or orders text that is no number.
        TypeError: it orders what can be no number, such as a list.
    """
    return all(_fits(value.get(name), each) for name, each in wanted.items())


def _fits(value: Any, wanted: Any) -> bool:
    match wanted:
        case dict() if any(name.startswith("$") for name in wanted):
            return all(_holds(value, name, operand) for name, operand in wanted.items())
        case dict():
            return isinstance(value, dict) and meets(value, wanted)
        case list() | tuple():
            return _fit_each(value, wanted)
        case _:
            return bool(value == wanted)


def _fit_each(values: Any, wanted: Sequence[Any]) -> bool:
    if not isinstance(values, list | tuple) or len(values) != len(wanted):
        return False
    return all(_fits(value, each) for value, each in zip(values, wanted, strict=True))


def _holds(value: Any, name: str, operand: Any) -> bool:
    if name in _EQUALITY:
        return bool(_EQUALITY[name](value, operand))
    if name not in _ORDER:
        raise ValueError(f"filter operator {name!r} is unknown; there are {', '.join([*_EQUALITY, *_ORDER])}")
    # LangGraph's own fails here when an item lacks the value, and with it the whole search.
    return value is not None and _ORDER[name](float(value), float(operand))
