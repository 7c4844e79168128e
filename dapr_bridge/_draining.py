"""Draining a run that some worker has: the wish of its caller's `RunControl`, as a mark in the state store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from langgraph.runtime import RunControl, get_runtime

from dapr_bridge.errors import CallRefusedError
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import drain_key
from dapr_bridge.saver.store import Document, StateStore, Write

T = TypeVar("T")

_LOOK_SECONDS = 0.02


class DrainMarks:
    """The wishes that runs be drained, with their reasons; removed when the run has ended."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def note(self, run_id: str, control: RunControl) -> None:
        """Note that a run is to be drained, if its control says so."""
        if control.drain_reason is not None:
            await arun(self._store.write([Write(drain_key(run_id), json.dumps(control.drain_reason).encode())]))

    async def tell(self, run_id: str, control: RunControl) -> None:
        """Tell a control what is wished of its run."""
        heed(control, run_id, await arun(self._store.read([drain_key(run_id)])))

    async def exists(self, run_id: str) -> bool:
        """Tell whether such a wish still stands."""
        return bool(await arun(self._store.read([drain_key(run_id)])))

    async def remove(self, run_id: str, control: RunControl) -> None:
        """Take the wish back, if there was one."""
        if control.drain_requested:
            await arun(self._store.delete([drain_key(run_id)]))


def heed(control: RunControl, run_id: str, found: Mapping[str, Document]) -> None:
    """Drain a worker's control when the run's mark is among the documents that were found."""
    mark = found.get(drain_key(run_id))
    if mark is not None and not control.drain_requested:
        control.request_drain(json.loads(mark.data))


async def passing_on(control: RunControl | None, marks: DrainMarks, run_id: str, end: Coroutine[Any, Any, T]) -> T:
    """Wait for a run's end, and pass on the wish of its caller's control as soon as it is uttered."""
    if control is None:
        return await end
    ended = asyncio.ensure_future(end)
    try:
        while not ended.done() and not control.drain_requested:
            await asyncio.wait([ended], timeout=_LOOK_SECONDS)
        if not ended.done():
            await marks.note(run_id, control)
        outcome = await ended
    finally:
        ended.cancel()
    await marks.remove(run_id, control)
    return outcome


def control_of(others: Mapping[str, Any], *, is_nested: bool) -> RunControl | None:
    """Return the control of a call; within a task of another graph by default that graph's, as in LangGraph.

    Raises:
        CallRefusedError: it is something else.
    """
    given = others.get("control")
    if given is None:
        return get_runtime().control if is_nested else None
    if not isinstance(given, RunControl):
        raise CallRefusedError(f"control={given!r}: pass a RunControl")
    return given
