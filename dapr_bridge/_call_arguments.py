"""What a caller hands to `DurableGraph`, made ready to travel, or refused by name."""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from dapr_bridge._payloads import is_plain
from dapr_bridge._wire import IfBusy
from dapr_bridge.errors import CallRefusedError

_TRAVELS = ("configurable", "tags", "metadata", "recursion_limit", "run_name", "max_concurrency")
_STAYS = frozenset({"callbacks", "run_id"})
# What LangGraph itself puts there, for a graph that runs inside of another.
_INTERNAL = "__pregel_"

_RUN_ID = re.compile(r"[^/\\#?|]+")

_REASONS: Mapping[str, str] = {
    "print_mode": "the worker's console is not this one: stream the same modes and print them here",
    "debug": "the worker's console is not this one: stream the mode 'debug' and print it here",
    "checkpoint_during": "it is LangGraph's older name for `durability`, which is always 'sync' here",
}


class LangGraphOptions(TypedDict, total=False):
    """The options of LangGraph's calls that travel as they are."""

    output_keys: str | Sequence[str] | None
    interrupt_before: str | Sequence[str] | None
    interrupt_after: str | Sequence[str] | None


def wire_options(options: LangGraphOptions, *, if_busy: IfBusy) -> dict[str, Any]:
    """Return what `RunRequest.options` holds."""
    given = {
        name: each if isinstance(each, str) else list(cast("Sequence[str]", each))
        for name, each in options.items()
        if each is not None
    }
    return given if if_busy == "raise" else {**given, "if_busy": if_busy}


def wire_config(config: RunnableConfig, thread_id: str) -> dict[str, Any]:
    """Return what travels of a config.

    Callbacks and the tracer's run id stay with their process (see `_callbacks`).

    Raises:
        CallRefusedError: something in it cannot travel.
    """
    kept: dict[str, Any] = {name: each for name, each in config.items() if name in _TRAVELS and each is not None}
    kept["configurable"] = {
        name: each for name, each in config.get("configurable", {}).items() if not name.startswith(_INTERNAL)
    } | {"thread_id": thread_id}
    for section in ("configurable", "metadata"):
        for name, each in (kept.get(section) or {}).items():
            if not is_plain(each):
                raise CallRefusedError(
                    f"config[{section!r}][{name!r}] is a {type(each).__name__}, which cannot travel as JSON: pass an "
                    "id and look it up in the node, or pass it as `context`"
                )
    return kept


def refuse_unknown(config: Mapping[str, Any]) -> None:
    """Refuse what is no part of LangChain's config, and would be lost when configs are merged.

    Raises:
        CallRefusedError: the message names the first.
    """
    for name in config:
        if name not in _TRAVELS and name not in _STAYS:
            raise CallRefusedError(f"config[{name!r}] is unknown; it would be lost: leave it out")


def thread_of(config: RunnableConfig) -> str:
    """Return the thread that a config names; without one, a new thread."""
    thread_id = config.get("configurable", {}).get("thread_id")
    return str(uuid.uuid4()) if thread_id is None else str(thread_id)


def checked_run_id(run_id: str) -> str:
    """Return a run's name, when a workflow may be called so.

    Raises:
        CallRefusedError: it may not.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise CallRefusedError(f"run id {run_id!r}: Dapr's workflows take no '/', '\\', '#', '?' and '|' in their ids")
    return run_id


def plain_context(context: Any) -> Any:
    """Return a context as LangGraph accepts it for its schema: fields by name."""
    if dataclasses.is_dataclass(context) and not isinstance(context, type):
        return {each.name: getattr(context, each.name) for each in dataclasses.fields(context)}
    if isinstance(context, BaseModel):
        return {name: getattr(context, name) for name in type(context).model_fields}
    return context


def refuse_others(others: Mapping[str, Any]) -> None:
    """Refuse the arguments that no durable run can honour; those that ask for nothing pass.

    Raises:
        CallRefusedError: the message names the first.
    """
    for name, given in others.items():
        if name == "control":
            # See `_draining`.
            continue
        if name == "durability" and given in (None, "sync", "async"):
            # Each superstep is saved before the next one begins, which is the strictest of LangGraph's choices.
            continue
        if name == "durability":
            raise CallRefusedError(f"durability={given!r}: a durable run saves each superstep; leave it out")
        if name not in _REASONS:
            raise CallRefusedError(f"argument {name!r} is unknown to DurableGraph; it would be lost: leave it out")
        if given:
            raise CallRefusedError(f"{name}={given!r}: {_REASONS[name]}")
