"""Cancelling a run that some worker has: a mark in the state store, and a watch in the worker."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from langgraph.runtime import RunControl

from dapr_bridge._draining import heed
from dapr_bridge._thread_claim import RunCall, is_at_work
from dapr_bridge.errors import RunCancelledError, StateStoreError, ThreadLostError
from dapr_bridge.saver.effects import Steps, arun
from dapr_bridge.saver.keys import awaited_key, cancel_key, claim_key, drain_key
from dapr_bridge.saver.store import StateStore, Write
from dapr_bridge.saver.writing import StillOwn

logger = logging.getLogger(__name__)

T = TypeVar("T")

# One bulk read for all runs of a worker, and only while there are any.
_LOOK_SECONDS = 0.25

TRUSTED_SECONDS = 2 * _LOOK_SECONDS
"""For how long a worker trusts what it has seen of its thread; then it looks before it saves something."""

# What a stopped run's nodes clean up, and what is on its way to the store, is waited for, and no longer.
_CLEANING_UP_SECONDS = 5.0

_NOT_ITS_OWN = "its thread is no longer its own"


class CancelMarks:
    """The wishes that runs be cancelled; a worker that has carried one out removes it."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def put(self, run_id: str) -> None:
        """Wish that a run be cancelled."""
        await arun(self._store.write([Write(cancel_key(run_id), b"cancel")]))

    async def exists(self, run_id: str) -> bool:
        """Tell whether the wish still waits to be carried out."""
        return bool(await arun(self._store.read([cancel_key(run_id)])))

    async def remove(self, run_id: str) -> None:
        """Take the wish back, or note that it was carried out."""
        await arun(self._store.delete([cancel_key(run_id)]))


@dataclass(frozen=True, kw_only=True)
class AwaitedEvent:
    """The event by which a workflow waits for answers to what a run has asked."""

    instance_id: str
    event: str


class AwaitedEvents:
    """What runs wait for, for whoever wants to wake the workflows that they are part of."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def note(self, run_id: str, awaited: AwaitedEvent) -> None:
        """Note what a run waits for."""
        await arun(self._store.write([Write(awaited_key(run_id), json.dumps(asdict(awaited)).encode())]))

    async def find(self, run_id: str) -> AwaitedEvent | None:
        """Return what a run waits for, or None."""
        key = awaited_key(run_id)
        found = await arun(self._store.read([key]))
        return AwaitedEvent(**json.loads(found[key].data)) if key in found else None

    async def forget(self, run_id: str) -> None:
        """Note that a run waits no more."""
        await arun(self._store.delete([awaited_key(run_id)]))


@dataclass(eq=False)
class _Possession:
    """Whether a call has its thread, as far as this worker knows.

    Attributes:
        store: where the claims are.
        call: the call.
        seen_at: when it was asked for that has been found last, by `time.monotonic`.
        is_over: whether the attempt has ended, and lets go of the thread.
    """

    store: StateStore
    call: RunCall
    seen_at: float
    is_over: bool = False

    def still_own(self) -> Steps[None]:
        """Look, unless somebody has done so just now.

        Raises:
            ThreadLostError: the call has its thread no longer, or is to be cancelled.
        """
        asked_at = time.monotonic()
        if self.is_over:
            raise ThreadLostError(f"run {self.call.run_id!r}: this attempt at it was stopped")
        if asked_at - self.seen_at < TRUSTED_SECONDS:
            return
        claim, cancel = claim_key(self.call.thread_id), cancel_key(self.call.run_id)
        found = yield from self.store.read([claim, cancel])
        if cancel in found or not is_at_work(found.get(claim), self.call):
            raise ThreadLostError(f"run {self.call.run_id!r}: {_NOT_ITS_OWN}")
        self.seen_at = asked_at


@dataclass(eq=False)
class _Watched:
    possession: _Possession
    task: asyncio.Future[Any]
    control: RunControl
    stopped_because: str = ""
    stopped_at: float = -_CLEANING_UP_SECONDS

    @property
    def call(self) -> RunCall:
        return self.possession.call


class RunWatch:
    """Stops the runs of this worker that are cancelled, and those whose thread another run has taken over.

    It also tells the controls of those that are to be drained.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._watched: set[_Watched] = set()
        self._looking: asyncio.Task[None] | None = None

    async def guard(
        self,
        call: RunCall,
        control: RunControl,
        body: Callable[[StillOwn], Awaitable[T]],
        *,
        seen_at: float | None = None,
    ) -> T:
        """Do a run's work, which obeys its control.

        Args:
            call: the run's call.
            control: what is told when the run is to be drained.
            body: the work; is handed what it has to ask before it saves something.
            seen_at: when it was asked for, by `time.monotonic`, that the call has its thread; now when not known.

        Raises:
            RunCancelledError: it was stopped on the way.
        """
        possession = _Possession(self._store, call, time.monotonic() if seen_at is None else seen_at)
        task: asyncio.Future[T] = asyncio.ensure_future(body(possession.still_own))
        watched = _Watched(possession, task, control)
        self._watched.add(watched)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            return await task
        except ThreadLostError as error:
            raise RunCancelledError(str(error)) from None
        except asyncio.CancelledError:
            if not watched.stopped_because:
                raise
            raise RunCancelledError(f"run {call.run_id!r}: {watched.stopped_because}") from None
        finally:
            possession.is_over = True
            self._watched.discard(watched)
            if not self._watched and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._tell_some(list(self._watched))
            except StateStoreError as error:
                logger.warning("cannot see whether runs are cancelled or drained: %s", error)

    async def _tell_some(self, watched: list[_Watched]) -> None:
        keys, asked_at = [key for each in watched for key in _keys(each.call)], time.monotonic()
        found = await arun(self._store.read(list(dict.fromkeys(keys))))
        for each in watched:
            heed(each.control, each.call.run_id, found)
            if cancel_key(each.call.run_id) in found:
                self._stop(each, "it was cancelled")
            elif not is_at_work(found.get(claim_key(each.call.thread_id)), each.call):
                self._stop(each, _NOT_ITS_OWN)
            else:
                each.possession.seen_at = asked_at

    def _stop(self, watched: _Watched, reason: str) -> None:
        now = time.monotonic()
        if watched.task.done() or now - watched.stopped_at < _CLEANING_UP_SECONDS:
            return
        logger.info("run is stopped: %s", reason, extra={"run_id": watched.call.run_id})
        watched.stopped_because, watched.stopped_at = reason, now
        watched.task.cancel()


def _keys(call: RunCall) -> tuple[str, ...]:
    return cancel_key(call.run_id), drain_key(call.run_id), claim_key(call.thread_id)
