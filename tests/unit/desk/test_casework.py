"""What the workflow writes down, each step once."""

import pytest

from desk.casework import Failure
from desk.errors import RetryRefusedError
from desk.stages import Event, Outcome, Stage
from tests.kit.desk_fakes import triage_report
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

FAILURE = Failure(graph="expert", node="plan_queries", error_type="ModelUnavailableError", message="HTTP 500")


async def test_the_trail_tells_the_whole_story(room: DeskRoom) -> None:
    await room.bring_to_approval()
    assert await room.events() == [
        Event.RECEIVED,
        Event.STARTED,
        Event.TRIAGED,
        Event.QUERIED,
        Event.QUERIED,
        Event.QUERIED,
        Event.PROPOSED,
    ]


async def test_steps_that_are_repeated_change_nothing(room: DeskRoom) -> None:
    await room.bring_to_approval()
    before = await room.tickets.read_trail("T-1")
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    await room.activities.record_triage({"ticket_id": "T-1"})
    await room.activities.record_proposal({"ticket_id": "T-1", "round": 1})
    assert await room.tickets.read_trail("T-1") == before
    assert await room.stage() == Stage.AWAITING_APPROVAL


async def test_who_is_not_entitled_gets_no_round_of_the_expert(room: DeskRoom) -> None:
    await room.file()
    await room.casework.open("T-1", run=1)
    await room.casework.record_triage("T-1", triage_report(entitled=False))
    ticket = await room.tickets.get("T-1")
    assert (ticket.stage, ticket.round) == (Stage.NOTIFYING, 0)


async def test_a_retry_returns_the_ticket_to_where_it_stopped(room: DeskRoom) -> None:
    await room.file()
    await room.casework.open("T-1", run=1)
    await room.casework.record_triage("T-1", triage_report())
    await room.casework.need_attention("T-1", FAILURE, step="expert#1.1")
    stopped = await room.tickets.get("T-1")
    assert (stopped.stage, (stopped.attention or {})["message"]) == (Stage.NEEDS_ATTENTION, "HTTP 500")
    assert not await room.casework.resume("T-1", step="expert#1.1")

    assert (await room.casework.retry("T-1", restart=False)).stage == Stage.RETRYING
    assert await room.casework.resume("T-1", step="expert#1.1")
    going_on = await room.tickets.get("T-1")
    assert (going_on.stage, going_on.attention) == (Stage.ANALYSIS, None)


async def test_a_failure_reported_again_after_its_retry_does_not_stop_the_ticket(room: DeskRoom) -> None:
    await room.file()
    await room.casework.open("T-1", run=1)
    await room.casework.need_attention("T-1", FAILURE, step="triage#1.1")
    await room.casework.retry("T-1", restart=False)
    await room.casework.need_attention("T-1", FAILURE, step="triage#1.1")
    assert await room.stage() == Stage.RETRYING
    assert await room.casework.resume("T-1", step="triage#1.1")
    assert await room.casework.resume("T-1", step="triage#1.1"), "the same question gets the same answer"


async def test_a_second_failure_stops_the_ticket_again(room: DeskRoom) -> None:
    await room.file()
    await room.casework.open("T-1", run=1)
    for step in ("triage#1.1", "triage#1.2"):
        await room.casework.need_attention("T-1", FAILURE, step=step)
        assert await room.stage() == Stage.NEEDS_ATTENTION
        await room.casework.retry("T-1", restart=False)
        assert await room.casework.resume("T-1", step=step)
        assert await room.stage() == Stage.TRIAGE


async def test_a_retry_that_is_not_needed_is_refused(room: DeskRoom) -> None:
    await room.bring_to_approval()
    with pytest.raises(RetryRefusedError, match="'awaiting_approval'"):
        await room.casework.retry("T-1", restart=False)


async def test_a_lost_workflow_is_restarted_where_the_ticket_stood(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.casework.need_attention("T-1", FAILURE, step="workflow-1")
    waiting = await room.casework.retry("T-1", restart=True)
    assert (waiting.run, waiting.started_at) == (2, None)
    assert (await room.casework.open("T-1", run=2)).stage == Stage.AWAITING_APPROVAL


async def test_a_reminder_is_only_for_who_waits(room: DeskRoom) -> None:
    await room.bring_to_approval()
    assert await room.casework.remind("T-1", round_number=1, number=1)
    assert not await room.casework.remind("T-1", round_number=1, number=1)
    await room.approvals.expire("T-1", round_number=1)
    assert not await room.casework.remind("T-1", round_number=1, number=2)


async def test_a_closed_ticket_is_not_opened_again(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.casework.begin_notification("T-1", outcome=Outcome.ESCALATED, decision="round-1")
    await room.casework.close("T-1", outcome=Outcome.ESCALATED, notification_key="ticket-T-1:round-1", fallback=False)
    await room.casework.begin_notification("T-1", outcome=Outcome.SOLVED, decision="round-1")
    await room.casework.need_attention("T-1", FAILURE, step="workflow-1")
    ticket = await room.tickets.get("T-1")
    assert (ticket.stage, ticket.outcome) == (Stage.ESCALATED, Outcome.ESCALATED)
    assert (await room.activities.open_ticket({"ticket_id": "T-1", "run": 1}))["outcome"] == "escalated"
