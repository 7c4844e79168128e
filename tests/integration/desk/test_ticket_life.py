"""Tickets from REST to a notified customer, on a real Dapr, MCP server and HTTP to a model."""

import pytest

from desk.approvals import digest_text
from tests.kit.desk_stack import DeskStack, events_of_solved

APPROVE = {"approved": True}


def test_a_ticket_goes_from_rest_to_a_notified_customer(stack: DeskStack) -> None:
    stack.file("life-1")
    waiting = stack.wait_for_stage("life-1", "awaiting_approval")
    assert waiting["triage"]["customer"]["name"] == "Acme Corporation"
    assert {query["category"] for query in waiting["queries"]} == {"connectivity", "configuration", "compatibility"}
    cited = {source["article_id"] for source in waiting["analysis"]["sources"]}
    assert cited
    assert all(article in waiting["proposed_solution"] for article in cited)
    assert waiting["solution_digest"] == digest_text(waiting["proposed_solution"])
    assert stack.get("/support/status/life-1").body["status"] == "RUNNING"

    answer = stack.post("/support/approve/life-1", {**APPROVE, "solution_digest": waiting["solution_digest"]})
    assert answer.body == {"status": "approval_sent", "ticket_id": "life-1", "instance_id": "ticket-life-1"}
    solved = stack.wait_for_stage("life-1", "solved")
    assert waiting["proposed_solution"] in solved["notification"]["body"]
    assert solved["notification"]["fallback"] is False
    assert solved["notification"]["recipient"] == solved["triage"]["customer"]["contact_email"]
    stack.wait_for_status("life-1", "COMPLETED")
    assert stack.get("/support/status/life-1").body["output"] == {
        "ticket_id": "life-1",
        "outcome": "solved",
        "notification_key": "ticket-life-1:round-1",
    }
    assert stack.events("life-1") == events_of_solved(queries=len(waiting["queries"]))


def test_each_model_call_is_made_once(stack: DeskStack) -> None:
    stack.file("once-1")
    stack.wait_for_stage("once-1", "awaiting_approval")
    stack.post("/support/approve/once-1", APPROVE)
    stack.wait_for_stage("once-1", "solved")
    nodes = [call["node"] for call in stack.model_calls()]
    assert len(nodes) == len(set(nodes)), nodes
    assert nodes.count(None) == 1, "the notification is the one call through Dapr's Conversation API"


def test_an_edited_text_reaches_the_customer_word_for_word(stack: DeskStack) -> None:
    stack.file("edit-1")
    stack.wait_for_stage("edit-1", "awaiting_approval")
    text = "Mail ops@acme.example, then run `daprd --dapr-grpc-port 50001` on 10.0.0.12. [KB-CON-004]"
    stack.post("/support/approve/edit-1", {"approved": True, "final_solution": text})
    solved = stack.wait_for_stage("edit-1", "solved")
    assert text in solved["notification"]["body"]
    assert solved["decision"]["verdict"] == "edited"


def test_a_rejection_goes_back_to_the_expert_with_its_reason(stack: DeskStack) -> None:
    stack.file("reject-1")
    stack.wait_for_stage("reject-1", "awaiting_approval")
    reason = "They upgraded the control plane last week, look at the sidecar injector."
    stack.post("/support/approve/reject-1", {"approved": False, "support_notes": reason})
    again = stack.wait_for_ticket(
        "reject-1", lambda ticket: ticket["round"] == 2 and ticket["stage"] == "awaiting_approval", what="round 2"
    )
    assert len(again["proposals"]) == 2
    assert again["decision"]["support_notes"] == reason
    stack.post("/support/approve/reject-1", {**APPROVE, "solution_digest": again["solution_digest"]})
    solved = stack.wait_for_stage("reject-1", "solved")
    assert solved["notification"]["notification_key"] == "ticket-reject-1:round-2"
    assert "sent_back_to_expert" in stack.events("reject-1")


def test_after_too_many_rejections_the_ticket_is_escalated(stack: DeskStack) -> None:
    stack.file("reject-all")
    for round_number in (1, 2, 3):
        stack.wait_for_ticket(
            "reject-all",
            lambda ticket, wanted=round_number: ticket["round"] == wanted and ticket["stage"] == "awaiting_approval",
            what=f"round {round_number}",
        )
        stack.post("/support/approve/reject-all", {"approved": False, "support_notes": "No."})
    escalated = stack.wait_for_stage("reject-all", "escalated")
    assert "senior" in escalated["notification"]["body"]


