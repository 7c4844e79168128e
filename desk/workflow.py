"""The life of a ticket as a Dapr workflow: it decides what comes next, and activities do it.

Dapr runs this code again from its history, so it has no clock, no I/O and no state of its own. Decisions and retries
live in the database; an event only makes the workflow look there, and it also looks now and then without one.
"""

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, RetryPolicy

from dapr_bridge import GraphFailedError, GraphNotFoundError, Reference, call_graph
from desk.stages import (
    DECISION_EVENT,
    RETRY_EVENT,
    Outcome,
    Stage,
    Verdict,
    decision_id,
    expert_thread,
    notification_key,
    triage_thread,
)
from desk.steps import (
    EXPIRE_PROPOSAL,
    LOOK_UP_DECISION,
    LOOK_UP_RETRY,
    NOTE_FAILURE,
    NOTIFY_CUSTOMER,
    OPEN_TICKET,
    RECORD_PROPOSAL,
    RECORD_TRIAGE,
    REMEMBER_SOLUTION,
    REMIND,
    SEND_BACK,
    Conclusion,
    DecisionNote,
    Opening,
    Order,
    ReferenceRecord,
    TriageNote,
)

Steps = Generator[Any, Any, Any]

# Longer than any restart of a database or a sidecar; a ticket whose workflow gives up all the same needs attention.
_PATIENCE = RetryPolicy(
    first_retry_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    max_retry_interval=timedelta(seconds=30),
    max_number_of_attempts=200,
)
# Looking too often would fill the history of a ticket that waits for days.
_MOST_LOOKS = 200
_LONGEST_PAUSE = timedelta(hours=12)

