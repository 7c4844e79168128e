"""`purge_threads`: delete threads that nobody has used for long, with all that was stored for their runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dapr_bridge._at_once import each_of
from dapr_bridge._expiry import (
    Reason,
    by_thread,
    ended_for_good,
    judge_by_standing,
    judge_by_workflows,
    only_of,
    values_of,
)
from dapr_bridge._instances import Instance, read_instances
from dapr_bridge._thread_claim import Claimed, Holding, RunCall, ThreadClaims
from dapr_bridge._workflows import Workflows
from dapr_bridge.errors import CallRefusedError
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import awaited_key, cancel_key, drain_key, payload_key
from dapr_bridge.saver.standing import Standing

_RUN_ID = "dapr_bridge:purge"
"""Has a thread while it is deleted; one that was cut short is busy until the next purge has finished it."""

_LEASE = timedelta(seconds=30)

Judge = Callable[[str, Standing], Awaitable[Reason | None]]
"""Tells why a thread is kept that stands so, if it is."""


@dataclass(frozen=True, kw_only=True)
class PurgedThread:
    """A thread that was deleted, or would be.

    Attributes:
        thread_id: the thread.
        ended_at: when its last workflow ended; None when none is known.
        checkpoints: how many it has.
    """

    thread_id: str
    ended_at: datetime | None
    checkpoints: int


@dataclass(frozen=True, kw_only=True)
class PurgeReport:
    """What a purge has deleted, or would delete.

    Attributes:
        is_dry_run: whether nothing was deleted.
        threads: the threads, those that ended first first.
        workflows: instance ids of the workflows whose histories go.
        events: how many events these have.
        event_bytes: how many bytes these events have; of threads and values it is not known without reading them.
        values: how many values, that travelled by reference, go with them.
        kept: the threads that stay, each with the reason: `going on`, `waiting`, `recent`, `not found`.
    """

    is_dry_run: bool
    threads: Sequence[PurgedThread] = ()
    workflows: Sequence[str] = ()
    events: int = 0
    event_bytes: int = 0
    values: int = 0
    kept: Mapping[str, str] = field(default_factory=dict[str, str])


async def purge_threads(
    *, saver: DaprSaver, older_than: timedelta | None = None, threads: Sequence[str] = (), dry_run: bool = True
) -> PurgeReport:
    """Delete threads with their checkpoints, and the histories, values and leases of their runs.

    Workflows are the index of threads, for Dapr state cannot be listed: a worker of the app has to be connected.

    Args:
        saver: the saver of the threads.
        older_than: delete what was not used for so long; a thread stays while a workflow that has run it goes on, and
            while it waits for an answer.
        threads: delete these threads instead, whatever they wait for, unless a run has one just now.
        dry_run: tell what would be deleted, and write nothing.

    Raises:
        CallRefusedError: neither a time nor threads were given, or both.
        LeaseHeldError: another purge is at work.
        BridgeError: the workflows of the app cannot be read.
    """
    if (older_than is None) == (not threads):
        raise CallRefusedError("a purge takes either older_than=timedelta(...) or threads=[...]")
    before = None if older_than is None else _time_before(older_than)
    with Workflows(saver.store.address, saver.store.patience) as workflows:
        purge = _Purge(saver, workflows, await read_instances(workflows))
        plan = await (purge.plan_by_name(threads) if before is None else purge.plan_by_age(before))
        if dry_run:
            return plan.report
        owner = f"{socket.gethostname()}/{os.getpid()}"
        async with saver.leases.hold("dapr_bridge:purge", owner=owner, ttl=_LEASE, wait=_LEASE * 2):
            return await purge.carry_out(plan)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is to go.

    Attributes:
        report: the same, for people.
        standings: where the threads stood on which it was decided.
        workflows: the workflows whose histories are to go.
        before: the time before which these ended; None when threads are given by name.
    """

    report: PurgeReport
    standings: Mapping[str, Standing]
    workflows: Sequence[Instance]
    before: datetime | None


