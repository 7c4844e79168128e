"""The activities with a real database: what they leave behind, once and twice."""

from datetime import timedelta

import pytest

from desk.approvals import Answer, digest_text
from desk.errors import DaprUnavailableError, DeliveryBusyError
from desk.stages import Outcome, Stage, expert_thread, triage_thread
from desk.steps import RoundRequest
from tests.kit.desk_fakes import refused, triage_report
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio


async def notify(room: DeskRoom, outcome: Outcome = Outcome.SOLVED, decision: str = "round-1") -> None:
    await room.activities.notify_customer({"ticket_id": "T-1", "outcome": outcome, "decision": decision})


async def test_opening_a_ticket_fixes_its_rules(room: DeskRoom) -> None:
    await room.file()
    rules = await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    assert rules["approval_timeout"] == 86400
    assert rules["reminder_interval"] == 21600
    assert room.graphs.kept[rules["triage_input"]["reference"]] == {
        "ticket_id": "T-1",
        "customer_id": "CUST001",
        "description": "Services cannot call each other.",
    }
    assert await room.stage() == Stage.TRIAGE


async def test_the_expert_gets_the_ticket_and_its_triage(room: DeskRoom) -> None:
    await room.bring_to_approval()
    given = room.graphs.kept["T-1/expert/1/input"]
    assert given["triage"] == triage_report()
    assert given["feedback"] is None


async def test_a_proposal_is_stored_in_dapr_and_announced_with_a_stable_event_id(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.activities.record_proposal({"ticket_id": "T-1", "round": 1})
    stored = room.sidecar.stores["analysis-state"]["analysis-T-1"]
    assert stored["proposed_solution"] == "Open port 50002. [KB-CON-001]"
    pubsub, topic, message, event_id = room.sidecar.published[0]
    assert (pubsub, topic, event_id) == ("support-pubsub", "solution-ready", "ticket-T-1:solution-ready:1")
    assert message["solution_digest"] == digest_text("Open port 50002. [KB-CON-001]")
    assert {each[3] for each in room.sidecar.published} == {event_id}


async def test_a_proposal_that_comes_again_is_told_with_its_decision(room: DeskRoom) -> None:
    request: RoundRequest = {"ticket_id": "T-1", "round": 1}
    await room.bring_to_approval()
    assert await room.activities.record_proposal(request) == {"verdict": None}
    await room.approvals.decide("T-1", Answer(approved=True))
    assert await room.activities.record_proposal(request) == {"verdict": "approved"}


async def test_a_rejected_ticket_returns_to_the_expert_with_the_reason(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=False, support_notes="We are on Redis."))
    reference = await room.activities.send_back({"ticket_id": "T-1", "round": 1})
    assert room.graphs.kept[reference["reference"]]["feedback"] == "We are on Redis."
    assert (await room.tickets.get("T-1")).round == 2
    await room.activities.record_proposal({"ticket_id": "T-1", "round": 2})
    file = await room.tickets.open_file("T-1")
    assert [proposal.solution for proposal in file.proposals][1] == "Second thoughts."
    assert file.ticket.stage == Stage.AWAITING_APPROVAL


async def test_the_customer_is_told_once_however_often_the_activity_runs(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True, final_solution="Do this."))
    for _ in range(3):
        await notify(room)
    file = await room.tickets.open_file("T-1")
    [delivery] = file.deliveries
    assert "Do this." in delivery.body
    assert (delivery.recipient, delivery.notification_key) == ("ops@acme.example", "ticket-T-1:round-1")
    assert delivery.delivered_at is not None
    assert len(room.channel.delivered) == len(room.sidecar.asked) == 1
    assert file.ticket.stage == Stage.SOLVED
    assert (await room.events()).count("notified") == 1


async def test_a_message_whose_hand_over_was_killed_is_handed_over_later(
    room: DeskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    monkeypatch.setattr("desk.outbox._CLAIM", timedelta(0))
    room.channel.failures = 1
    with pytest.raises(ConnectionError):
        await notify(room)
    assert await room.stage() == Stage.NOTIFYING
    await notify(room)
    assert len(room.channel.delivered) == len(room.sidecar.asked) == 1


async def test_a_message_that_another_process_is_handing_over_is_left_to_it(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    room.channel.failures = 1
    with pytest.raises(ConnectionError):
        await notify(room)
    with pytest.raises(DeliveryBusyError, match="ticket-T-1:round-1"):
        await notify(room)
    assert room.channel.delivered == []


async def test_a_message_that_fell_back_stays_as_it_is(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    room.sidecar.letters = [refused()] * 3
    await notify(room)
    await notify(room)
    [delivery] = (await room.tickets.open_file("T-1")).deliveries
    assert delivery.fallback
    assert "Open port 50002. [KB-CON-001]" in delivery.body


async def test_nothing_is_written_while_the_sidecar_is_away(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    room.sidecar.alive = False
    with pytest.raises(DaprUnavailableError):
        await notify(room)
    assert (await room.tickets.open_file("T-1")).deliveries == ()


@pytest.mark.parametrize(
    ("known", "said"), [(True, "The Basic plan includes no support."), (False, "could not find a customer")]
)
async def test_who_gets_no_support_is_told_why_and_what_to_do(room: DeskRoom, *, known: bool, said: str) -> None:
    await room.file()
    room.graphs.final[triage_thread("T-1")] = {"triage": triage_report(known=known, entitled=False)}
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    note = await room.activities.record_triage({"ticket_id": "T-1"})
    assert note == {"entitled": False, "expert_input": None}
    await notify(room, Outcome.DECLINED, "declined")
    body = room.channel.delivered[0].body
    assert said in body
    assert "What you can do" in body
    assert await room.stage() == Stage.DECLINED


async def test_an_escalated_ticket_says_so_in_the_trail_and_to_the_customer(room: DeskRoom) -> None:
    await room.bring_to_approval()
    note = await room.activities.expire_proposal({"ticket_id": "T-1", "round": 1})
    assert note == {"verdict": "timed_out"}
    await notify(room, Outcome.ESCALATED)
    assert (await room.events())[-3:] == ["decision", "escalated", "notified"]
    assert "senior" in room.channel.delivered[0].body


async def test_a_solved_ticket_is_remembered(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True, final_solution="Do this."))
    await room.activities.remember_solution({"ticket_id": "T-1"})
    customer_id, solved = room.memory.solved[0]
    assert (customer_id, solved["ticket_id"], solved["solution"]) == ("CUST001", "T-1", "Do this.")
    assert solved["summary"] == "A port is closed."


async def test_a_failure_is_noted_with_its_reason_and_answered_by_a_retry(room: DeskRoom) -> None:
    await room.file()
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    await room.activities.note_failure(
        {
            "ticket_id": "T-1",
            "step": "T-1/triage#1.1",
            "graph": "triage",
            "node": "assess",
            "error_type": "ModelUnavailableError",
            "message": "HTTP 500",
        }
    )
    request = {"ticket_id": "T-1", "step": "T-1/triage#1.1"}
    assert not await room.activities.look_up_retry(request)  # pyright: ignore[reportArgumentType]
    room.engine.views["ticket-T-1"] = room.engine.views["ticket-T-1"]
    await room.desk.retry("T-1")
    assert await room.activities.look_up_retry(request)  # pyright: ignore[reportArgumentType]
    assert room.engine.woken == [("ticket-T-1", "retry_requested")]


def test_threads_of_one_ticket_are_told_apart() -> None:
    names = {triage_thread("T"), expert_thread("T", round_number=1), expert_thread("T", round_number=2)}
    assert len(names) == 3
