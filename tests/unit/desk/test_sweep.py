"""What the sweep finds, after something was killed at the worst moment."""

from datetime import timedelta

import pytest

from desk.approvals import Answer
from desk.errors import DaprUnavailableError
from desk.ports import WorkflowView
from desk.stages import Stage
from desk.sweep import Sweep
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

NOW = timedelta(0)


@pytest.fixture
def sweep(room: DeskRoom) -> Sweep:
    return Sweep(room.desk, interval=timedelta(seconds=1))


async def test_a_ticket_that_was_stored_but_not_started_is_started(room: DeskRoom, sweep: Sweep) -> None:
    room.engine.alive = False
    await room.file()
    assert room.engine.started == []
    room.engine.alive = True
    await sweep.sweep(grace=NOW)
    await sweep.sweep(grace=NOW)
    assert room.engine.started == [{"ticket_id": "T-1", "run": 1}]


async def test_a_ticket_that_was_started_but_not_marked_is_not_started_again(room: DeskRoom, sweep: Sweep) -> None:
    await room.tickets.file(ticket_id="T-1", customer_id="C", description="a")
    room.engine.views["ticket-T-1"] = WorkflowView(status="COMPLETED")
    await sweep.sweep(grace=NOW)
    assert room.engine.started == []
    assert (await room.tickets.get("T-1")).started_at is not None


async def test_a_decision_whose_wake_up_failed_is_delivered_later(room: DeskRoom, sweep: Sweep) -> None:
    await room.bring_to_approval()
    room.engine.alive = False
    await room.desk.decide("T-1", Answer(approved=True))
    assert await room.stage() == Stage.DECIDED
    with pytest.raises(DaprUnavailableError):
        await sweep.sweep(grace=NOW)
    room.engine.alive = True
    for _ in range(3):
        await sweep.sweep(grace=NOW)
    assert room.engine.woken == [("ticket-T-1", "solution_approved")], "and not again every time"


async def test_a_young_ticket_is_left_to_whoever_filed_it(room: DeskRoom, sweep: Sweep) -> None:
    room.engine.alive = False
    await room.file()
    room.engine.alive = True
    await sweep.sweep(grace=timedelta(minutes=1))
    assert room.engine.started == []


async def test_a_sweep_without_a_worker_gives_up_and_changes_nothing(room: DeskRoom, sweep: Sweep) -> None:
    room.engine.alive = False
    await room.file()
    with pytest.raises(DaprUnavailableError):
        await sweep.sweep(grace=NOW)
    assert (await room.tickets.get("T-1")).started_at is None


@pytest.mark.parametrize(
    ("view", "said"),
    [(None, "gone"), (WorkflowView(status="FAILED", failure="ValueError: no"), "FAILED: ValueError: no")],
)
async def test_an_open_ticket_whose_workflow_is_lost_needs_attention_and_can_be_restarted(
    room: DeskRoom, sweep: Sweep, view: WorkflowView | None, said: str
) -> None:
    await room.bring_to_approval()
    room.engine.views.clear()
    if view:
        room.engine.views["ticket-T-1"] = view
    await sweep.patrol(quiet=NOW)
    stopped = await room.tickets.get("T-1")
    assert stopped.stage == Stage.NEEDS_ATTENTION
    assert said in (stopped.attention or {})["message"]

    await room.desk.retry("T-1")
    assert room.engine.started[-1] == {"ticket_id": "T-1", "run": 2}
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 2})
    assert await room.stage() == Stage.AWAITING_APPROVAL


async def test_a_ticket_whose_workflow_is_gone_does_not_hold_up_the_others(room: DeskRoom, sweep: Sweep) -> None:
    for ticket_id in ("T-1", "T-2"):
        await room.bring_to_approval(ticket_id)
        await room.approvals.decide(ticket_id, Answer(approved=True))
    del room.engine.views["ticket-T-1"]
    await sweep.sweep(grace=NOW)
    assert room.engine.woken == [("ticket-T-2", "solution_approved")]


async def test_the_patrol_passes_by_what_is_well(room: DeskRoom, sweep: Sweep) -> None:
    for number in range(3):
        await room.bring_to_approval(f"T-{number}")
    await sweep.patrol(quiet=NOW)
    assert {await room.stage(f"T-{number}") for number in range(3)} == {Stage.AWAITING_APPROVAL}
