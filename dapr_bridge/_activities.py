"""The activities in which graphs execute, and nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from dapr.ext.workflow import WorkflowActivityContext
from langgraph.runtime import RunControl

from dapr_bridge._alone import AloneAtWork, LeaseLostError
from dapr_bridge._cancellation import AwaitedEvent
from dapr_bridge._ends_together import ENDS
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._graph_shape import GraphShape
from dapr_bridge._names import superstep_name
from dapr_bridge._payloads import NO_INPUT, Payload, in_one_order
from dapr_bridge._run_ends import NOT_OF_THE_GRAPH, failure_of
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._thread_claim import Claimed, RunCall
from dapr_bridge._tracing import ActivitySpan, advancing, running_task
from dapr_bridge._wire import ONE_RUN, RunOutcome, RunRequest, TaskOutcome, TaskRequest, refused
from dapr_bridge.errors import RunCancelledError, StateStoreNotFoundError
from dapr_bridge.saver.sidecar import Holder

logger = logging.getLogger(__name__)

_STORE_PATIENCE = timedelta(minutes=10)
_LONGEST_PAUSE = timedelta(seconds=15)

T = TypeVar("T")
Activity = Callable[[WorkflowActivityContext, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class LiveWork:
    """What this process is working on, by run id, and by task id for a task of its own.

    Dapr delivers an activity again when daprd was restarted under a living worker: the second delivery joins the work
    that the first one started, instead of running every node beside it.
    """

    _tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict[str, asyncio.Task[Any]])
    _given: dict[str, str] = field(default_factory=dict[str, str])

    def has_other(self, name: str, given: str) -> bool:
        """Tell whether a piece of work goes on that was given another input."""
        return bool(given) and name in self._tasks and self._given[name] not in ("", given)

    async def join(self, name: str, start: Callable[[], Awaitable[T]], *, given: str = "") -> T:
        """Return the outcome of a piece of work, starting it unless it goes on already."""
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.ensure_future(start())
            self._given[name] = given
            task.add_done_callback(lambda _: self._forget(name))
        else:
            logger.info("run was delivered again and joined", extra={"run_id": name})
        return await asyncio.shield(task)

    def _forget(self, name: str) -> None:
        del self._tasks[name], self._given[name]

    def cancel_all(self) -> None:
        """Stop everything where it is; each is delivered again to a living worker. For any thread."""
        for task in list(self._tasks.values()):
            task.get_loop().call_soon_threadsafe(task.cancel)


@dataclass(frozen=True, kw_only=True)
class GraphActivities:
    """The activities of one graph."""

    runs: GraphRuns
    live: LiveWork
    turns: RunTurns
    alone: AloneAtWork
    shape: GraphShape

    @cached_property
    def _with_steps(self) -> frozenset[str]:
        """The nodes that have supersteps of their own."""
        return frozenset(name for name, _ in self.runs.graph.get_subgraphs())

    def advance(self) -> Activity:
        """Return the activity that goes on with a run, as far as its unit lets it."""

        async def advance_graph(ctx: WorkflowActivityContext, record: dict[str, Any]) -> dict[str, Any]:
            request = RunRequest.from_json(record)
            call = replace(_call(ctx, request), shape=self.shape.fingerprint)
            stage = request.stage.checkpoint_id if request.stage else ""
            # A delivery of what came before the answers may still be alive, and knows nothing of them.
            name = f"{call.run_id}@{call.call_id if request.answers else stage}"
            if request.options.get("cancels"):
                return (await self._cancel(call)).to_json()
            if self.live.has_other(name, call.given):
                return refused(f"run {call.run_id!r} is going on with another input; {ONE_RUN}").to_json()
            try:
                outcome = await self.live.join(name, lambda: self._advance(request, call), given=call.given)
            except StateStoreNotFoundError as error:
                logger.exception("run has failed", extra={"thread_id": call.thread_id, "run_id": call.run_id})
                outcome = RunOutcome(status="failed", failure=failure_of(error, node=None, task_id=None))
            return outcome.to_json()

        return advance_graph

    def name_call(self) -> Activity:
        """Return the activity that names a call after the turn of the workflow that has asked for the name."""

        async def name_call(ctx: WorkflowActivityContext, record: dict[str, Any]) -> dict[str, Any]:
            asked_at = record["asked_at"]
            return {"run_id": f"{ctx.workflow_id}:{asked_at}:{ctx.task_id}", "asked_at": asked_at}

        return name_call

    def run_node(self) -> Activity:
        """Return the activity that runs one task."""

        async def run_task(ctx: WorkflowActivityContext, record: dict[str, Any]) -> dict[str, Any]:
            request = TaskRequest.from_json(record)
            call = _call(ctx, request.run)
            name = f"{call.run_id}/{request.task.id}"

            def join() -> Awaitable[TaskOutcome]:
                return self.live.join(name, lambda: self._run_task(request, call))

            return (await ENDS.do(superstep_name(ctx.workflow_id, request.checkpoint_id), join)).to_json()

        return run_task

    async def _cancel(self, call: RunCall) -> RunOutcome:
        is_cancelled = await _patiently(lambda: self.turns.cancel(call), call)
        return RunOutcome(status="cancelled" if is_cancelled else "interrupted", run_id=call.run_id)

    async def _note_awaited(self, request: RunRequest, call: RunCall, outcome: RunOutcome) -> None:
        """Let it be known by which event the run waits for answers, or that it waits no more, for it has them."""
        awaited = request.options.get("answered_by")
        # After a refused answer it waits on.
        if awaited is None or outcome.status in ("refused", "busy"):
            return
        if outcome.interrupts:
            await self.turns.awaited.note(call.run_id, AwaitedEvent(**awaited))
        elif _goes_on_with_a_run(request):
            # Before any other call nothing was noted, or the one with the answers came in between.
            await self.turns.awaited.forget(call.run_id)

    async def _advance(self, request: RunRequest, call: RunCall) -> RunOutcome:
        with advancing(request, call.run_id, unit=self.runs.unit) as span:
            outcome = await self._go_on(request, replace(call, trace=span.traceparent), span)
            span.ended(outcome)
        await _patiently(lambda: self._note_awaited(request, call, outcome), call)
        return outcome

    async def _go_on(self, request: RunRequest, call: RunCall, span: ActivitySpan) -> RunOutcome:
        last, control = 0, RunControl()

        async def work(claimed: Claimed) -> RunOutcome:
            nonlocal last
            if claimed.attempt <= last and not claimed.follows_own:
                raise RunCancelledError("its thread was free in the meantime: another worker has ended it, long ago")
            last = claimed.attempt
            span.claimed(claimed.attempt, goes_on_from=claimed.left_in, tried_in=claimed.tried_in)
            outcome = await self.runs.advance(
                request,
                call.run_id,
                claimed.attempt,
                call_id=call.call_id,
                stood_at=claimed.stood_at,
                control=control,
                is_other=claimed.is_other,
                holder=claimed.holder,
            )
            return span.told(request, outcome)

        if_busy = request.options.get("if_busy", "raise")

        def take() -> Awaitable[RunOutcome]:
            return self.turns.take(
                call,
                work,
                if_busy=if_busy,
                check=lambda before: self.shape.refuse(request, call.run_id, before),
                control=control,
            )

        return await _patiently(lambda: self.alone.do(call.run_id, take), call)

    async def _run_task(self, request: TaskRequest, call: RunCall) -> TaskOutcome:
        control = RunControl()

        def work(holder: Holder) -> Awaitable[TaskOutcome]:
            return self.runs.run_task(request, call.run_id, call_id=call.call_id, control=control, holder=holder)

        name = f"{call.run_id}/{request.task.id}"
        with running_task(request, call.run_id, unit=self.runs.unit) as span:

            async def alone() -> TaskOutcome | None:
                # For a lease it might wait until that of a dead worker, which has saved all, is over.
                if self.alone.ttl and await self.runs.has_saved(request, call.run_id):
                    await self.alone.forget(name)
                    return TaskOutcome(status="saved")
                return await self.alone.do(
                    name,
                    lambda: self.turns.watch(call, control, work, may_stop=request.task.node in self._with_steps),
                    # Where workers take leases, they tell each other of tasks that they have begun.
                    told=lambda grant: span.claimed(grant.token, tried_in=grant.before),
                    note=span.traceparent,
                )

            found = await _patiently(alone, call)
            outcome = found or TaskOutcome(status="cancelled")
            span.ended(outcome)
        return outcome


async def _patiently(work: Callable[[], Awaitable[T]], call: RunCall) -> T:
    """Work with patience: for a state store that is away, and again when another worker was faster.

    What was saved is not done again.
    """
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + _STORE_PATIENCE.total_seconds(), timedelta(seconds=1)
    while True:
        try:
            return await work()
        except (*NOT_OF_THE_GRAPH, LeaseLostError) as error:
            if loop.time() > deadline:
                raise
            where = {"thread_id": call.thread_id, "run_id": call.run_id}
            logger.warning("run goes on after a pause: %s", error, extra=where)
        await asyncio.sleep(pause.total_seconds())
        pause = min(pause * 2, _LONGEST_PAUSE)


def _call(ctx: WorkflowActivityContext, request: RunRequest) -> RunCall:
    call_id = f"{ctx.workflow_id}:{request.asked_at}:{ctx.task_id}"
    return RunCall(
        thread_id=request.thread_id,
        run_id=request.run_id or call_id,
        call_id=call_id,
        instance_id="" if request.options.get("is_from_afar") else ctx.workflow_id,
        given=_digest(request, in_one_order(request.input)),
        given_as_sent=_digest(request, request.input),
    )


def _goes_on_with_a_run(request: RunRequest) -> bool:
    """Whether a call brings answers, or nothing: an earlier call of its run may have asked something."""
    return request.stage is None and request.input == NO_INPUT


def _digest(request: RunRequest, given: Payload) -> str:
    """Return what tells the input of a request from another; empty for one that goes on."""
    if request.stage or request.answers or given == NO_INPUT:
        return ""
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
