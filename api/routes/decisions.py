"""What people decide: on a proposed solution, and that a stopped ticket goes on."""

from fastapi import APIRouter

from api.answers import DecisionTaken, RetryAccepted
from api.dependencies import DeskNeeded
from api.problem_kinds import (
    ALREADY_DECIDED,
    DAPR_AWAY,
    RETRY_REFUSED,
    TOO_LARGE,
    UNKNOWN_TICKET,
    UNSUPPORTED_TYPE,
)
from api.problems import describe
from api.requests import DecisionRequest, TicketId
from desk.approvals import Answer
from desk.stages import instance_id

router = APIRouter(prefix="/support", tags=["decisions"])


@router.post("/approve/{ticket_id}", responses=describe(UNKNOWN_TICKET, ALREADY_DECIDED, TOO_LARGE, UNSUPPORTED_TYPE))
async def decide(ticket_id: TicketId, request: DecisionRequest, desk: DeskNeeded) -> DecisionTaken:
    """Approve the proposed solution, approve another text, or reject it with the reason."""
    answer = Answer(
        approved=request.approved,
        final_solution=request.final_solution,
        support_notes=request.support_notes,
        solution_digest=request.solution_digest,
    )
    await desk.decide(ticket_id, answer)
    return DecisionTaken(ticket_id=ticket_id, instance_id=instance_id(ticket_id))


@router.post("/retry/{ticket_id}", responses=describe(UNKNOWN_TICKET, RETRY_REFUSED, DAPR_AWAY))
async def retry(ticket_id: TicketId, desk: DeskNeeded) -> RetryAccepted:
    """Let a ticket that needs attention go on where it stopped."""
    await desk.retry(ticket_id)
    return RetryAccepted(ticket_id=ticket_id, instance_id=instance_id(ticket_id))
