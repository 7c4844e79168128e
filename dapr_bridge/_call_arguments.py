"""What a caller hands to `DurableGraph`, made ready to travel, or refused by name."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast, get_args

from langchain_core.runnables import RunnableConfig

from dapr_bridge._payloads import is_plain
from dapr_bridge._wire import IfBusy
from dapr_bridge.errors import CallRefusedError


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What a part of a config has to be."""

    called: str
    has: Callable[[Any], bool]


def _are_strings(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(each, str) for each in cast("list[object]", given))


_SECTION = _Kind(called="a dict", has=lambda given: isinstance(given, Mapping))
_NUMBER = _Kind(called="a whole number", has=lambda given: isinstance(given, int))

_KINDS: Mapping[str, _Kind] = {
    "configurable": _SECTION,
    "tags": _Kind(called="a list of strings", has=_are_strings),
    "metadata": _SECTION,
    "recursion_limit": _NUMBER,
    "run_name": _Kind(called="a string", has=lambda given: isinstance(given, str)),
    "max_concurrency": _NUMBER,
}
_TRAVELS = frozenset(_KINDS)
_STAYS = frozenset({"callbacks", "run_id"})
# What LangGraph itself puts there, for a graph that runs inside of another.
_INTERNAL = "__pregel_"

# Of the threads of runs that have a name and no thread.
_THREADS = uuid.UUID("0c8a0a44-7f0e-4b59-9a8c-2f6f0d4c8f53")

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
    kept = _travelling(config)
    kept["configurable"] = {
        name: each for name, each in config.get("configurable", {}).items() if not name.startswith(_INTERNAL)
    } | {"thread_id": thread_id}
    _refuse_objects(kept)
    return kept


def workflow_config(config: Mapping[str, Any], thread_id: str) -> dict[str, Any]:
    """Return what travels of the config of a workflow's call.

    Raises:
        CallRefusedError: something in it cannot travel, or contradicts the call's thread.
    """
    check_config(config)
    for name in ("callbacks", "run_id"):
        if config.get(name):
            raise CallRefusedError(
                f"config[{name!r}]: a workflow is replayed in any process, none of which it could stay in: leave it out"
            )
    kept = _travelling(config)
    named = kept.get("configurable", {}).get("thread_id")
    if named is not None and str(named) != thread_id:
        raise CallRefusedError(f"config names thread {named!r}, and thread_id={thread_id!r} another: give one of them")
    _refuse_objects(kept)
    return kept


def check_config(config: Mapping[str, Any]) -> None:
    """Refuse what is no part of LangChain's config, or of another kind: it would be lost, or not understood.

    Raises:
        CallRefusedError: the message names the first.
    """
    for name, each in config.items():
        if name not in _TRAVELS and name not in _STAYS:
            raise CallRefusedError(f"config[{name!r}] is unknown; it would be lost: leave it out")
        if name in _KINDS and each is not None and not _KINDS[name].has(each):
            raise CallRefusedError(f"config[{name!r}] is {each!r}: pass {_KINDS[name].called}")


def _travelling(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in config.items() if name in _TRAVELS and each is not None}


def _refuse_objects(kept: Mapping[str, Any]) -> None:
    for section in ("configurable", "metadata"):
        for name, each in kept.get(section, {}).items():
            if not is_plain(each):
                raise CallRefusedError(
                    f"config[{section!r}][{name!r}] is a {type(each).__name__}, which cannot travel as JSON: pass an "
                    "id and look it up in the node, or pass it as `context`"
                )


def thread_of(config: RunnableConfig, *, run_id: str | None) -> str:
    """Return the thread that a config names; without one a new thread, of a named run always the same."""
    thread_id = config.get("configurable", {}).get("thread_id")
    if thread_id is not None:
        return str(thread_id)
    return str(uuid.uuid5(_THREADS, run_id) if run_id else uuid.uuid4())


def checked_run_id(run_id: str) -> str:
    """Return a run's name, when a workflow may be called so.

    Raises:
        CallRefusedError: it may not.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise CallRefusedError(f"run id {run_id!r}: Dapr's workflows take no '/', '\\', '#', '?' and '|' in their ids")
    return run_id


def checked_if_busy(given: IfBusy) -> IfBusy:
    """Return what a run is to do while another one has its thread.

    Raises:
        CallRefusedError: it can do no such thing.
    """
    if given not in get_args(IfBusy):
        raise CallRefusedError(f"if_busy={given!r} is unknown; there are 'raise' and 'wait'")
    return given


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
