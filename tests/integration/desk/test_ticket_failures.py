"""When the model, the knowledge base, the conversation or time itself fails a ticket."""

from collections.abc import Iterator

import pytest

from tests.kit.desk_stack import DeskStack

APPROVE = {"approved": True}


def test_a_passing_fault_of_the_model_is_not_noticed(stack: DeskStack) -> None:
    stack.order_fault("429", count=1, node="triage")
    stack.order_fault("500", count=1, node="expert")
    stack.file("fault-1")
    stack.wait_for_stage("fault-1", "awaiting_approval")
    assert "needs_attention" not in stack.events("fault-1")


@pytest.mark.parametrize(("node", "graph"), [("triage.assess", "triage"), ("expert.write_analysis", "expert")])
def test_a_model_that_stays_away_stops_the_ticket_and_a_retry_goes_on_where_it_stopped(
    stack: DeskStack, node: str, graph: str
) -> None:
    ticket_id = f"stopped-{graph}"
    stack.order_fault("500", count=100, node=node)
    stack.file(ticket_id)
    stopped = stack.wait_for_stage(ticket_id, "needs_attention", seconds=60)
    assert (stopped["attention"]["graph"], stopped["attention"]["node"]) == (graph, node.partition(".")[2])
    assert stopped["attention"]["message"]
    before = [call["node"] for call in stack.model_calls()]

    stack.forget_faults()
    stack.forget_calls()
    assert stack.post(f"/support/retry/{ticket_id}").body["status"] == "retry_sent"
    stack.wait_for_stage(ticket_id, "awaiting_approval")
    repeated = {call["node"] for call in stack.model_calls()} & set(before)
    assert repeated == {node}, "only the node that failed is run again"
    assert {"needs_attention", "retried", "resumed"} <= set(stack.events(ticket_id))


def test_a_model_that_answers_badly_stops_the_ticket(stack: DeskStack) -> None:
    stack.order_fault("malformed", count=100, node="triage.assess")
    stack.file("malformed-1")
    stopped = stack.wait_for_stage("malformed-1", "needs_attention", seconds=60)
    assert stopped["attention"]["error_type"] == "BadModelAnswerError"
    stack.forget_faults()
    stack.post("/support/retry/malformed-1")
    stack.wait_for_stage("malformed-1", "awaiting_approval")


def test_without_the_knowledge_base_the_ticket_needs_attention(stack: DeskStack) -> None:
    stack.knowledge_base.kill()
    stack.file("kb-down")
    stopped = stack.wait_for_stage("kb-down", "needs_attention", seconds=60)
    assert stopped["attention"]["error_type"] == "KnowledgeBaseUnavailableError"
    assert stack.get("/health/ready").status == 503
    stack.start_knowledge_base()
    stack.forget_calls()
    stack.post("/support/retry/kb-down")
    stack.wait_for_stage("kb-down", "awaiting_approval")
    assert "expert.plan_queries" not in [call["node"] for call in stack.model_calls()]


def test_a_question_that_the_knowledge_base_knows_nothing_about_asks_for_a_person(stack: DeskStack) -> None:
    stack.file("nothing-1", "CUST001", "Zxqv wibble frobnicate grault.")
    waiting = stack.wait_for_stage("nothing-1", "awaiting_approval")
    assert waiting["analysis"]["needs_person"] is True


def test_without_the_conversation_the_customer_gets_the_approved_text_in_a_template(stack: DeskStack) -> None:
    stack.file("fallback-1")
    waiting = stack.wait_for_stage("fallback-1", "awaiting_approval")
    stack.order_fault("500", count=100)
    stack.post("/support/approve/fallback-1", APPROVE)
    solved = stack.wait_for_stage("fallback-1", "solved", seconds=60)
    assert solved["notification"]["fallback"] is True
    assert waiting["proposed_solution"] in solved["notification"]["body"]


def test_of_many_decisions_at_once_one_is_taken_and_one_message_goes_out(stack: DeskStack) -> None:
    stack.file("rush-1")
    stack.wait_for_stage("rush-1", "awaiting_approval")
    stack.forget_calls()
    statuses = [answer.status for answer in stack.post_at_once("/support/approve/rush-1", APPROVE, times=8)]
    assert sorted(statuses) == [200, *[409] * 7]
    stack.wait_for_stage("rush-1", "solved")
    assert stack.events("rush-1").count("notified") == 1
    assert len(stack.model_calls()) == 1


class TestShortApproval:
    """A desk whose proposals wait for three seconds."""

    @pytest.fixture(autouse=True)
    def _three_seconds(self, stack: DeskStack) -> Iterator[None]:
        stack.restart_app(APPROVAL_TIMEOUT="3s", APPROVAL_REMINDER_INTERVAL="1s")
        yield
        stack.restart_app()

    def test_nobody_decides_in_time(self, stack: DeskStack) -> None:
        stack.file("late-1")
        stack.wait_for_stage("late-1", "awaiting_approval")
        escalated = stack.wait_for_stage("late-1", "escalated")
        assert escalated["decision"]["verdict"] == "timed_out"
        assert escalated["notification"]["fallback"] is False
        late = stack.post("/support/approve/late-1", APPROVE)
        assert (late.status, late.body["type"]) == (409, "/problems/decision-not-awaited")
        events = stack.events("late-1")
        assert events.count("reminder") == 2
        assert events[-3:] == ["decision", "escalated", "notified"]
