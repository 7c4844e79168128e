"""Whether a call has its thread still: asked before something of it is saved, and often enough that nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dapr_bridge._thread_claim import RunCall, is_at_work
from dapr_bridge.errors import ThreadLostError
from dapr_bridge.saver.effects import Awaited, SharedSteps, Steps
from dapr_bridge.saver.keys import cancel_key, claim_key, drain_key
from dapr_bridge.saver.store import Document, StateStore

TRUSTED_SECONDS = 0.5
"""For how long a worker trusts what it has seen of its thread; then it looks before it saves something."""

CANCELLED = "it was cancelled"
_NOT_ITS_OWN, _OVER = "its thread is no longer its own", "this attempt at it has ended"

_MOST_LOOKS, _PAUSE_SECONDS = 1000, 0.005


def keys_of(call: RunCall) -> tuple[str, ...]:
    """Return the keys of what says whether a call goes on, is to be drained, or to be cancelled."""
    return cancel_key(call.run_id), drain_key(call.run_id), claim_key(call.thread_id)


@dataclass(frozen=True)
class Look:
    """What the documents of `keys_of` a call say, and when they were asked for, by `time.monotonic`."""

    asked_at: float
    found: Mapping[str, Document]

    def shows_at_work(self, call: RunCall) -> bool:
        """Whether the call has its thread."""
        return is_at_work(self.found.get(claim_key(call.thread_id)), call)

    def shows_cancelled(self, call: RunCall) -> bool:
        """Whether somebody wishes that its run be cancelled."""
        return cancel_key(call.run_id) in self.found


class Looks:
    """What the claims of threads say, read once for all who want to know at about the same time."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._reads: SharedSteps[Look] = SharedSteps()
        self._last: OrderedDict[str, Look] = OrderedDict()

    def look(self, call: RunCall) -> Steps[Look]:
        """Return what is said that a call wants to know, and when that was asked for."""
        name = "\n".join(keys_of(call))
        last = self._last.get(name)
        if last and time.monotonic() - last.asked_at < TRUSTED_SECONDS:
            # What forbids may be over: the run may have been called again since.
            may_save = last.shows_at_work(call) and not last.shows_cancelled(call)
            if may_save:
                return last
        return (yield from self._reads.take(name, lambda: self._read(name, call)))

    def _read(self, name: str, call: RunCall) -> Steps[Look]:
        asked_at = time.monotonic()
        look = Look(asked_at, (yield from self._store.read(keys_of(call))))
        self._last[name] = look
        while len(self._last) > _MOST_LOOKS:
            self._last.popitem(last=False)
        return look


@dataclass(eq=False)
class Possession:
    """Whether a call has its thread, as far as this worker knows; a `Holder`.

    Attributes:
        looks: what the store says.
        call: the call.
        seen_at: when it was asked for, by `time.monotonic`, that has been found last.
        refusal: why nothing more may be saved; empty as long as it may.
    """

    looks: Looks
    call: RunCall
    seen_at: float
    refusal: str = ""
    _under_way: set[Awaited] = field(default_factory=set[Awaited])

    def still_own(self) -> Steps[None]:
        """Look, unless somebody has done so just now.

        Raises:
            ThreadLostError: the call has its thread no longer, or is to be cancelled.
        """
        if not self.refusal and time.monotonic() - self.seen_at >= TRUSTED_SECONDS:
            look = yield from self.looks.look(self.call)
            self.learn(look)
            if look.shows_cancelled(self.call):
                self.refusal = self.refusal or CANCELLED
        if self.refusal:
            raise ThreadLostError(f"run {self.call.run_id!r}: {self.refusal}")

    def sent(self, call: Awaited) -> None:
        """Take note of a request on its way."""
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)

    def learn(self, look: Look) -> None:
        """Take in what the store says; whoever cancels a run waits until nobody trusts an earlier look any more."""
        if not look.shows_at_work(self.call):
            self.refusal = self.refusal or _NOT_ITS_OWN
        elif not look.shows_cancelled(self.call):
            self.seen_at = look.asked_at

    async def end(self) -> None:
        """Save nothing more, and wait until nothing is on its way."""
        self.refusal = self.refusal or _OVER
        while self._under_way:  # noqa: ASYNC110 - threads of gRPC's empty it
            await asyncio.sleep(_PAUSE_SECONDS)
