"""Cancelling a run that some worker has: a mark in the state store, and a watch in the worker."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from langgraph.runtime import RunControl

from dapr_bridge._draining import heed
from dapr_bridge._possession import CANCELLED, Look, Looks, Possession, keys_of
from dapr_bridge._thread_claim import RunCall
from dapr_bridge.errors import RunCancelledError, StateStoreError
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import awaited_key, cancel_key
from dapr_bridge.saver.sidecar import Holder
from dapr_bridge.saver.store import StateStore, Write

logger = logging.getLogger(__name__)

T = TypeVar("T")

# One bulk read for all runs of a worker, and only while there are any.
_LOOK_SECONDS = 0.25

# For so long the nodes of a stopped run may clean up; then they are cancelled once more.
_CLEANING_UP_SECONDS = 5.0


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
class _Watched:
    possession: Possession
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
        self._looks = Looks(store)
        self._watched: set[_Watched] = set()
        self._looking: asyncio.Task[None] | None = None

    async def guard(
        self,
        call: RunCall,
        control: RunControl,
        body: Callable[[Holder], Awaitable[T]],
        *,
        seen_at: float = -math.inf,
    ) -> T:
        """Do a run's work, which obeys its control.

        Args:
            call: the run's call.
            control: what is told when the run is to be drained.
            body: the work; is handed what is asked before it saves something.
            seen_at: when it was asked for, by `time.monotonic`, that the call has its thread.

        Raises:
            RunCancelledError: it was stopped on the way.
        """
        possession = Possession(self._looks, call, seen_at)
        task: asyncio.Future[T] = asyncio.ensure_future(body(possession))
        watched = _Watched(possession, task, control)
        self._watched.add(watched)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            return await self._ended(watched)
        finally:
            self._watched.discard(watched)
            if not self._watched and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _ended(self, watched: _Watched) -> Any:
        """Return what a run's work comes to, unless something of it was refused: then that does not count."""
        task, possession = watched.task, watched.possession
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            # The worker stops: others go on from what is saved by then.
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        stopped_because = watched.stopped_because if task.cancelled() else possession.refusal
        await possession.end()
        if stopped_because:
            error = None if task.cancelled() else task.exception()
            raise RunCancelledError(f"run {watched.call.run_id!r}: {stopped_because}") from error
        return task.result()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._tell_some(list(self._watched))
            except StateStoreError as error:
                logger.warning("cannot see whether runs are cancelled or drained: %s", error)

    async def _tell_some(self, watched: list[_Watched]) -> None:
        keys, asked_at = [key for each in watched for key in keys_of(each.call)], time.monotonic()
        look = Look(asked_at, await arun(self._store.read(list(dict.fromkeys(keys)))))
        for each in watched:
            heed(each.control, each.call.run_id, look.found)
            each.possession.learn(look)
            if look.shows_cancelled(each.call):
                self._stop(each, CANCELLED)
            elif each.possession.refusal:
                self._stop(each, each.possession.refusal)

    def _stop(self, watched: _Watched, reason: str) -> None:
        now = time.monotonic()
        if watched.task.done() or now - watched.stopped_at < _CLEANING_UP_SECONDS:
            return
        logger.info("run is stopped: %s", reason, extra={"run_id": watched.call.run_id})
        watched.stopped_because, watched.stopped_at = reason, now
        watched.task.cancel()
