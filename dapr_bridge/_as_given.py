"""What LangGraph's serializer loses of what a caller gives, and LangGraph looks at, who has the caller's own object.

`("user", "hi")` is one message, and `["user", "hi"]` are two. A field that was left out of a pydantic model leaves its
channel alone, and one that was given as None does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.types import Command
from pydantic import BaseModel

from dapr_bridge._tuples import tuples_in, with_tuples


def losses_of(value: Any) -> dict[str, Any]:
    """Return, as JSON, what `made_good` needs; nothing when nothing is lost."""
    tuples = [list(path) for path in tuples_in(value)]
    left_out = _left_out(_model_in(value))
    return {**({"tuples": tuples} if tuples else {}), **({"left_out": left_out} if left_out else {})}


def made_good(value: Any, lost: Mapping[str, Any]) -> Any:
    """Return a value that the serializer has rebuilt as it was given."""
    whole = with_tuples(value, frozenset(map(tuple, lost.get("tuples", ()))))
    model = _model_in(whole)
    if model is not None:
        model.model_fields_set.difference_update(lost.get("left_out", ()))
    return whole


def _model_in(value: Any) -> BaseModel | None:
    given = value.update if isinstance(value, Command) else value
    return given if isinstance(given, BaseModel) else None


def _left_out(model: BaseModel | None) -> list[str]:
    return sorted(type(model).model_fields.keys() - model.model_fields_set) if model is not None else []
