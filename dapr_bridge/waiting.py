"""`wait_for`: what a run asks inside one's own workflow, answered by a Dapr external event."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy, TaskFailedError
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._answers import cancelled_run, read_answers
from dapr_bridge._payloads import Payload, encode_inline
from dapr_bridge._wire import RunOutcome, RunRequest
from dapr_bridge.errors import CallRefusedError

logger = logging.getLogger(__name__)

_NO_DEFAULT = object()

# A notification that keeps failing is given up; the question waits on without it.
_SOME_TRIES = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=10),
    max_number_of_attempts=5,
)

Steps = Generator[Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class EventWait:
    """How a workflow waits for answers; see `wait_for`."""

    event: str
    timeout: timedelta | None
    notify: str | None
    remind_every: timedelta | None
    default: Any

    def default_answer(self, serde: SerializerProtocol) -> Payload | None:
        """Return the answer in place of one that does not come, or None when there is none.

        Raises:
            PayloadTooLargeError: it has to be given by `Reference`.
        """
        if self.default is _NO_DEFAULT:
            return None
        return encode_inline(self.default, serde, what=f"the default answer of event {self.event!r}")


def wait_for(
    event: str,
    *,
    timeout: timedelta | None = None,
    notify: str | None = None,
    remind_every: timedelta | None = None,
    default: Any = _NO_DEFAULT,
) -> EventWait:
    """Let `call_graph` wait for the answers to what a run asks: `on_interrupt=wait_for("approval", ...)`.

    The event's data is the answer to the one question that waits, or answers by interrupt id, `{id: answer}`, which may
    come one after the other. Whatever else comes is refused: logged, and told to `notify`; the workflow waits on.

    Args:
        event: name of the Dapr external event.
        timeout: how long each question waits for its answer; for ever when not given.
        notify: name of an activity that is called with a record when something is asked, each `remind_every`, and when
            an answer was refused.
        remind_every: how often to remind of what still waits.
        default: the answer in place of one that has not come in time; without it `call_graph` raises
            `UnansweredError`.

    Raises:
        CallRefusedError: the arguments contradict each other.
    """
    for name, pause in (("timeout", timeout), ("remind_every", remind_every)):
        if pause is not None and pause <= timedelta(0):
            raise CallRefusedError(f"wait_for({event!r}, {name}={pause!r}): give a time above zero, or leave it out")
    if remind_every is not None and notify is None:
        raise CallRefusedError(f"wait_for({event!r}, remind_every=...): nobody is reminded without `notify`")
    if default is not _NO_DEFAULT and timeout is None:
        raise CallRefusedError(f"wait_for({event!r}, default=...): it is never taken without a `timeout`")
    return EventWait(event=event, timeout=timeout, notify=notify, remind_every=remind_every, default=default)


@dataclass(kw_only=True)
class Waiting:
    """One call's waiting; replayed from history like the workflow that it is part of.

    Attributes:
        ctx: the workflow's context.
        wait: how to wait.
        request: the run that asks.
        default: the answer in place of one that does not come, or None.
    """

    ctx: DaprWorkflowContext
    wait: EventWait
    request: RunRequest
    default: Payload | None
    _asked_at: dict[str, datetime] = field(default_factory=dict[str, datetime], init=False)
    _told_at: datetime | None = field(default=None, init=False)
    _reminders: int = field(default=0, init=False)

    def answers(self, asked: RunOutcome) -> Generator[Any, Any, Mapping[str, Payload] | None]:
        """Wait for answers to some of the questions; none when a deadline has passed without a default.

        Returns None instead of answers when it was woken because the run is cancelled.
        """
        yield from self._note(asked.interrupts)
        waiting = [each["id"] for each in asked.interrupts]
        while True:
            try:
                # Also when a deadline has passed: what had come before it is still there.
                given = yield self.ctx.wait_for_external_event(self.wait.event, timeout=self._pause(waiting))
            except TimeoutError:
                overdue = [each for each in waiting if self._is_overdue(each)]
                if overdue:
                    return {} if self.default is None else dict.fromkeys(overdue, self.default)
                yield from self._remind(asked.interrupts)
                continue
            cancelled = cancelled_run(given)
            if cancelled == asked.run_id:
                return None
            if cancelled is not None:
                # It was meant for an earlier run that this workflow has waited for by the same event.
                continue
            answers = read_answers(given, waiting)
            if not isinstance(answers, str):
                return answers
            yield from self._refuse(answers, asked.interrupts)

    def is_default(self, answers: Mapping[str, Payload]) -> bool:
        """Whether nobody has given these answers."""
        return any(each is self.default for each in answers.values())

    def refuse(self, refused: RunOutcome, asked: RunOutcome) -> Steps:
        """Tell that the worker has refused an answer; what it was to answer waits on."""
        yield from self._refuse(refused.failure.message if refused.failure else "the worker refused", asked.interrupts)

    def _note(self, questions: Sequence[Mapping[str, Any]]) -> Steps:
        now = self.ctx.current_utc_datetime
        new = [each["id"] for each in questions if each["id"] not in self._asked_at]
        self._asked_at |= dict.fromkeys(new, now)
        if new:
            yield from self._tell("asked", questions)

    def _remind(self, questions: Sequence[Mapping[str, Any]]) -> Steps:
        due = self._remind_at()
        if due is not None and due <= self.ctx.current_utc_datetime:
            self._reminders += 1
            yield from self._tell("reminder", questions)

    def _refuse(self, reason: str, questions: Sequence[Mapping[str, Any]]) -> Steps:
        if not self.ctx.is_replaying:
            where = {"thread_id": self.request.thread_id, "instance_id": self.ctx.instance_id}
            logger.warning("event %r brings no answer: %s", self.wait.event, reason, extra=where)
        yield from self._tell("refused", questions, refusal=reason)

    def _tell(
        self,
        reason: Literal["asked", "reminder", "refused"],
        questions: Sequence[Mapping[str, Any]],
        *,
        refusal: str | None = None,
    ) -> Steps:
        if self.wait.notify is None:
            return
        record = {
            "reason": reason,
            "instance_id": self.ctx.instance_id,
            "event": self.wait.event,
            "graph": self.request.graph,
            "thread_id": self.request.thread_id,
            "questions": [self._question(each) for each in questions],
            "reminder": self._reminders,
            "refusal": refusal,
        }
        try:
            yield self.ctx.call_activity(self.wait.notify, input=record, retry_policy=_SOME_TRIES)
        except TaskFailedError as error:
            if not self.ctx.is_replaying:
                logger.warning("activity %r failed, and the question waits on: %s", self.wait.notify, error)
        if reason != "refused":
            self._told_at = self.ctx.current_utc_datetime

    def _question(self, question: Mapping[str, Any]) -> dict[str, Any]:
        deadline = self._deadline(question["id"])
        # Dapr's clock says nothing of its zone, which is UTC.
        told = deadline.replace(tzinfo=UTC).isoformat() if deadline else None
        value: Payload = question["value"]
        shown = {"value": value["json"]} if "json" in value else value
        return {"id": question["id"], "deadline": told, **shown}

    def _deadline(self, question_id: str) -> datetime | None:
        return self._asked_at[question_id] + self.wait.timeout if self.wait.timeout else None

    def _is_overdue(self, question_id: str) -> bool:
        deadline = self._deadline(question_id)
        return deadline is not None and deadline <= self.ctx.current_utc_datetime

    def _remind_at(self) -> datetime | None:
        return self._told_at + self.wait.remind_every if self._told_at and self.wait.remind_every else None

    def _pause(self, waiting: Sequence[str]) -> timedelta | None:
        moments = [self._remind_at(), *(self._deadline(each) for each in waiting)]
        known = [each for each in moments if each is not None]
        return max(min(known) - self.ctx.current_utc_datetime, timedelta(0)) if known else None
