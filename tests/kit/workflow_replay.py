"""Drives a workflow function without Dapr: answers its activities, moves its clock, and replays it from its history."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dapr.ext.workflow import TaskFailedError
from dapr.ext.workflow._durabletask.internal.orchestration_pb2 import TaskFailureDetails

BEGINNING = datetime(2026, 1, 5, 9, 0)

Workflow = Callable[[Any, Any], Generator[Any, Any, Any]]
Answer = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Action:
    """What a workflow asked for: an activity with its input, or an event with its deadline."""

    kind: str
    name: str
    given: Any


@dataclass(frozen=True)
class Happened:
    """An action and what came of it; a result that is an exception is raised in the workflow."""

    action: Action
    result: Any
    at: datetime


@dataclass
class ReplayContext:
    """The part of Dapr's workflow context that workflows use."""

    instance_id: str
    current_utc_datetime: datetime = BEGINNING
    is_replaying: bool = False
    statuses: list[str] = field(default_factory=list)
    patches: set[str] = field(default_factory=set)

    def is_patched(self, patch_name: str) -> bool:
        """Take a patch when the workflow comes to it for the first time, and in its replays as its history has it."""
        if not self.is_replaying:
            self.patches.add(patch_name)
        return patch_name in self.patches

    def call_activity(self, activity: str, *, input: Any = None, **_: Any) -> Action:  # noqa: A002 - Dapr's name
        """Ask for an activity."""
        return Action("activity", activity, input)

    def wait_for_external_event(self, name: str, *, timeout: timedelta) -> Action:
        """Ask to be woken."""
        return Action("event", name, timeout)

    def set_custom_status(self, custom_status: str) -> None:
        """Keep the status."""
        self.statuses.append(custom_status)


@dataclass
class WorkflowRun:
    """One run of a workflow, and its history.

    Args:
        workflow: the generator function.
        order: its input.
        answer: gives the result of an activity from its name and input; an exception that it returns is raised.
        takes: how long an activity takes on the workflow's clock.
        events: what was raised and waits to be read: a name, or a name with its data.
    """

    workflow: Workflow
    order: Any
    answer: Answer
    takes: timedelta = timedelta(milliseconds=10)
    history: list[Happened] = field(default_factory=list)
    events: deque[Any] = field(default_factory=deque)
    on_wait: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        self.context = ReplayContext(instance_id="instance")

    def to_end(self) -> Any:
        """Run until the workflow returns, then replay it and return what it returned."""
        outcome = self._drive(self.context, self._act)
        replayed = ReplayContext(instance_id="instance", is_replaying=True, patches=self.context.patches)
        recorded = iter(self.history)
        assert self._drive(replayed, lambda action: _recall(recorded, action, replayed)) == outcome
        assert replayed.statuses == self.context.statuses
        return outcome

    def named(self, name: str) -> list[Any]:
        """Return the inputs of every call of one activity."""
        return [each.action.given for each in self.history if each.action.name == name]

    def names(self) -> list[str]:
        """Return what was asked for, in order."""
        return [each.action.name for each in self.history]

    def _drive(self, context: ReplayContext, act: Callable[[Action], Any]) -> Any:
        generator = self.workflow(context, self.order)
        try:
            action = next(generator)
            while True:
                result = act(action)
                action = generator.throw(result) if isinstance(result, BaseException) else generator.send(result)
        except StopIteration as end:
            return end.value

    def _act(self, action: Action) -> Any:
        result = self._answer(action) if action.kind == "activity" else self._wait(action)
        self.history.append(Happened(action, result, self.context.current_utc_datetime))
        return result

    def _answer(self, action: Action) -> Any:
        self.context.current_utc_datetime += self.takes
        return self.answer(action.name, action.given)

    def _wait(self, action: Action) -> Any:
        if self.on_wait is not None:
            self.on_wait(action.name)
        for raised in self.events:
            name, data = raised if isinstance(raised, tuple) else (raised, None)
            if name == action.name:
                self.events.remove(raised)
                self.context.current_utc_datetime += self.takes
                return data
        self.context.current_utc_datetime += action.given
        return TimeoutError(f"nobody raised {action.name!r}")


def _recall(recorded: Any, action: Action, context: ReplayContext) -> Any:
    happened: Happened = next(recorded)
    assert action == happened.action, f"replay asks for {action}, history has {happened.action}"
    context.current_utc_datetime = happened.at
    return happened.result


def not_registered(activity: str) -> TaskFailedError:
    """Return what an activity that no worker has fails with."""
    message = f"Activity function named {activity!r} was not registered!"
    details = TaskFailureDetails(errorType="ActivityNotRegisteredError", errorMessage=message)
    return TaskFailedError(message, details)


def write_history(run: WorkflowRun) -> list[dict[str, Any]]:
    """Write a run's history as JSON, for a test that replays it with later code."""
    return [
        {
            "kind": happened.action.kind,
            "name": happened.action.name,
            "given": happened.action.given.total_seconds()
            if happened.action.kind == "event"
            else happened.action.given,
            "result": {"raised": "TimeoutError"} if isinstance(happened.result, TimeoutError) else happened.result,
            "at": happened.at.isoformat(),
        }
        for happened in run.history
    ]


def replay_history(workflow: Workflow, order: Any, recorded: list[dict[str, Any]]) -> Any:
    """Run a workflow against a recorded history and return what it returned.

    Raises:
        AssertionError: the workflow asks for something else than history holds.
    """
    run = WorkflowRun(workflow, order, answer=lambda name, _: name)
    run.context.is_replaying = True
    run.history = [_read(entry) for entry in recorded]
    entries = iter(run.history)
    return run._drive(run.context, lambda action: _recall(entries, action, run.context))


def _read(entry: dict[str, Any]) -> Happened:
    given = timedelta(seconds=entry["given"]) if entry["kind"] == "event" else entry["given"]
    result = TimeoutError("recorded") if entry["result"] == {"raised": "TimeoutError"} else entry["result"]
    return Happened(Action(entry["kind"], entry["name"], given), result, datetime.fromisoformat(entry["at"]))
