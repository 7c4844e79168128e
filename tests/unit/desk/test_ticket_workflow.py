"""The ticket workflow, driven without Dapr and replayed from its history each time."""

from datetime import timedelta
from typing import Any

import pytest

from desk import steps
from desk.stages import DECISION_EVENT, RETRY_EVENT
from desk.workflow import support_ticket
from tests.kit.workflow_replay import WorkflowRun, not_registered

ORDER = {"ticket_id": "T-1", "run": 1}
RULES = {
    "outcome": None,
    "triage_input": {"reference": "T-1/triage/input"},
    "approval_timeout": 3600.0,
    "reminder_interval": 900.0,
    "poll_interval": 60.0,
    "max_expert_rounds": 2,
}
FINISHED = {"status": "finished", "checkpoint_id": "c"}
FAILED = {
    "status": "failed",
    "failure": {"node": "assess", "task_id": "t", "error_type": "ModelUnavailableError", "message": "HTTP 500"},
}


class Desk:
    """Answers a workflow's activities; tests change the answers."""

    def __init__(self) -> None:
        self.rules: dict[str, Any] = dict(RULES)
        self.entitled = True
        self.verdicts: dict[int, str | None] = {1: "approved"}
        self.graphs: dict[str, list[Any]] = {}
        self.retried = True

    def __call__(self, name: str, given: Any) -> Any:
        if name.endswith(":advance"):
            left = self.graphs.get(name, [])
            return left.pop(0) if left else FINISHED
        answers = {
            steps.OPEN_TICKET: lambda: self.rules,
            steps.RECORD_TRIAGE: self._triage,
            steps.RECORD_PROPOSAL: lambda: self._decision(given),
            steps.LOOK_UP_DECISION: lambda: self._decision(given),
            steps.EXPIRE_PROPOSAL: lambda: {"verdict": self.verdicts.get(given["round"]) or "timed_out"},
            steps.SEND_BACK: lambda: {"reference": f"T-1/expert/{given['round'] + 1}/input"},
            steps.LOOK_UP_RETRY: lambda: self.retried,
        }
        return answers.get(name, lambda: None)()

    def _decision(self, given: Any) -> dict[str, Any]:
        return {"verdict": self.verdicts.get(given["round"])}

    def _triage(self) -> dict[str, Any]:
        reference = {"reference": "T-1/expert/1/input"} if self.entitled else None
        return {"entitled": self.entitled, "expert_input": reference}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def run(desk: Desk) -> WorkflowRun:
    return WorkflowRun(support_ticket, ORDER, desk)


def test_an_approved_solution_reaches_the_customer(run: WorkflowRun) -> None:
    assert run.to_end() == {
        "ticket_id": "T-1",
        "outcome": "solved",
        "notification_key": "ticket-T-1:round-1",
    }
    assert run.names() == [
        steps.OPEN_TICKET,
        "triage:advance",
        steps.RECORD_TRIAGE,
        "expert:advance",
        steps.RECORD_PROPOSAL,
        steps.NOTIFY_CUSTOMER,
        steps.REMEMBER_SOLUTION,
    ]
    assert run.context.statuses == ["triage", "analysis", "awaiting_approval", "notifying", "solved"]


def test_history_carries_references_and_no_text(run: WorkflowRun) -> None:
    run.to_end()
    triage, expert = run.named("triage:advance")[0], run.named("expert:advance")[0]
    assert (triage["input"], triage["thread_id"]) == ({"reference": "T-1/triage/input"}, "T-1/triage")
    assert (expert["input"], expert["thread_id"]) == ({"reference": "T-1/expert/1/input"}, "T-1/expert/1")


def test_who_is_not_entitled_is_told_and_nothing_else_is_spent(run: WorkflowRun, desk: Desk) -> None:
    desk.entitled = False
    assert run.to_end()["outcome"] == "declined"
    assert run.named("expert:advance") == []
    assert run.named(steps.NOTIFY_CUSTOMER) == [{"ticket_id": "T-1", "outcome": "declined", "decision": "declined"}]


def test_a_closed_ticket_is_left_alone(run: WorkflowRun, desk: Desk) -> None:
    desk.rules["outcome"] = "solved"
    assert run.to_end() == {"ticket_id": "T-1", "outcome": "solved", "notification_key": None}
    assert run.names() == [steps.OPEN_TICKET]


