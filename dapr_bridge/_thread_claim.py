"""One live run per thread, whichever process has it: a document per thread, guarded by its ETag.

The document also keeps how the last runs ended, so that an activity that is delivered once more, its thread long free
or in the hands of the next run, answers as it did before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.runtime import RunControl

from dapr_bridge._draining import heed
from dapr_bridge._wire import RunOutcome
from dapr_bridge.saver.cache import Expectations
from dapr_bridge.saver.effects import Steps, arun
from dapr_bridge.saver.keys import cancel_key, claim_key, drain_key
from dapr_bridge.saver.sidecar import Holder
from dapr_bridge.saver.store import ABSENT, Document, ReadAhead, StateStore, Write

_MOST_ENDED = 4
_RUN, _INPUT = "of_run", "of_input"
_MOST_SENT_FOR = 10_000


@dataclass(frozen=True, kw_only=True)
class RunCall:
    """One call of a run's activity, the same at each delivery but for the worker's graph.

    Attributes:
        thread_id: LangGraph thread.
        run_id: the run; several calls may be one run.
        call_id: tells calls of one run apart.
        instance_id: the workflow that made the call; empty when its state cannot be asked for here.
        shape: fingerprint of the graph that this worker has.
        given: digest of the input that the call brings; empty when it brings none.
        given_as_sent: the same in the order in which its sets were sent, which earlier releases have noted.
        trace: W3C `traceparent` of the activity that makes this attempt at it, or empty.
    """

    thread_id: str
    run_id: str
    call_id: str
    instance_id: str
    shape: str = ""
    given: str = ""
    given_as_sent: str = ""
    trace: str = ""

    def brings_other_than(self, known: str) -> bool:
        """Tell whether the call brings another input than the one of a digest."""
        return bool(known and self.given) and known not in (self.given, self.given_as_sent)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The thread is the caller's.

    Attributes:
        attempt: counts the times that its run has begun or gone on.
        changed_from: fingerprint of the graph by which the thread was driven until now, when it is another.
        stood_at: the checkpoints at which earlier calls of the same run have ended.
        is_other: whether one of those has brought another input.
        left_in: trace of the run that has left the thread unfinished, if the last one did.
        tried_in: trace of the attempt before this one.
        follows_own: whether the last end on the thread is that of an earlier call of the same run, and no cancellation.
        decided_at: when the claim was still to be written, by `time.monotonic`.
        holder: is asked, before something is saved, whether the thread is the call's own still.
    """

    attempt: int
    changed_from: str = ""
    stood_at: frozenset[str] = frozenset()
    is_other: bool = False
    left_in: str = ""
    tried_in: str = ""
    follows_own: bool = False
    decided_at: float = field(default_factory=time.monotonic, compare=False)
    holder: Holder | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Other:
    """The call's run goes on with another input than the call brings."""


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Another run has the thread; `is_own` tells whether the workflow of the call has made that one too."""

    run_id: str
    is_own: bool = False


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The very same call has ended, or its run has, with a later one; `goes_on` if the run has its thread again."""

    outcome: RunOutcome
    goes_on: bool = False


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """Somebody wishes that the run be cancelled; `is_held` if it has its thread, so that a worker may be at it."""

    is_held: bool = field(default=False, compare=False)


