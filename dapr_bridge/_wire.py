"""What crosses between workflow and activities, as JSON; fields are added, never renamed or reused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from dapr_bridge._payloads import Payload
from dapr_bridge.errors import CallRefusedError

IfBusy = Literal["raise", "wait"]
"""What a run does while another one has its thread."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run stopped at a node."""

    node: str | None
    task_id: str | None
    error_type: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far a run has come when it goes on after a fan-out.

    Attributes:
        checkpoint_id: the checkpoint whose tasks have run.
        last_step: the last superstep that the run's recursion limit allows.
        paused: tasks that have stopped at a breakpoint, or to ask something.
        stopped: those of them that have stopped at a breakpoint, and have asked nothing.
        failure: why one of them failed.
        events: how many events each source has published until now.
    """

    checkpoint_id: str
    last_step: int
    paused: Sequence[str] = ()
    stopped: Sequence[str] = ()
    failure: Failure | None = None
    events: Mapping[str, int] = field(default_factory=dict[str, int])

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        return {
            "checkpoint_id": self.checkpoint_id,
            "last_step": self.last_step,
            "paused": list(self.paused),
            "stopped": list(self.stopped),
            "failure": asdict(self.failure) if self.failure else None,
            "events": dict(self.events),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Stage:
        """Rebuild a stage."""
        return cls(
            checkpoint_id=record["checkpoint_id"],
            last_step=record["last_step"],
            paused=tuple(record["paused"]),
            stopped=tuple(record.get("stopped") or ()),
            failure=_failure(record),
            events=record["events"],
        )


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A wish to run a graph on a thread.

    Attributes:
        graph: name of the graph.
        thread_id: LangGraph thread.
        run_id: what makes a repeated request the same run; with None, the activity takes its own identity.
        asked_at: the workflow's clock, ISO 8601; tells calls apart that continue-as-new would give one identity.
        input: LangGraph's input, a Command, or null to go on.
        config: `configurable`, `tags`, `metadata`, `recursion_limit`, as JSON.
        stream: what to publish while the run goes on (see `_events.StreamRequest`), or None.
        options: LangGraph's `output_keys`, `interrupt_before`, `interrupt_after`, and `if_busy`, where given.
        context: LangGraph's static context, or None.
        stage: how far the run has come, when it goes on after a fan-out (unit `task`); None when it begins.
        answers: answers to what the run has asked, by interrupt id, in place of an input; those to questions that wait
            no longer are left out.
        caller_trace: W3C `traceparent` of the span in which the run is asked for, or empty.
        run_trace: the same of the run's own span, once there is one.
    """

    graph: str
    thread_id: str
    run_id: str | None
    asked_at: str
    input: Payload
    config: Mapping[str, Any]
    stream: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    context: Payload | None = None
    stage: Stage | None = None
    answers: Mapping[str, Payload] = field(default_factory=dict[str, Payload])
    caller_trace: str = ""
    run_trace: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what history records; later fields only where they say something."""
        later = {
            "stream": self.stream,
            "options": dict(self.options),
            "context": self.context,
            "answers": dict(self.answers),
            "caller_trace": self.caller_trace,
            "run_trace": self.run_trace,
        }
        if self.stage:
            later["stage"] = self.stage.to_json()
        return {
            "graph": self.graph,
            "thread_id": self.thread_id,
            "run_id": self.run_id,
            "asked_at": self.asked_at,
            "input": self.input,
            "config": dict(self.config),
            **{name: each for name, each in later.items() if each},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunRequest:
        """Rebuild a request; unknown fields of a newer release are left alone."""
        return cls(
            graph=record["graph"],
            thread_id=record["thread_id"],
            run_id=record.get("run_id"),
            asked_at=record.get("asked_at", ""),
            input=record["input"],
            config=record.get("config") or {},
            stream=record.get("stream"),
            options=record.get("options") or {},
            context=record.get("context"),
            stage=Stage.from_json(record["stage"]) if record.get("stage") else None,
            answers=record.get("answers") or {},
            caller_trace=record.get("caller_trace", ""),
            run_trace=record.get("run_trace", ""),
        )


@dataclass(frozen=True, kw_only=True)
class TaskOrder:
    """A task that is to run in an activity of its own.

    Attributes:
        id: LangGraph's id of the task.
        node: the node that it runs.
        answers: the answers to what it has asked, by interrupt id; None when there are none.
        is_resumed: whether the run was told to go on, and this is the superstep where it does.
    """

    id: str
    node: str
    answers: Payload | None = None
    is_resumed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        said: dict[str, Any] = {"id": self.id, "node": self.node}
        if self.answers:
            said["answers"] = self.answers
        return {**said, "is_resumed": True} if self.is_resumed else said

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TaskOrder:
        """Rebuild an order."""
        return cls(
            id=record["id"],
            node=record["node"],
            answers=record.get("answers"),
            is_resumed=record.get("is_resumed", False),
        )


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        status: finished, interrupted (waits for an answer or at a breakpoint), failed, busy (it never began, for
            another run has the thread), cancelled, drained (a `RunControl` has stopped it), refused (the worker cannot
            do what the request asks), or planned (it goes on when `tasks` have run).
        checkpoint_id: the thread's latest checkpoint.
        output: LangGraph's output, or a reference to it.
        interrupts: the questions that wait: id, and value and schema, if there is one, as payloads.
        failure: what went wrong, of a failed or refused run.
        holder: the run that has the thread, of a busy one.
        events: how many events each source has published (see `_events.EventPublisher`).
        run_id: the run, of a planned or an interrupted one.
        last_step: the last superstep that its recursion limit allows, of a planned one.
        tasks: what is to run next, each in an activity of its own.
        reason: why a drained run was asked to stop.
        run_trace: W3C `traceparent` of the run's span, or empty.
    """

    status: Literal["finished", "interrupted", "failed", "busy", "cancelled", "drained", "refused", "planned"]
    checkpoint_id: str = ""
    output: Payload | None = None
    interrupts: Sequence[Mapping[str, Any]] = ()
    failure: Failure | None = None
    holder: str = ""
    events: Mapping[str, int] = field(default_factory=dict[str, int])
    run_id: str = ""
    last_step: int = 0
    tasks: Sequence[TaskOrder] = ()
    reason: str = ""
    run_trace: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what history records; of a plan, what the workflow needs."""
        trace = {"run_trace": self.run_trace} if self.run_trace else {}
        if self.status == "planned":
            return {
                "status": self.status,
                "checkpoint_id": self.checkpoint_id,
                "events": dict(self.events),
                "run_id": self.run_id,
                "last_step": self.last_step,
                "tasks": [each.to_json() for each in self.tasks],
                **trace,
            }
        return {
            "status": self.status,
            "checkpoint_id": self.checkpoint_id,
            "output": self.output,
            "interrupts": [dict(each) for each in self.interrupts],
            "failure": asdict(self.failure) if self.failure else None,
            "holder": self.holder,
            "events": dict(self.events),
            **({"run_id": self.run_id} if self.run_id else {}),
            **({"reason": self.reason} if self.reason else {}),
            **trace,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunOutcome:
        """Rebuild an outcome."""
        return cls(
            status=record["status"],
            checkpoint_id=record.get("checkpoint_id", ""),
            output=record.get("output"),
            interrupts=record.get("interrupts") or (),
            failure=_failure(record),
            holder=record.get("holder", ""),
            events=record.get("events") or {},
            run_id=record.get("run_id", ""),
            last_step=record.get("last_step", 0),
            tasks=tuple(TaskOrder.from_json(each) for each in record.get("tasks", ())),
            reason=record.get("reason", ""),
            run_trace=record.get("run_trace", ""),
        )


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """A wish to run one task of a superstep.

    Attributes:
        run: the run that it is part of, without its input.
        checkpoint_id: the checkpoint that its superstep follows.
        last_step: the last superstep that the run's recursion limit allows.
        task: the task.
    """

    run: RunRequest
    checkpoint_id: str
    last_step: int
    task: TaskOrder

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        return {
            "run": self.run.to_json(),
            "checkpoint_id": self.checkpoint_id,
            "last_step": self.last_step,
            "task": self.task.to_json(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TaskRequest:
        """Rebuild a request."""
        return cls(
            run=RunRequest.from_json(record["run"]),
            checkpoint_id=record["checkpoint_id"],
            last_step=record["last_step"],
            task=TaskOrder.from_json(record["task"]),
        )


@dataclass(frozen=True, kw_only=True)
class TaskOutcome:
    """How one task ended; its results are in the saver.

    Attributes:
        status: saved, paused (it waits for an answer), stopped (it stands at a breakpoint within, and has asked
            nothing), stale (its superstep was over), failed, or cancelled with its run.
        failure: what went wrong, of a failed task.
        events: how many events it has published.
    """

    status: Literal["saved", "paused", "stopped", "stale", "failed", "cancelled"]
    failure: Failure | None = None
    events: Mapping[str, int] = field(default_factory=dict[str, int])

    def to_json(self) -> dict[str, Any]:
        """Return what history records."""
        said: dict[str, Any] = {"status": self.status}
        if self.failure:
            said["failure"] = asdict(self.failure)
        return {**said, "events": dict(self.events)} if self.events else said

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TaskOutcome:
        """Rebuild an outcome."""
        return cls(status=record["status"], failure=_failure(record), events=record.get("events") or {})


ONE_RUN = (
    "calls with one run id are one run, whose input is applied once: give this call a run id of its own (an answer is "
    "Command(resume={id: answer})), or None as its input, to go on"
)
"""Why a call is refused that brings its run another input, and what to do."""


def refused(reason: str) -> RunOutcome:
    """Return the outcome of a call that asks for what would be lost."""
    failure = Failure(node=None, task_id=None, error_type=CallRefusedError.__name__, message=reason)
    return RunOutcome(status="refused", failure=failure)


def _failure(record: Mapping[str, Any]) -> Failure | None:
    failure = record.get("failure")
    return Failure(**failure) if failure else None
