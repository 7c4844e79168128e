"""Claims on threads, as workers in several processes make them, on real state stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Literal

import pytest
from langgraph.runtime import RunControl

from dapr_bridge import DaprSaver, RunCancelledError, StaleWriterError
from dapr_bridge._cancellation import CancelMarks, RunWatch
from dapr_bridge._draining import DrainMarks
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._thread_claim import Busy, Claimed, Ended, RunCall, ThreadClaims, Verdict
from dapr_bridge._wire import RunOutcome
from dapr_bridge.errors import ThreadLostError
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.sidecar import Holder
from dapr_bridge.testing import Sidecar

pytestmark = pytest.mark.anyio

FINISHED = RunOutcome(status="finished", checkpoint_id="c", output={"json": 1})
ENDS = frozenset({"c"})


@pytest.fixture(params=["sqlite-state", "redis-state"])
def saver(request: pytest.FixtureRequest, stores_sidecar: Sidecar) -> Iterator[DaprSaver]:
    with DaprSaver(request.param, address=stores_sidecar.address) as opened:
        yield opened


async def is_live(_: str) -> bool:
    return True


def endless(is_at_work: asyncio.Event) -> Callable[[Claimed], Awaitable[RunOutcome]]:
    """Work that says that it has begun, and comes to no end."""

    async def work(_: Claimed) -> RunOutcome:
        is_at_work.set()
        await asyncio.Event().wait()
        return FINISHED

    return work


def call(run_id: str, *, thread: str, call_id: str = "") -> RunCall:
    return RunCall(thread_id=thread, run_id=run_id, call_id=call_id or run_id, instance_id=f"of {run_id}")


async def test_of_many_runs_at_once_one_has_the_thread(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)

    verdicts = await asyncio.gather(*(claims.claim(call(f"r{n}", thread="many")) for n in range(8)))

    (winner,) = [f"r{n}" for n, verdict in enumerate(verdicts) if isinstance(verdict, Claimed)]
    assert [each for each in verdicts if not isinstance(each, Claimed)] == [Busy(run_id=winner)] * 7


async def test_a_run_enters_again_and_counts_its_attempts(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)

    assert await claims.claim(call("r", thread="again")) == Claimed(attempt=1)
    assert await claims.claim(call("r", thread="again")) == Claimed(attempt=2)


async def test_a_call_delivered_after_its_end_is_answered_as_before(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)
    first = call("r", thread="after", call_id="first")
    await claims.claim(first)
    await claims.release(first, FINISHED)

    assert await claims.claim(call("other", thread="after")) == Claimed(attempt=1)
    assert await claims.claim(first) == Ended(outcome=FINISHED)
    assert await claims.claim(call("r", thread="after", call_id="second")) == Busy(run_id="other")


async def test_only_a_dead_runs_thread_is_taken_over(saver: DaprSaver) -> None:
    dead: set[str] = set()

    async def lives(instance_id: str) -> bool:
        return instance_id not in dead

    claims = ThreadClaims(saver.store, lives)
    old, new = call("old", thread="over"), call("new", thread="over")
    await claims.claim(old)
    assert await claims.claim(new) == Busy(run_id="old")
    dead.add(old.instance_id)
    assert await claims.claim(new) == Claimed(attempt=1)

    # The old one wakes up late: it frees nothing that is not its own.
    await claims.release(old, FINISHED)
    assert await claims.claim(call("third", thread="over")) == Busy(run_id="new")


class StoppedAfterAClaim(ThreadClaims):
    """The claims of a worker that is stopped (SIGSTOP) when its first one has reached the store."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def claim(self, call: RunCall, control: RunControl | None = None) -> Verdict:
        """Claim, and hear of it long after."""
        verdict = await super().claim(call, control)
        if self.meanwhile:
            others, self.meanwhile = self.meanwhile, None
            await others()
            await asyncio.sleep(0.6)
        return verdict


