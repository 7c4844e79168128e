"""LangGraph's static context, made ready to travel: as the fields from which a worker rebuilds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from dapr_bridge.errors import CallRefusedError

_MISSING = object()


def plain_context(context: Any) -> Any:
    """Return a context as LangGraph accepts it for its schema: what its class is called with.

    Raises:
        CallRefusedError: a dataclass or pydantic model that its fields do not bring back equal.
    """
    if isinstance(context, type) or not (dataclasses.is_dataclass(context) or isinstance(context, BaseModel)):
        return context
    reasons: list[str] = []
    for given in _arguments(context):
        reason = _lost(context, given)
        if reason is None:
            return dict(given)
        reasons.append(reason)
    name = type(context).__name__
    raise CallRefusedError(
        f"the context {name} would not come back equal: {reasons[0]}. It travels as its fields, and the worker calls "
        f"{name}(**fields): pass a dict of what it is to be called with, or change the class"
    )


def _arguments(context: Any) -> Iterator[Mapping[str, Any]]:
    """What its class may be called with to make it again, the likeliest first."""
    if not isinstance(context, BaseModel):
        yield {each.name: getattr(context, each.name) for each in dataclasses.fields(context) if each.init}
        return
    fields = {name: getattr(context, name) for name in type(context).model_fields}
    extra = context.model_extra or {}
    yield {_alias(name, field): fields[name] for name, field in type(context).model_fields.items()} | extra
    # Where aliases have to be left out (`validate_by_alias=False`), or are paths into other data.
    yield fields | extra


def _alias(name: str, field: FieldInfo) -> str:
    match field.validation_alias:
        case str(alias):
            return alias
        case AliasChoices(choices=choices):
            return next((each for each in choices if isinstance(each, str)), name)
        case _:
            return name


def _lost(context: Any, given: Mapping[str, Any]) -> str | None:
    """Say what of a context is lost when it is made again, or None."""
    try:
        again = type(context)(**given)
        held, made = _contents(context), _contents(again)
        changed = [name for name in held if not _is_equal(held[name], made.get(name, _MISSING))]
    except (TypeError, ValueError) as error:
        return str(error)
    return f"{changed[0]!r} would be another" if changed else None


def _is_equal(value: Any, other: Any) -> bool:
    return value is other or bool(value == other)


def _contents(context: Any) -> dict[str, Any]:
    """What makes two contexts of a class equal, by name."""
    if isinstance(context, BaseModel):
        fields = {name: getattr(context, name) for name in type(context).model_fields}
        # What a factory makes is made anew with the model, a lock for example.
        kept = {name for name, each in type(context).__private_attributes__.items() if each.default_factory is None}
        private = {name: each for name, each in (context.__pydantic_private__ or {}).items() if name in kept}
        return fields | (context.model_extra or {}) | private
    compared = [each.name for each in dataclasses.fields(context) if each.compare]
    return {name: getattr(context, name, _MISSING) for name in compared}
