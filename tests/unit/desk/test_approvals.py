"""Decisions: one for each round, on the text that the person saw."""

import asyncio

import pytest

from desk.approvals import Answer, digest_text
from desk.errors import DecisionRefusedError, UnknownTicketError
from desk.stages import Stage, Verdict
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

PROPOSED = "Open port 50002. [KB-CON-001]"


async def test_an_approval_keeps_the_proposed_text(room: DeskRoom) -> None:
    await room.bring_to_approval()
    decision = await room.approvals.decide("T-1", Answer(approved=True, solution_digest=digest_text(PROPOSED)))
    assert (decision.verdict, decision.final_solution) == (Verdict.APPROVED, PROPOSED)
    assert await room.stage() == Stage.DECIDED


async def test_an_edited_text_is_kept_and_named_as_edited(room: DeskRoom) -> None:
    await room.bring_to_approval()
    decision = await room.approvals.decide("T-1", Answer(approved=True, final_solution="Other."))
    assert (decision.verdict, decision.final_solution) == (Verdict.EDITED, "Other.")


async def test_a_rejection_has_its_reason_and_no_text(room: DeskRoom) -> None:
    await room.bring_to_approval()
    decision = await room.approvals.decide("T-1", Answer(approved=False, support_notes="Too old."))
    assert (decision.verdict, decision.final_solution, decision.support_notes) == (Verdict.REJECTED, None, "Too old.")


async def test_a_decision_on_another_text_is_stale_and_changes_nothing(room: DeskRoom) -> None:
    await room.bring_to_approval()
    with pytest.raises(DecisionRefusedError, match=digest_text(PROPOSED)) as refusal:
        await room.approvals.decide("T-1", Answer(approved=True, solution_digest=digest_text("another")))
    assert refusal.value.reason == "stale"
    assert await room.stage() == Stage.AWAITING_APPROVAL


async def test_a_second_decision_is_refused(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    with pytest.raises(DecisionRefusedError, match="was approved") as refusal:
        await room.approvals.decide("T-1", Answer(approved=False, support_notes="No."))
    assert refusal.value.reason == "already_decided"


async def test_of_many_decisions_at_once_one_is_taken(room: DeskRoom) -> None:
    await room.bring_to_approval()
    answers = [Answer(approved=True, final_solution=f"text {number}") for number in range(10)]
    results = await asyncio.gather(
        *(room.approvals.decide("T-1", answer) for answer in answers), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, DecisionRefusedError) for result in results if isinstance(result, Exception))


async def test_a_decision_before_the_proposal_is_refused(room: DeskRoom) -> None:
    await room.file()
    with pytest.raises(DecisionRefusedError, match="'received'") as refusal:
        await room.approvals.decide("T-1", Answer(approved=True))
    assert refusal.value.reason == "not_awaited"


async def test_a_decision_after_the_deadline_is_refused(room: DeskRoom) -> None:
    await room.bring_to_approval()
    assert (await room.approvals.expire("T-1", round_number=1)).verdict == Verdict.TIMED_OUT
    with pytest.raises(DecisionRefusedError, match="was over") as refusal:
        await room.approvals.decide("T-1", Answer(approved=True))
    assert refusal.value.reason == "not_awaited"


async def test_a_decision_that_came_just_before_the_deadline_stays(room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True))
    assert (await room.approvals.expire("T-1", round_number=1)).verdict == Verdict.APPROVED


async def test_nobody_decides_on_an_unknown_ticket(room: DeskRoom) -> None:
    with pytest.raises(UnknownTicketError):
        await room.approvals.decide("nobody", Answer(approved=True))


def test_the_digest_is_sha256_in_hex() -> None:
    assert digest_text("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