def test_a_decision_is_found_after_its_event(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = {}

    def decide(event: str) -> None:
        desk.verdicts[1] = "edited"
        run.events.append(event)

    run.on_wait = decide
    assert run.to_end()["outcome"] == "solved"
    assert run.names().count(DECISION_EVENT) == 1


def test_a_decision_whose_event_was_lost_is_found_all_the_same(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = {}
    run.on_wait = lambda _: desk.verdicts.update({1: "approved"})
    begun = run.context.current_utc_datetime
    assert run.to_end()["outcome"] == "solved"
    assert run.context.current_utc_datetime - begun < timedelta(seconds=65)


def test_a_rejection_goes_back_to_the_expert_in_a_thread_of_its_own(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = {1: "rejected", 2: "approved"}
    assert run.to_end()["notification_key"] == "ticket-T-1:round-2"
    assert [call["thread_id"] for call in run.named("expert:advance")] == ["T-1/expert/1", "T-1/expert/2"]
    assert run.named("expert:advance")[1]["input"] == {"reference": "T-1/expert/2/input"}
    assert run.named(steps.SEND_BACK) == [{"ticket_id": "T-1", "round": 1}]


def test_after_too_many_rejections_the_ticket_is_escalated(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = dict.fromkeys(range(1, 9), "rejected")
    assert run.to_end()["outcome"] == "escalated"
    assert len(run.named("expert:advance")) == 3
    assert run.named(steps.NOTIFY_CUSTOMER)[0]["decision"] == "round-3"


def test_without_a_decision_the_ticket_is_escalated_at_the_deadline_with_reminders_before(
    run: WorkflowRun, desk: Desk
) -> None:
    desk.verdicts = {}
    begun = run.context.current_utc_datetime
    assert run.to_end()["outcome"] == "escalated"
    waited = run.context.current_utc_datetime - begun
    assert timedelta(hours=1) <= waited < timedelta(hours=1, seconds=10)
    assert [call["number"] for call in run.named(steps.REMIND)] == [1, 2, 3]


def test_a_decision_that_came_at_the_last_moment_counts(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = {}
    at_last = run.context.current_utc_datetime + timedelta(minutes=58, seconds=30)

    def decide(_: str) -> None:
        if run.context.current_utc_datetime >= at_last:
            desk.verdicts[1] = "approved"

    run.on_wait = decide
    assert run.to_end()["outcome"] == "solved"


def test_a_long_wait_keeps_a_short_history(run: WorkflowRun, desk: Desk) -> None:
    desk.verdicts = {}
    desk.rules |= {"approval_timeout": 30 * 86400.0, "reminder_interval": 7 * 86400.0}
    assert run.to_end()["outcome"] == "escalated"
    assert len(run.history) < 450


def test_a_graph_that_fails_waits_for_a_retry_and_goes_on_as_the_same_run(run: WorkflowRun, desk: Desk) -> None:
    desk.graphs["triage:advance"] = [FAILED]
    desk.retried = False

    def retry(event: str) -> None:
        assert event == RETRY_EVENT
        desk.retried = True
        run.events.append(event)

    run.on_wait = retry
    assert run.to_end()["outcome"] == "solved"
    [failure] = run.named(steps.NOTE_FAILURE)
    assert failure == {
        "ticket_id": "T-1",
        "step": "T-1/triage#1.1",
        "graph": "triage",
        "node": "assess",
        "error_type": "ModelUnavailableError",
        "message": "HTTP 500",
    }
    calls = run.named("triage:advance")
    assert len(calls) == 2
    assert {(call["thread_id"], call["run_id"]) for call in calls} == {("T-1/triage", "T-1/triage")}
    assert "needs_attention" in run.context.statuses


def test_each_failure_of_one_graph_is_a_failure_of_its_own(run: WorkflowRun, desk: Desk) -> None:
    desk.graphs["expert:advance"] = [FAILED, FAILED]
    assert run.to_end()["outcome"] == "solved"
    assert [call["step"] for call in run.named(steps.NOTE_FAILURE)] == ["T-1/expert/1#1.1", "T-1/expert/1#1.2"]


def test_a_graph_that_no_worker_hosts_needs_attention_like_a_failure(run: WorkflowRun, desk: Desk) -> None:
    desk.graphs["expert:advance"] = [not_registered("expert:advance")]

    assert run.to_end()["outcome"] == "solved"

    [failure] = run.named(steps.NOTE_FAILURE)
    assert (failure["graph"], failure["node"], failure["error_type"]) == ("expert", None, "GraphNotFoundError")
    assert "no graph 'expert' on the worker of this app" in failure["message"]


def test_a_ticket_that_waits_for_weeks_for_its_retry_keeps_a_short_history(run: WorkflowRun, desk: Desk) -> None:
    desk.graphs["triage:advance"] = [FAILED]
    desk.retried = False
    enough = run.context.current_utc_datetime + timedelta(days=60)

    def retry(_: str) -> None:
        desk.retried = run.context.current_utc_datetime > enough

    run.on_wait = retry
    assert run.to_end()["outcome"] == "solved"
    assert len(run.history) < 300


def test_an_endless_error_message_does_not_fill_the_history(run: WorkflowRun, desk: Desk) -> None:
    failure = {**FAILED["failure"], "message": "x" * 100_000}  # pyright: ignore[reportGeneralTypeIssues]
    desk.graphs["triage:advance"] = [{"status": "failed", "failure": failure}]
    run.to_end()
    assert len(run.named(steps.NOTE_FAILURE)[0]["message"]) == 2000


def test_both_graphs_run_in_the_trace_of_the_request_that_filed_the_ticket(desk: Desk) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run = WorkflowRun(support_ticket, {**ORDER, "traceparent": traceparent}, desk)
    run.to_end()
    graphs = [given for name in ("triage", "expert") for given in run.named(f"{name}:advance")]
    assert [given["caller_trace"] for given in graphs] == [traceparent] * 2