def test_a_customer_without_support_is_told_why_and_nothing_else_is_spent(stack: DeskStack) -> None:
    stack.file("declined-1", "CUST003")
    declined = stack.wait_for_stage("declined-1", "declined")
    assert declined["triage"]["entitlement_reason"] in declined["notification"]["body"]
    assert "What you can do" in declined["notification"]["body"]
    assert not any((call["node"] or "").startswith("expert") for call in stack.model_calls())


def test_an_unknown_customer_is_an_answer_of_its_own(stack: DeskStack) -> None:
    stack.file("unknown-1", "CUST999")
    declined = stack.wait_for_stage("unknown-1", "declined")
    assert declined["triage"]["known"] is False
    assert "CUST999" in declined["notification"]["body"]
    assert declined["notification"]["recipient"] is None


@pytest.mark.parametrize("customer_id", ["CUST001", "CUST002"])
def test_every_entitled_sample_customer_gets_a_proposal(stack: DeskStack, customer_id: str) -> None:
    stack.file(f"entitled-{customer_id}", customer_id)
    waiting = stack.wait_for_stage(f"entitled-{customer_id}", "awaiting_approval")
    assert waiting["triage"]["system"]["customer_id"] == customer_id


def test_the_expert_remembers_a_customers_solved_tickets(stack: DeskStack) -> None:
    stack.file("memory-1", "CUST002", "Pub/sub messages are delivered twice after a restart of Kafka.")
    stack.wait_for_stage("memory-1", "awaiting_approval")
    stack.post("/support/approve/memory-1", APPROVE)
    stack.wait_for_stage("memory-1", "solved")
    stack.wait_for_status("memory-1", "COMPLETED")
    items = stack.read_memory("CUST002")
    assert "memory-1" in [item["ticket_id"] for item in items]


def test_the_same_ticket_twice_is_worked_on_once(stack: DeskStack) -> None:
    for _ in range(3):
        stack.file("twice-1")
    stack.wait_for_stage("twice-1", "awaiting_approval")
    stack.file("twice-1")
    assert stack.events("twice-1").count("started") == 1
    conflict = stack.post(
        "/support/ticket", {"ticket_id": "twice-1", "customer_id": "CUST002", "description": "Something else."}
    )
    assert conflict.status == 409


def test_a_finished_ticket_is_not_worked_on_again(stack: DeskStack) -> None:
    stack.file("closed-1", "CUST003")
    stack.wait_for_stage("closed-1", "declined")
    before = stack.events("closed-1")
    stack.file("closed-1", "CUST003")
    assert stack.events("closed-1") == before


def test_decisions_out_of_turn_are_refused(stack: DeskStack) -> None:
    stack.file("turn-1")
    stack.wait_for_stage("turn-1", "awaiting_approval")
    stale = stack.post("/support/approve/turn-1", {**APPROVE, "solution_digest": "0" * 64})
    assert (stale.status, stale.body["type"]) == (409, "/problems/solution-changed")
    assert stack.post("/support/approve/turn-1", APPROVE).status == 200
    second = stack.post("/support/approve/turn-1", APPROVE)
    assert (second.status, second.body["type"]) == (409, "/problems/decision-already-made")
    stack.wait_for_stage("turn-1", "solved")
    assert stack.post("/support/approve/turn-1", APPROVE).status == 409
    assert stack.post("/support/retry/turn-1").status == 409


def test_the_graphs_are_registered_with_their_fingerprints(stack: DeskStack) -> None:
    for name in ("triage", "expert"):
        entry = stack.read_state("registry-state", f"graph-{name}")
        assert entry["graph"] == name
        assert len(entry["fingerprint"]) == 16


def test_the_analysis_is_in_its_state_store(stack: DeskStack) -> None:
    stack.file("stored-1")
    waiting = stack.wait_for_stage("stored-1", "awaiting_approval")
    assert stack.read_state("analysis-state", "analysis-stored-1") == waiting["analysis"]


def test_the_stores_of_the_sample_data_are_counted(stack: DeskStack) -> None:
    assert stack.get("/health/data").body == {"stores": {"customer-state": 3, "system-state": 3}, "loaded": True}
