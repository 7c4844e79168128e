"""A run's turn on its thread: claimed before its work, watched during it, released after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from langgraph.runtime import RunControl

from dapr_bridge._cancellation import AwaitedEvents, CancelMarks, RunWatch
from dapr_bridge._draining import DrainMarks
from dapr_bridge._possession import TRUSTED_SECONDS
from dapr_bridge._run_ends import NOT_OF_THE_GRAPH
from dapr_bridge._thread_claim import Busy, Cancelled, Claimed, Ended, Other, RunCall, ThreadClaims, Verdict
from dapr_bridge._wire import ONE_RUN, IfBusy, RunOutcome, refused
from dapr_bridge.errors import RunCancelledError
from dapr_bridge.saver.sidecar import Holder
from dapr_bridge.saver.store import StateStore

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

# A worker that was stopped for so long may have been taken for dead meanwhile, and its run have gone on elsewhere.
_LONG_FOR_A_CLAIM, _MOST_CLAIMS = 0.5, 5

# A call of an earlier turn that Dapr delivers once more has the thread only until it finds that its run has ended.
_PATIENCE_WITH_OWN = 5.0

T = TypeVar("T")

Check = Callable[[str], Awaitable[RunOutcome | None]]
"""Tells why a run cannot go on with this worker's graph, or None; is handed the fingerprint of another one before."""


class RunTurns:
    """Takes turns on threads, for one worker."""

    def __init__(self, store: StateStore, is_live: Callable[[str], Awaitable[bool]]) -> None:
        self._claims = ThreadClaims(store, is_live)
        self._marks = CancelMarks(store)
        self._drains = DrainMarks(store)
        self.awaited = AwaitedEvents(store)
        self._watch = RunWatch(store)

    async def take(
        self,
        call: RunCall,
        work: Callable[[Claimed], Awaitable[RunOutcome]],
        *,
        if_busy: IfBusy = "raise",
        check: Check | None = None,
        control: RunControl | None = None,
    ) -> RunOutcome:
        """Do a run's work in its turn; `work` is handed what the claim has found.

        A state store that is away leaves the claim as it is: the run is not over.

        Args:
            call: the run's call.
            work: the work.
            if_busy: what to do while another run has the thread.
            check: tells why the run cannot go on.
            control: what the work obeys; drained when somebody wishes that of the run.
        """
        control = control or RunControl()
        verdict = await self._claim(call, control, if_busy=if_busy)
        if isinstance(verdict, Cancelled) and verdict.is_held:
            # A worker that was taken for dead may be at work. Before it saves anything after this, it looks.
            await asyncio.sleep(TRUSTED_SECONDS)
            verdict = await self._claim(call, control, if_busy=if_busy)
        match verdict:
            case Ended(outcome=outcome, goes_on=goes_on):
                if not goes_on:
                    # Whoever has ended it may have died before; a later call of the run would be drained at once.
                    await self._drains.remove(call.run_id, control)
                return outcome
            case Busy(run_id=holder):
                return RunOutcome(status="busy", holder=holder)
            case Other():
                return refused(f"run {call.run_id!r} is going on with another input; {ONE_RUN}")
            case Cancelled():
                outcome = RunOutcome(status="cancelled")
            case Claimed() as claimed:
                outcome = await self._work(call, control, claimed, partial(self._checked, call, work, check))
        if outcome.status == "planned":
            # The run is not over: its tasks come next, and its thread stays its own.
            return outcome
        await self._claims.release(call, outcome)
        if outcome.status == "cancelled":
            await self._marks.remove(call.run_id)
        await self._drains.remove(call.run_id, control)
        return outcome

    async def cancel(self, call: RunCall) -> bool:
        """End a run that waits for an event, when somebody wishes that it be cancelled; tells whether somebody does."""
        is_cancelled = await self._claims.cancel(call)
        if is_cancelled:
            await self.awaited.forget(call.run_id)
            await self._marks.remove(call.run_id)
        return is_cancelled

    async def watch(
        self, call: RunCall, control: RunControl, work: Callable[[Holder], Awaitable[T]], *, may_stop: bool = False
    ) -> T | None:
        """Do a part of a run whose turn it is; returns None when the run was stopped meanwhile.

        What the part has asked of its control is for the run as a whole.

        Args:
            call: the run's call.
            control: what the part obeys.
            work: the part; is handed what is asked before it saves something.
            may_stop: whether it may stop on its way; it may be delivered when the run was to be drained long ago.
        """
        if may_stop:
            await self._drains.tell(call.run_id, control)
        try:
            done = await self._watch.guard(call, control, work)
        except RunCancelledError:
            return None
        await self._drains.note(call.run_id, control)
        return done

    async def _claim(self, call: RunCall, control: RunControl, *, if_busy: IfBusy) -> Verdict:
        pause, clock = _FIRST_PAUSE, asyncio.get_running_loop().time
        give_up_at = clock() + _PATIENCE_WITH_OWN
        while True:
            verdict = await self._claim_now(call, control)
            if not isinstance(verdict, Busy):
                return verdict
            if if_busy == "raise" and not (verdict.is_own and clock() < give_up_at):
                return verdict
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _claim_now(self, call: RunCall, control: RunControl) -> Verdict:
        """Claim a thread, and once more when so long has passed that the verdict may be out of date."""
        clock = asyncio.get_running_loop().time
        for _ in range(_MOST_CLAIMS - 1):
            began = clock()
            verdict = await self._claims.claim(call, control)
            if clock() - began < _LONG_FOR_A_CLAIM:
                return verdict
        return await self._claims.claim(call, control)

    async def _checked(
        self,
        call: RunCall,
        work: Callable[[Claimed], Awaitable[RunOutcome]],
        check: Check | None,
        claimed: Claimed,
    ) -> RunOutcome:
        refusal = await check(claimed.changed_from) if check else None
        if refusal is not None:
            return refusal
        if claimed.changed_from:
            await self._claims.note_shape(call)
        return await work(claimed)

    async def _work(
        self,
        call: RunCall,
        control: RunControl,
        claimed: Claimed,
        work: Callable[[Claimed], Awaitable[RunOutcome]],
    ) -> RunOutcome:
        try:
            return await self._watch.guard(
                call,
                control,
                lambda holder: work(replace(claimed, holder=holder)),
                seen_at=claimed.decided_at,
            )
        except RunCancelledError:
            verdict = await self._claims.claim(call)
            match verdict:
                case Ended(outcome=outcome):
                    # Another delivery of the same call, in another process, has come to the end first.
                    return outcome
                case Claimed(follows_own=True):
                    # A worker that was late with a call whose result the workflow has long had has found that the run
                    # asks something, and taken that for its end.
                    return await self._work(call, control, verdict, work)
                case Cancelled(is_held=True) if claimed.attempt > 1:
                    # So may the worker of an earlier attempt.
                    await asyncio.sleep(TRUSTED_SECONDS)
                    return RunOutcome(status="cancelled")
                case _:
                    return RunOutcome(status="cancelled")
        except NOT_OF_THE_GRAPH:
            # The run is not over. Another delivery of it may be at work: the thread stays the run's own.
            raise
        except Exception:
            # The activity fails, with nothing to say at a repetition; its workflow may live on and call again.
            await self._claims.release(call)
            raise