Verdict = Claimed | Busy | Other | Ended | Cancelled


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """What the document holds.

    The run that has the thread, the digest of its input and the trace of its last attempt (none: empty strings), the
    last ends by call, and the graph by which it was driven.
    """

    run_id: str = ""
    instance_id: str = ""
    attempt: int = 0
    ended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    shape: str = ""
    given: str = ""
    trace: str = ""

    @classmethod
    def from_document(cls, document: Document | None) -> _Claim:
        return cls(**json.loads(document.data)) if document else cls()

    def to_write(self, key: str, document: Document | None) -> Write:
        record = {
            "run_id": self.run_id,
            "instance_id": self.instance_id,
            "attempt": self.attempt,
            "ended": dict(self.ended),
            "shape": self.shape,
            "given": self.given,
            **({"trace": self.trace} if self.trace else {}),
        }
        return Write(key, json.dumps(record).encode(), document.etag if document else ABSENT)

    def taken_by(self, call: RunCall) -> _Claim:
        attempt = self.attempt + 1 if self.run_id == call.run_id else 1
        shape = self.shape or call.shape
        given = call.given or self.input_of(call.run_id)
        return replace(
            self,
            run_id=call.run_id,
            instance_id=call.instance_id,
            attempt=attempt,
            shape=shape,
            given=given,
            trace=call.trace,
        )

    def ended_by(self, call: RunCall, outcome: RunOutcome | None) -> _Claim:
        if self.end_of(call) is not None:
            # Another delivery was faster; a later call of the run may have the thread by now.
            return self
        is_own = self.run_id == call.run_id
        free = replace(self, run_id="", instance_id="", attempt=0, given="", trace="") if is_own else self
        if outcome is None:
            return free
        # A refused call has brought nothing into its run.
        given = self.given if is_own and outcome.status != "refused" else ""
        record = {**outcome.to_json(), _RUN: call.run_id, **({_INPUT: given} if given else {})}
        ended = [*self.ended.items(), (call.call_id, record)]
        return replace(free, ended=dict(ended[-_MOST_ENDED:]))

    def end_of(self, call: RunCall) -> RunOutcome | None:
        """Return how a call ended, or, of one that a worker brings up long after, its run with a later call."""
        for call_id, record in self.ended.items():
            if call_id == call.call_id or (record.get(_RUN) == call.run_id and _is_of_the_past(call, call_id)):
                return RunOutcome.from_json(record)
        return None

    def input_of(self, run_id: str) -> str:
        """Return the digest of the input that a run has, as far as it is known."""
        if self.run_id == run_id:
            return self.given
        known = [record.get(_INPUT) for record in self.ended.values() if record.get(_RUN) == run_id]
        return next((each for each in reversed(known) if each), "")

    def left_in(self) -> str:
        """Return the trace of the run that ended last, if it has not finished."""
        last = list(self.ended.values())[-1:]
        return next((each.get("run_trace", "") for each in last if each["status"] != "finished"), "")

    def ended_last_by_earlier(self, call: RunCall) -> bool:
        """Tell whether the thread's last end is that of an earlier call of the same run, and no cancellation."""
        for call_id, record in list(self.ended.items())[-1:]:
            is_own = record.get(_RUN) == call.run_id and record["status"] != "cancelled"
            return is_own and _is_of_the_past(replace(call, call_id=call_id), call.call_id)
        return False

    def ends_of(self, run_id: str) -> frozenset[str]:
        """Return the checkpoints at which calls of a run have ended."""
        return frozenset(record["checkpoint_id"] for record in self.ended.values() if record.get(_RUN) == run_id)