_MESSAGE_LIMIT = 2_000


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One ticket in the hands of its workflow."""

    ctx: DaprWorkflowContext
    ticket_id: str
    run: int
    rules: Opening
    traceparent: str | None

    def do(self, activity: str, **given: Any) -> Any:
        """Schedule an activity for this ticket."""
        return _do(self.ctx, activity, {"ticket_id": self.ticket_id, **given})


def support_ticket(ctx: DaprWorkflowContext, order: Order) -> Generator[Any, Any, Conclusion]:
    """Take a ticket from triage to a notified customer."""
    rules: Opening = yield _do(ctx, OPEN_TICKET, {"ticket_id": order["ticket_id"], "run": order["run"]})
    if rules["outcome"] is not None:
        return {"ticket_id": order["ticket_id"], "outcome": rules["outcome"], "notification_key": None}
    case = _Case(
        ctx=ctx, ticket_id=order["ticket_id"], run=order["run"], rules=rules, traceparent=order.get("traceparent")
    )
    outcome, decision = yield from _work(case)
    ctx.set_custom_status(Stage.NOTIFYING.value)
    yield case.do(NOTIFY_CUSTOMER, outcome=outcome.value, decision=decision)
    if outcome is Outcome.SOLVED:
        yield case.do(REMEMBER_SOLUTION)
    ctx.set_custom_status(outcome.value)
    key = notification_key(case.ticket_id, decision)
    return {"ticket_id": case.ticket_id, "outcome": outcome.value, "notification_key": key}


def _work(case: _Case) -> Generator[Any, Any, tuple[Outcome, str]]:
    """Bring the ticket to its outcome; returns it with the id of the decision that it rests on."""
    note: TriageNote = yield from _triage(case)
    given = note["expert_input"]
    if given is None:
        return Outcome.DECLINED, Outcome.DECLINED.value
    for round_number in itertools.count(1):
        known = yield from _propose(case, given, round_number=round_number)
        verdict: Verdict = yield from _await_decision(case, round_number=round_number, known=known)
        if verdict in (Verdict.APPROVED, Verdict.EDITED):
            return Outcome.SOLVED, decision_id(round_number)
        if verdict is Verdict.TIMED_OUT or round_number > case.rules["max_expert_rounds"]:
            return Outcome.ESCALATED, decision_id(round_number)
        given = yield case.do(SEND_BACK, round=round_number)
    raise AssertionError("counting has no end")


def _triage(case: _Case) -> Steps:
    case.ctx.set_custom_status(Stage.TRIAGE.value)
    yield from _run_graph(case, "triage", case.rules["triage_input"], thread_id=triage_thread(case.ticket_id))
    note = yield case.do(RECORD_TRIAGE)
    return note


def _propose(case: _Case, given: ReferenceRecord, *, round_number: int) -> Generator[Any, Any, DecisionNote | None]:
    """Bring a round to its proposal; returns what is known of a decision on it."""
    case.ctx.set_custom_status(Stage.ANALYSIS.value)
    thread_id = expert_thread(case.ticket_id, round_number=round_number)
    yield from _run_graph(case, "expert", given, thread_id=thread_id)
    note = yield case.do(RECORD_PROPOSAL, round=round_number)
    return note


def _run_graph(case: _Case, graph: str, given: ReferenceRecord, *, thread_id: str) -> Steps:
    """Run a graph to its end, however many times somebody has to mend something in between."""
    for attempt in itertools.count(1):
        try:
            # One run id for all attempts: a later one goes on behind the nodes that an earlier one has finished.
            yield from call_graph(
                case.ctx,
                graph,
                Reference.from_json(given),
                thread_id=thread_id,
                run_id=thread_id,
                traceparent=case.traceparent,
            )
        except (GraphFailedError, GraphNotFoundError) as error:
            yield from _await_retry(case, graph, error, step=f"{thread_id}#{case.run}.{attempt}")
        else:
            return


def _await_retry(case: _Case, graph: str, error: GraphFailedError | GraphNotFoundError, *, step: str) -> Steps:
    case.ctx.set_custom_status(Stage.NEEDS_ATTENTION.value)
    if isinstance(error, GraphFailedError):
        node, error_type, message = error.node, error.error_type, error.message
    else:
        node, error_type, message = None, GraphNotFoundError.__name__, str(error)
    message = message[:_MESSAGE_LIMIT]
    yield case.do(NOTE_FAILURE, step=step, graph=graph, node=node, error_type=error_type, message=message)
    pause = timedelta(seconds=case.rules["poll_interval"])
    while not (yield case.do(LOOK_UP_RETRY, step=step)):
        yield from _sleep_until_woken(case.ctx, RETRY_EVENT, pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _await_decision(case: _Case, *, round_number: int, known: DecisionNote | None) -> Generator[Any, Any, Verdict]:
    """Wait for the decision on a round's proposal, with reminders and no longer than allowed.

    `known` is what was told of it with the proposal; tickets of earlier versions were told nothing.
    """
    case.ctx.set_custom_status(Stage.AWAITING_APPROVAL.value)
    begun: datetime = case.ctx.current_utc_datetime
    deadline = begun + timedelta(seconds=case.rules["approval_timeout"])
    reminders = 0
    while True:
        now = case.ctx.current_utc_datetime
        look = LOOK_UP_DECISION if now < deadline else EXPIRE_PROPOSAL
        note: DecisionNote = known or (yield case.do(look, round=round_number))
        if note["verdict"] is not None:
            return Verdict(note["verdict"])
        known = None
        reminder_at = begun + timedelta(seconds=case.rules["reminder_interval"]) * (reminders + 1)
        if reminder_at <= now:
            reminders += 1
            yield case.do(REMIND, round=round_number, number=reminders)
            continue
        wake_at = min(deadline, reminder_at, now + _look_interval(case.rules))
        yield from _sleep_until_woken(case.ctx, DECISION_EVENT, wake_at - now)


def _sleep_until_woken(ctx: DaprWorkflowContext, event: str, pause: timedelta) -> Steps:
    try:
        yield ctx.wait_for_external_event(event, timeout=pause)
    except TimeoutError:
        return


def _look_interval(rules: Opening) -> timedelta:
    return timedelta(seconds=max(rules["poll_interval"], rules["approval_timeout"] / _MOST_LOOKS))


def _do(ctx: DaprWorkflowContext, activity: str, given: dict[str, Any]) -> Any:
    return ctx.call_activity(activity, input=given, retry_policy=_PATIENCE)