async def test_a_worker_that_is_stopped_as_it_claims_a_thread_goes_on_with_no_run_that_has_ended(
    saver: DaprSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(_: Claimed) -> RunOutcome:
        return FINISHED

    async def never(_: Claimed) -> RunOutcome:
        pytest.fail("the run has ended")

    there, same = RunTurns(saver.store, is_live), call("r", thread="stopped")
    monkeypatch.setattr("dapr_bridge._run_turns.ThreadClaims", StoppedAfterAClaim)
    monkeypatch.setattr(StoppedAfterAClaim, "meanwhile", lambda _: there.take(same, work))

    assert await RunTurns(saver.store, is_live).take(same, never) == FINISHED


async def test_of_two_deliveries_of_one_call_the_slower_one_answers_as_the_faster(saver: DaprSaver) -> None:
    here, there = RunTurns(saver.store, is_live), RunTurns(saver.store, is_live)
    may_end, is_first, has_begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fast(_: Claimed) -> RunOutcome:
        is_first.set()
        await may_end.wait()
        return FINISHED

    async def slow(claimed: Claimed) -> RunOutcome:
        assert claimed == Claimed(attempt=2)
        has_begun.set()
        await asyncio.Event().wait()
        return RunOutcome(status="failed")

    same = call("r", thread="two")
    first = asyncio.create_task(here.take(same, fast))
    await is_first.wait()
    second = asyncio.create_task(there.take(same, slow))
    await has_begun.wait()
    may_end.set()

    assert await first == FINISHED
    assert await asyncio.wait_for(second, 30) == FINISHED


async def test_a_delivery_that_another_has_overtaken_leaves_their_run_its_thread(saver: DaprSaver) -> None:
    turns, run = RunTurns(saver.store, is_live), call("r", thread="overtaken")

    async def is_overtaken(_: Claimed) -> RunOutcome:
        raise StaleWriterError(thread_id="overtaken", namespace="", parent="a", latest="b")

    with pytest.raises(StaleWriterError):
        await turns.take(run, is_overtaken)

    assert await ThreadClaims(saver.store, is_live).claim(call("other", thread="overtaken")) == Busy(run_id="r")


async def test_a_thread_remembers_the_graph_that_drove_it_until_another_is_noted(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)
    first = replace(call("r", thread="shapes"), shape="one")
    changed = replace(first, shape="two")

    assert await claims.claim(first) == Claimed(attempt=1)
    for attempt in (2, 3):
        assert await claims.claim(changed) == Claimed(attempt=attempt, changed_from="one")
    await claims.note_shape(changed)
    assert await claims.claim(changed) == Claimed(attempt=4)
    await claims.release(changed, FINISHED)
    assert await claims.claim(replace(call("s", thread="shapes"), shape="one")) == Claimed(
        attempt=1, changed_from="two"
    )


async def test_a_call_that_comes_up_long_after_takes_no_thread_for_a_run_that_has_ended(saver: DaprSaver) -> None:
    claims, fan = ThreadClaims(saver.store, is_live), "late"
    early, last = (call("r", thread=fan, call_id=f"w:10:00:{number}") for number in (2, 11))
    asked_anew = call("r", thread=fan, call_id="w:11:00:1")
    for each in (early, last):
        await claims.claim(each)
    await claims.release(last, FINISHED)

    assert await claims.claim(early) == Ended(outcome=FINISHED)
    assert await claims.claim(call("next", thread=fan)) == Claimed(attempt=1)
    await claims.release(call("next", thread=fan), FINISHED)
    assert await claims.claim(asked_anew) == Claimed(attempt=1, stood_at=ENDS)


async def test_the_call_of_a_lost_turn_takes_no_thread_after_that_of_its_repetition(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)
    lost, repeated, later = (
        call("r", thread="lost", call_id=f"of r:2026-11-24T10:00:0{second}:1") for second in (1, 2, 3)
    )
    await claims.claim(repeated)
    await claims.release(repeated, FINISHED)

    assert await claims.claim(lost) == Ended(outcome=FINISHED)
    assert await claims.claim(later) == Claimed(attempt=1, stood_at=ENDS, follows_own=True)


async def test_a_deleted_thread_leaves_no_claim(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)
    await claims.claim(call("r", thread="deleted"))

    await saver.adelete_thread("deleted")

    assert await claims.claim(call("other", thread="deleted")) == Claimed(attempt=1)


async def test_a_run_waits_a_moment_for_another_of_its_own_workflow(saver: DaprSaver) -> None:
    claims, turns = ThreadClaims(saver.store, is_live), RunTurns(saver.store, is_live)
    stray, following = (replace(call(run, thread="own"), instance_id="of both") for run in ("first", "second"))
    await claims.claim(stray)

    async def work(_: Claimed) -> RunOutcome:
        return FINISHED

    waiting = asyncio.create_task(turns.take(following, work))
    assert await turns.take(call("a stranger's", thread="own"), work) == RunOutcome(status="busy", holder="first")
    assert not waiting.done()
    await claims.release(stray, FINISHED)

    assert await waiting == FINISHED


@pytest.mark.parametrize("status", ["interrupted", "cancelled"])
async def test_a_run_whose_thread_a_late_call_of_its_own_has_let_go_goes_on_unless_it_was_cancelled(
    status: Literal["interrupted", "cancelled"], saver: DaprSaver
) -> None:
    claims, turns = ThreadClaims(saver.store, is_live), RunTurns(saver.store, is_live)
    late, current = (call("r", thread=f"let-go-{status}", call_id=f"of r:10:{number}") for number in (1, 2))
    is_at_work, attempts = asyncio.Event(), list[int]()

    async def work(claimed: Claimed) -> RunOutcome:
        attempts.append(claimed.attempt)
        if len(attempts) == 1:
            is_at_work.set()
            await asyncio.Event().wait()
        return FINISHED

    working = asyncio.create_task(turns.take(current, work))
    await is_at_work.wait()
    # It has the thread as the run's own, and its answer does not reach the workflow any more.
    assert isinstance(await claims.claim(late), Claimed)
    checkpoint_id = FINISHED.checkpoint_id if status == "interrupted" else ""
    await claims.release(late, RunOutcome(status=status, checkpoint_id=checkpoint_id))

    goes_on = status == "interrupted"
    assert await working == (FINISHED if goes_on else RunOutcome(status="cancelled"))
    assert len(attempts) == (2 if goes_on else 1)


async def test_a_run_whose_thread_another_run_has_had_in_the_meantime_does_not_go_on(saver: DaprSaver) -> None:
    claims, turns = ThreadClaims(saver.store, is_live), RunTurns(saver.store, is_live)
    early, zombie = (call("r", thread="zombie", call_id=f"of r:10:{number}") for number in (1, 2))
    other, is_at_work = call("other", thread="zombie"), asyncio.Event()
    await claims.claim(early)
    await claims.release(early, FINISHED)

    working = asyncio.create_task(turns.take(zombie, endless(is_at_work)))
    await is_at_work.wait()
    # Its workflow was ended from outside, and the other run has taken the thread over.
    await claims.release(zombie)
    await claims.claim(other)
    await claims.release(other, FINISHED)

    assert await working == RunOutcome(status="cancelled")


async def test_a_later_call_of_a_run_is_told_where_the_earlier_one_has_ended(saver: DaprSaver) -> None:
    claims = ThreadClaims(saver.store, is_live)
    first, second = (call("r", thread="later", call_id=each) for each in ("of one workflow:1", "of another:1"))
    await claims.claim(first)
    await claims.release(first, FINISHED)

    assert await claims.claim(second) == Claimed(attempt=1, stood_at=ENDS)


async def test_a_worker_stops_when_its_call_has_ended_elsewhere_though_its_run_has_the_thread_again(
    saver: DaprSaver,
) -> None:
    claims, turns, asked = ThreadClaims(saver.store, is_live), RunTurns(saver.store, is_live), "asked"
    first, answered = (call("r", thread="again elsewhere", call_id=each) for each in ("asks", "is answered"))
    is_at_work = asyncio.Event()

    working = asyncio.create_task(turns.take(first, endless(is_at_work)))
    await is_at_work.wait()
    await claims.release(first, RunOutcome(status="interrupted", checkpoint_id=asked))
    await claims.claim(answered)

    assert await asyncio.wait_for(working, 30) == RunOutcome(status="interrupted", checkpoint_id=asked)
    assert await claims.claim(call("other", thread="again elsewhere")) == Busy(run_id="r")


@pytest.mark.parametrize("outcome", [None, FINISHED], ids=["fails", "ends"])
async def test_a_call_that_another_delivery_has_ended_leaves_a_later_one_its_thread(
    saver: DaprSaver, outcome: RunOutcome | None
) -> None:
    claims, thread = ThreadClaims(saver.store, is_live), f"left to the later {outcome and outcome.status}"
    first, later = (call("r", thread=thread, call_id=each) for each in ("first", "later"))
    await claims.claim(first)
    await claims.release(first, RunOutcome(status="interrupted"))
    await claims.claim(later)

    await claims.release(first, outcome)

    assert await claims.claim(call("other", thread=thread)) == Busy(run_id="r")


async def test_a_cancelled_run_has_time_to_clean_up_and_saves_nothing_when_it_is_over(saver: DaprSaver) -> None:
    watch, run = RunWatch(saver.store), call("r", thread="clean")
    await ThreadClaims(saver.store, is_live).claim(run)
    kept, has_cleaned_up = list[Holder](), asyncio.Event()

    async def body(holder: Holder) -> None:
        kept.append(holder)
        try:
            await asyncio.Event().wait()
        finally:
            # For longer than until the next look.
            await asyncio.sleep(0.6)
            has_cleaned_up.set()

    working = asyncio.create_task(watch.guard(run, RunControl(), body))
    await CancelMarks(saver.store).put("r")
    with pytest.raises(RunCancelledError, match="it was cancelled"):
        await working

    assert has_cleaned_up.is_set()
    with pytest.raises(ThreadLostError, match="this attempt at it has ended"):
        await arun(kept[0].still_own())


@pytest.mark.parametrize("goes_on", [False, True], ids=["as its run stands still", "while its run goes on"])
async def test_a_call_delivered_after_its_end_takes_back_the_wish_that_its_run_be_drained_unless_that_goes_on(
    saver: DaprSaver, *, goes_on: bool
) -> None:
    turns, marks, wish = RunTurns(saver.store, is_live), DrainMarks(saver.store), RunControl()
    wish.request_drain("the shift ends")
    first, second = (call("r", thread=f"wish-{goes_on}", call_id=each) for each in ("first", "second"))
    claims = ThreadClaims(saver.store, is_live)
    await claims.claim(first)
    # A worker that is killed here has not taken the wish back.
    await claims.release(first, RunOutcome(status="drained", reason="the shift ends"))
    await marks.note("r", wish)
    if goes_on:
        await claims.claim(second)

    async def work(_: Claimed) -> RunOutcome:
        return FINISHED

    again, later = RunControl(), RunControl()
    ended = await turns.take(first, work, control=again)
    await turns.take(second, work, control=later)

    assert ended.status == "drained"
    assert later.drain_requested is goes_on