class ThreadClaims:
    """Claims of threads in one state store.

    Args:
        store: where they are.
        is_live: tells whether a workflow is still going on, by its instance id.
    """

    def __init__(self, store: StateStore, is_live: Callable[[str], Awaitable[bool]]) -> None:
        self._store = store
        self._is_live = is_live
        # Reads of claims that were made, sent for at once, so that a release need not wait for the ETag.
        self._sent_for: Expectations[ReadAhead] = Expectations(_MOST_SENT_FOR)

    async def claim(self, call: RunCall, control: RunControl | None = None) -> Verdict:
        """Take the thread for a run: a free one, the run's own, or one whose run has no live workflow any more.

        Args:
            call: the run's call.
            control: what is told when the run is to be drained.
        """
        dead = ""
        while True:
            verdict, holder = await self._try(call, control or RunControl(), dead=dead)
            is_known_dead = isinstance(verdict, Busy) and holder.instance_id == dead
            if not isinstance(verdict, Busy) or not holder.instance_id or is_known_dead:
                return verdict
            if await self._is_live(holder.instance_id):
                return verdict
            dead = holder.instance_id

    async def release(self, call: RunCall, outcome: RunOutcome | None = None) -> None:
        """Note how the call ended, and free its thread unless another run has taken it over."""
        key = claim_key(call.thread_id)

        def decide(found: Mapping[str, Document]) -> list[Write]:
            claim = _Claim.from_document(found.get(key))
            after = claim.ended_by(call, outcome)
            return [] if after == claim else [after.to_write(key, found.get(key))]

        def steps() -> Steps[None]:
            sent_for = self._sent_for.take(key)
            expected = (yield from self._store.finish_read(key, sent_for)) if sent_for else None
            yield from self._store.update([key], decide, expected=expected or None)

        await arun(steps())

    async def cancel(self, call: RunCall) -> bool:
        """Note that a run was cancelled that nobody is at work on; tells whether somebody wishes so."""
        key, cancel = claim_key(call.thread_id), cancel_key(call.run_id)
        is_cancelled = False

        def decide(found: Mapping[str, Document]) -> list[Write]:
            nonlocal is_cancelled
            claim = _Claim.from_document(found.get(key))
            # It may have been noted by an earlier delivery of this call.
            is_cancelled = cancel in found or claim.end_of(call) is not None
            after = claim.ended_by(call, RunOutcome(status="cancelled")) if is_cancelled else claim
            return [] if after == claim else [after.to_write(key, found.get(key))]

        await arun(self._store.update([key, cancel], decide))
        return is_cancelled

    async def note_shape(self, call: RunCall) -> None:
        """Note that the run goes on with the graph that this worker has."""
        key = claim_key(call.thread_id)

        def decide(found: Mapping[str, Document]) -> list[Write]:
            claim = _Claim.from_document(found.get(key))
            is_own = claim.run_id == call.run_id
            return [replace(claim, shape=call.shape).to_write(key, found.get(key))] if is_own else []

        await arun(self._store.update([key], decide))
        self._sent_for.put(key, self._store.start_read(key))

    async def _try(self, call: RunCall, control: RunControl, *, dead: str) -> tuple[Verdict, _Claim]:
        key, cancel = claim_key(call.thread_id), cancel_key(call.run_id)
        seen: tuple[Verdict, _Claim] = Cancelled(), _Claim()

        def decide(found: Mapping[str, Document]) -> list[Write]:
            nonlocal seen
            claim = _Claim.from_document(found.get(key))
            verdict = _judge(claim, call, dead=dead, is_cancelled=cancel in found)
            seen = verdict, claim
            heed(control, call.run_id, found)
            return [claim.taken_by(call).to_write(key, found.get(key))] if isinstance(verdict, Claimed) else []

        await arun(self._store.update([key, cancel, drain_key(call.run_id)], decide))
        if isinstance(seen[0], Claimed):
            self._sent_for.put(key, self._store.start_read(key))
        return seen


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Who has a thread, and how its last run has ended.

    Attributes:
        run_id: the run that has it; empty when none does.
        instance_id: the workflow of that run; empty when its state cannot be asked for here.
        last_status: how the last call ended that was let in; empty when none is known.
    """

    run_id: str = ""
    instance_id: str = ""
    last_status: str = ""

    @classmethod
    def from_document(cls, document: Document | None) -> Holding:
        """Read a claim's document."""
        claim = _Claim.from_document(document)
        statuses = [str(record["status"]) for record in claim.ended.values()]
        let_in = [each for each in statuses if each != "refused"]
        return cls(run_id=claim.run_id, instance_id=claim.instance_id, last_status=let_in[-1] if let_in else "")


def is_at_work(document: Document | None, call: RunCall) -> bool:
    """Whether a claim's document says that a call goes on: its run has the thread, and no delivery has ended it."""
    claim = _Claim.from_document(document)
    return claim.run_id == call.run_id and claim.end_of(call) is None


def _judge(claim: _Claim, call: RunCall, *, dead: str, is_cancelled: bool) -> Verdict:
    end = claim.end_of(call)
    if end is not None:
        return Ended(outcome=end, goes_on=claim.run_id == call.run_id)
    if is_cancelled:
        return Cancelled(is_held=claim.run_id == call.run_id)
    is_other = call.brings_other_than(claim.input_of(call.run_id))
    if is_other and claim.run_id == call.run_id:
        return Other()
    is_free = not claim.run_id or (dead != "" and claim.instance_id == dead)
    if is_free or claim.run_id == call.run_id:
        taken = claim.taken_by(call)
        changed_from = "" if taken.shape == call.shape else taken.shape
        stood_at = claim.ends_of(call.run_id)
        return Claimed(
            attempt=taken.attempt,
            changed_from=changed_from,
            stood_at=stood_at,
            is_other=is_other,
            left_in=claim.left_in(),
            tried_in=claim.trace if claim.run_id == call.run_id else "",
            follows_own=claim.ended_last_by_earlier(call),
        )
    return Busy(run_id=claim.run_id, is_own=claim.instance_id == call.instance_id != "")


def _is_of_the_past(call: RunCall, ended_id: str) -> bool:
    """Whether the workflow of a call has made the one that ended after it.

    It numbers the calls of one request; a turn that was lost, and done again, has made its request anew, and later.
    """
    request, _, number = call.call_id.rpartition(":")
    ended_request, _, ended_number = ended_id.rpartition(":")
    if request == ended_request:
        return number.isdecimal() and ended_number.isdecimal() and int(number) < int(ended_number)
    workflow = f"{call.instance_id}:"
    return request.startswith(workflow) and ended_request.startswith(workflow) and request < ended_request
