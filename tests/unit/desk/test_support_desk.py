"""The desk as its edge sees it."""

import pytest

from desk.approvals import Answer
from desk.errors import DaprUnavailableError, TextTooLongError
from desk.ports import WorkflowView
from desk.progress import QueryProgress
from desk.tickets import TicketFilter
from tests.kit.desk_room import DeskRoom
from tests.kit.spans import recorded

pytestmark = pytest.mark.anyio


async def test_filing_a_ticket_starts_its_workflow_once(room: DeskRoom) -> None:
    await room.file()
    await room.file()
    assert room.engine.started == [{"ticket_id": "T-1", "run": 1}]


async def test_nothing_is_stored_while_the_sidecar_is_away(room: DeskRoom) -> None:
    room.sidecar.alive = False
    with pytest.raises(DaprUnavailableError, match="nothing was stored"):
        await room.file()
    assert (await room.tickets.list(TicketFilter(), limit=1)).total == 0


async def test_a_ticket_is_accepted_while_no_worker_is_connected(room: DeskRoom) -> None:
    room.engine.alive = False
    assert (await room.file()).started_at is None


async def test_texts_are_measured_in_bytes(room: DeskRoom) -> None:
    with pytest.raises(TextTooLongError, match="60000 bytes"):
        await room.desk.file_ticket(ticket_id="T", customer_id="C", description="€" * 20_000)
    await room.bring_to_approval()
    with pytest.raises(TextTooLongError, match="final_solution"):
        await room.desk.decide("T-1", Answer(approved=True, final_solution="x" * 50_001))


async def test_a_decision_is_kept_when_nobody_can_be_woken(room: DeskRoom) -> None:
    await room.bring_to_approval()
    room.engine.alive = False
    await room.desk.decide("T-1", Answer(approved=True))
    assert await room.approvals.find("T-1", round_number=1) is not None


async def test_the_status_is_daprs_and_the_stage_is_ours(room: DeskRoom) -> None:
    await room.file()
    room.engine.views["ticket-T-1"] = WorkflowView(status="COMPLETED", output={"outcome": "solved"})
    status = await room.desk.look("T-1")
    assert status.workflow is not None
    assert (status.workflow.status, status.ticket.stage) == ("COMPLETED", "received")


async def test_progress_is_shown_only_while_the_expert_works(room: DeskRoom) -> None:
    room.progress.queries = (QueryProgress(query="q", category="connectivity", round=1, is_done=False),)
    await room.file()
    assert await room.desk.read_progress(await room.tickets.get("T-1")) is None
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    await room.activities.record_triage({"ticket_id": "T-1"})
    assert await room.desk.read_progress(await room.tickets.get("T-1")) == room.progress.queries
    await room.activities.record_proposal({"ticket_id": "T-1", "round": 1})
    assert await room.desk.read_progress(await room.tickets.get("T-1")) is None


async def test_a_ticket_is_worked_on_in_the_trace_of_the_request_that_files_it(room: DeskRoom) -> None:
    with recorded() as spans, spans.provider.get_tracer("api").start_as_current_span("POST /tickets"):
        await room.file()
    assert spans.one("POST /tickets").is_named_by(room.engine.started[0]["traceparent"])