class _Purge:
    def __init__(self, saver: DaprSaver, workflows: Workflows, instances: Sequence[Instance]) -> None:
        self._saver, self._workflows, self._instances = saver, workflows, instances
        self._by_thread = by_thread(instances)
        self._claims = ThreadClaims(saver.store, workflows.is_live)

    async def plan_by_age(self, before: datetime) -> _Plan:
        """Find the threads that nobody has used since a time."""

        async def judge(thread_id: str, standing: Standing) -> Reason | None:
            by_workflows = judge_by_workflows(self._by_thread[thread_id], before=before)
            return by_workflows or await self._held(standing) or judge_by_standing(standing, before=before)

        return await self._judged(self._by_thread, judge, before=before)

    async def plan_by_name(self, threads: Sequence[str]) -> _Plan:
        """Find the threads that somebody wants to be gone."""

        async def judge(thread_id: str, standing: Standing) -> Reason | None:
            is_known = standing.exists or thread_id in self._by_thread
            return await self._held(standing) if is_known else Reason.UNKNOWN

        return await self._judged(dict.fromkeys(threads), judge, before=None)

    async def carry_out(self, plan: _Plan) -> PurgeReport:
        """Delete what was planned, but for threads that have changed since; a purge cut short is finished by the next.

        Workflows go last: by these, what is left of their threads is found again.
        """
        stored = [each for each, standing in plan.standings.items() if standing.exists]
        are_gone = await each_of(stored, lambda each: self._delete(each, plan.standings[each]))
        used = [each for each, is_gone in zip(stored, are_gone, strict=True) if not is_gone]
        kept = {**plan.report.kept, **dict.fromkeys(used, Reason.LIVE)}
        left = {each: standing for each, standing in plan.standings.items() if each not in kept}
        done = self._plan(left, kept, before=plan.before)
        await self._delete_runs(done.workflows)
        are_gone = await each_of(done.report.workflows, self._workflows.purge)
        workflows = [each for each, is_gone in zip(done.report.workflows, are_gone, strict=True) if is_gone]
        return replace(done.report, is_dry_run=False, workflows=workflows)

    async def _judged(self, threads: Iterable[str], judge: Judge, *, before: datetime | None) -> _Plan:
        """Plan to delete those of some threads that there is no reason to keep, and those that are half gone."""

        async def look_at(thread_id: str) -> tuple[Standing, Reason | None]:
            standing = await self._saver.astanding(thread_id)
            return standing, None if _is_half_gone(standing) else await judge(thread_id, standing)

        ids = list(threads)
        judged = dict(zip(ids, await each_of(ids, look_at), strict=True))
        kept: dict[str, str] = {each: reason for each, (_, reason) in judged.items() if reason is not None}
        going = {each: standing for each, (standing, reason) in judged.items() if reason is None}
        return self._plan(going, kept, before=before)

    # ----- one thread ---------------------------------------------------------------------------------------------

    async def _held(self, standing: Standing) -> Reason | None:
        """Tell whether a run has the thread, by a workflow that goes on or cannot be asked for here."""
        holding = Holding.from_document(standing.claim)
        if not holding.run_id:
            return None
        is_live = not holding.instance_id or await self._workflows.is_live(holding.instance_id)
        return Reason.LIVE if is_live else None

    async def _delete(self, thread_id: str, planned: Standing) -> bool:
        """Delete a thread in a turn of its own, unless a run has it or has had it since; tells whether it is gone."""
        turn = RunCall(thread_id=thread_id, run_id=_RUN_ID, call_id=_RUN_ID, instance_id="")
        if not isinstance(await self._claims.claim(turn), Claimed):
            return False
        standing = await self._saver.astanding(thread_id)
        if _checkpoint_id(standing) != _checkpoint_id(planned):
            await self._claims.release(turn)
            return False
        await self._saver.adelete_thread(thread_id)
        return True

    # ----- runs ---------------------------------------------------------------------------------------------------

    def _plan(self, going: Mapping[str, Standing], kept: Mapping[str, str], *, before: datetime | None) -> _Plan:
        if before is None:
            workflows = only_of(self._instances, going.keys())
        else:
            workflows = ended_for_good(self._by_thread, without_thread=going.keys(), before=before)
        referred = {name for each in workflows for name in each.references}
        threads = [self._purged(each, standing) for each, standing in going.items() if standing.exists]
        report = PurgeReport(
            is_dry_run=True,
            threads=sorted(threads, key=lambda each: (str(each.ended_at or ""), each.thread_id)),
            workflows=[each.id for each in workflows],
            events=sum(each.events for each in workflows),
            event_bytes=sum(each.size for each in workflows),
            values=len(referred.intersection(values_of(workflows, self._instances))),
            kept=kept,
        )
        return _Plan(report=report, standings=going, workflows=workflows, before=before)

    def _purged(self, thread_id: str, standing: Standing) -> PurgedThread:
        ended_at = self._by_thread[thread_id][-1].ended_at if thread_id in self._by_thread else None
        return PurgedThread(thread_id=thread_id, ended_at=ended_at, checkpoints=standing.checkpoints)

    async def _delete_runs(self, workflows: Sequence[Instance]) -> None:
        values = [payload_key(name) for name in values_of(workflows, self._instances)]
        runs = sorted({run for each in workflows for run in each.runs})
        notes = [key_of(run_id) for run_id in runs for key_of in (cancel_key, drain_key, awaited_key)]
        # The store goes about it in batches.
        await arun(self._saver.store.delete([*values, *notes]))
        await self._saver.leases.delete({name for each in workflows for name in each.leases})


def _time_before(age: timedelta) -> datetime:
    if age < timedelta(0):
        raise CallRefusedError(f"older_than={age!r} lies in the future: give a time that has passed")
    try:
        return datetime.now(UTC) - age
    except OverflowError as error:
        raise CallRefusedError(f"older_than={age!r} lies before all time") from error


def _is_half_gone(standing: Standing) -> bool:
    """Whether a purge has begun to delete the thread, and died."""
    return Holding.from_document(standing.claim).run_id == _RUN_ID


def _checkpoint_id(standing: Standing) -> str:
    return standing.latest.checkpoint["id"] if standing.latest else ""
