"""What workflows do to run a graph; replayed from history, it runs no graph code."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, TaskFailedError, when_all, when_any

from dapr_bridge import _names
from dapr_bridge._ends_together import ENDS
from dapr_bridge._payloads import NO_INPUT, Payload
from dapr_bridge._wire import Failure, RunOutcome, RunRequest, Stage, TaskOrder, TaskOutcome, TaskRequest

# A history of some thousand events is replayed in milliseconds; the next instance begins with none.
_MOST_ACTIVITIES = 500

# Beyond, a workflow of their own costs less than what so many results do to the one that goes on after them.
_MOST_TASKS = 8
# Several work side by side, each with so many; the one that waits for them is to have few results.
_FEWEST_TASKS_APART, _MOST_TASKS_APART = 25, 100
_ENOUGH_APART = 8

_WHILE_RELEASES_CHANGE = timedelta(seconds=1)
_NOT_REGISTERED = "ActivityNotRegisteredError"
NO_SUCH_WORKFLOW = "OrchestratorNotRegisteredError"
"""Error of a worker that has no such workflow, and so not its graph."""

NOT_HOSTED = frozenset({_NOT_REGISTERED, NO_SUCH_WORKFLOW})
"""Errors of a worker that has not what a run begins with, and so not its graph."""

_NOT_RUN = TaskOutcome(status="stale")

Steps = Generator[Any, Any, RunOutcome]


@dataclass(kw_only=True)
class Drive:
    """Drives a run: `outcome = yield from Drive(ctx=ctx, request=request).steps()`.

    Attributes:
        ctx: the workflow's context.
        request: what is asked for.
        app_id: the app that hosts the graph, when it is not this one.
        as_child: whether to leave the run to a workflow of its own, which begins anew when its history grows.
        activities: how many activities it has asked for until now.
        has_begun: whether a worker has gone on with the run.
    """

    ctx: DaprWorkflowContext
    request: RunRequest
    app_id: str | None = None
    as_child: bool = False
    activities: int = field(default=0, init=False)
    has_begun: bool = field(default=False, init=False)

    def name_call(self) -> Generator[Any, Any, None]:
        """Give a call its run id, when it has none, that stays the same when a turn of the workflow is lost.

        Dapr starts what a turn asks for, then saves the turn; one that is lost in between is done again by another
        clock. The result of an activity is saved before the turn that reads it.
        """
        if self.request.run_id is not None or not self.ctx.is_patched(_names.NAMED_CALLS):
            return
        activity, given = _names.naming_activity(self.request.graph), {"asked_at": self.request.asked_at}
        try:
            record = yield self.ctx.call_activity(activity, input=given, app_id=self.app_id)
        except TaskFailedError as error:
            if error.details.error_type != _NOT_REGISTERED:
                raise
            # A worker of an earlier release: the run takes its activity's identity.
            return
        self.activities += 1
        self.request = replace(self.request, run_id=record["run_id"], asked_at=record["asked_at"])

    def steps(self) -> Steps:
        """Run to the end or a question, going on after each fan-out."""
        return (yield from self._to_end(self.request))

    def answer(self, asked: RunOutcome, answers: Mapping[str, Payload]) -> Steps:
        """Go on with a run that has asked something, to its end or the next question.

        The answers are not lost to another run that has the thread by now: its end is waited for.
        """
        options = {**self.request.options, "if_busy": "wait"}
        request = replace(
            self.request,
            run_id=asked.run_id,
            input=NO_INPUT,
            answers=answers,
            options=options,
            run_trace=asked.run_trace,
        )
        return (yield from self._to_end(request))

    def look_for_cancellation(self, asked: RunOutcome) -> Steps:
        """Return how a run has ended that waits for answers: cancelled, or not, when nobody wishes so."""
        options = {**self.request.options, "cancels": True}
        return (yield from self._to_end(replace(self.request, run_id=asked.run_id, input=NO_INPUT, options=options)))

    def _to_end(self, request: RunRequest) -> Steps:
        if self.as_child:
            workflow = _names.graph_workflow(request.graph)
            record = yield self.ctx.call_child_workflow(workflow, input=request.to_json(), app_id=self.app_id)
            return RunOutcome.from_json(record)
        outcome = yield from self.advance(request)
        while outcome.status == "planned":
            outcome = yield from self.advance((yield from self.fan_out(outcome)))
        return outcome

    def advance(self, request: RunRequest) -> Steps:
        """Let the run go as far as one activity may."""
        self.activities += 1
        activity = _names.advance_activity(request.graph)
        record = yield self.ctx.call_activity(activity, input=request.to_json(), app_id=self.app_id)
        self.has_begun = True
        return RunOutcome.from_json(record)

    def fan_out(self, plan: RunOutcome) -> Generator[Any, Any, RunRequest]:
        """Run the planned tasks, and return the request that goes on after them."""
        ends = yield from self.run_tasks(plan) if not self._is_wide(plan) else self._run_apart(plan)
        failure = next((end.failure for end in ends if end.failure), None)
        stage = Stage(
            checkpoint_id=plan.checkpoint_id,
            last_step=plan.last_step,
            paused=_ids_of(plan, ends, "paused", "stopped"),
            stopped=_ids_of(plan, ends, "stopped"),
            failure=failure,
            events=_sum_of(plan, ends),
        )
        return replace(self._without_input(plan), stage=stage)

    def _is_wide(self, plan: RunOutcome) -> bool:
        return len(plan.tasks) > _MOST_TASKS and self.ctx.is_patched(_names.WIDE_SUPERSTEPS)

    def _run_apart(self, plan: RunOutcome) -> Generator[Any, Any, Sequence[TaskOutcome]]:
        """Run the tasks in workflows of their own, whose histories, and whose many wakings, end with them."""
        workflow, run = _names.tasks_workflow(self.request.graph), self._without_input(plan).to_json()
        size = self._tasks_apart(plan)
        parts = [replace(plan, tasks=plan.tasks[start : start + size]) for start in range(0, len(plan.tasks), size)]
        self.activities += len(parts)
        started = [
            self.ctx.call_child_workflow(workflow, input={"run": run, "plan": part.to_json()}, app_id=self.app_id)
            for part in parts
        ]
        try:
            ends = yield when_all(started)
        except TaskFailedError as error:
            if error.details.error_type != NO_SUCH_WORKFLOW:
                raise
            # A worker of an earlier release.
            return (yield from self.run_tasks(plan))
        return [TaskOutcome.from_json(each) for part in ends for each in part]

    def run_tasks(self, plan: RunOutcome) -> Generator[Any, Any, Sequence[TaskOutcome]]:
        """Run the planned tasks side by side, and return how each has ended."""
        self.activities += len(plan.tasks)
        superstep = _names.superstep_name(self.ctx.instance_id, plan.checkpoint_id)
        if self._is_limited(plan):
            # The end of one may be what another waits for.
            started = yield from self._start_some_at_once(plan)
        else:
            started = [self._start(plan, task) for task in plan.tasks]
            ENDS.turn(superstep, tasks=len(started))
        try:
            yield when_all(started)
        except TaskFailedError:
            if not any(map(_is_of_no_worker, started)):
                raise
            # This worker's graph has no such node; while releases change, the next one may have it.
            yield self.ctx.create_timer(_WHILE_RELEASES_CHANGE)
        ENDS.forget(superstep)
        return [_NOT_RUN if _is_of_no_worker(each) else TaskOutcome.from_json(each.get_result()) for each in started]

    def _is_limited(self, plan: RunOutcome) -> bool:
        return len(plan.tasks) > (self.request.config.get("max_concurrency") or len(plan.tasks))

    def _tasks_apart(self, plan: RunOutcome) -> int:
        """How many tasks one workflow of their own runs; all, when they are counted."""
        if self._is_limited(plan):
            return len(plan.tasks)
        return min(max(_FEWEST_TASKS_APART, len(plan.tasks) // _ENOUGH_APART), _MOST_TASKS_APART)

    def _start_some_at_once(self, plan: RunOutcome) -> Generator[Any, Any, list[Any]]:
        at_once, started = self.request.config["max_concurrency"], list[Any]()
        for task in plan.tasks:
            running = [each for each in started if not each.is_complete]
            if len(running) >= at_once:
                yield when_any(running)
            started.append(self._start(plan, task))
        return started

    def _start(self, plan: RunOutcome, task: TaskOrder) -> Any:
        order = TaskRequest(
            run=self._without_input(plan), checkpoint_id=plan.checkpoint_id, last_step=plan.last_step, task=task
        )
        activity = _names.node_activity(self.request.graph, task.node)
        return self.ctx.call_activity(activity, input=order.to_json(), app_id=self.app_id)

    def _without_input(self, plan: RunOutcome) -> RunRequest:
        run_trace = plan.run_trace or self.request.run_trace
        return replace(self.request, run_id=plan.run_id, input=NO_INPUT, answers={}, run_trace=run_trace)


def graph_workflow(name: str) -> Callable[[DaprWorkflowContext, dict[str, Any]], Generator[Any, Any, Any]]:
    """Return the workflow function of one graph."""

    def run_graph(ctx: DaprWorkflowContext, record: dict[str, Any]) -> Generator[Any, Any, Any]:
        drive = Drive(ctx=ctx, request=RunRequest.from_json(record))
        outcome = yield from drive.advance(drive.request)
        while outcome.status == "planned":
            request = yield from drive.fan_out(outcome)
            if drive.activities >= _MOST_ACTIVITIES:
                ctx.continue_as_new(request.to_json())
                return None
            outcome = yield from drive.advance(request)
        return outcome.to_json()

    return run_graph


def tasks_workflow(name: str) -> Callable[[DaprWorkflowContext, dict[str, Any]], Generator[Any, Any, Any]]:
    """Return the workflow function that runs the tasks of a wide superstep."""

    def run_tasks(ctx: DaprWorkflowContext, record: dict[str, Any]) -> Generator[Any, Any, Any]:
        drive, plan = Drive(ctx=ctx, request=RunRequest.from_json(record["run"])), RunOutcome.from_json(record["plan"])
        try:
            ends = yield from drive.run_tasks(plan)
        except TaskFailedError as error:
            # An activity has failed, and not its node: its worker could not save, say.
            ends = [_failed(error)] * len(plan.tasks)
        return [each.to_json() for each in ends]

    return run_tasks


def _ids_of(plan: RunOutcome, ends: Sequence[TaskOutcome], *statuses: str) -> list[str]:
    return [task.id for task, end in zip(plan.tasks, ends, strict=True) if end.status in statuses]


def _failed(error: TaskFailedError) -> TaskOutcome:
    details = error.details
    failure = Failure(node=None, task_id=None, error_type=details.error_type, message=details.message)
    return TaskOutcome(status="failed", failure=failure)


def _is_of_no_worker(task: Any) -> bool:
    if not task.is_failed:
        return False
    error = task.get_exception()
    return isinstance(error, TaskFailedError) and error.details.error_type == _NOT_REGISTERED


def _sum_of(plan: RunOutcome, ends: Sequence[TaskOutcome]) -> dict[str, int]:
    events = dict(plan.events)
    for end in ends:
        events.update(end.events)
    return events
