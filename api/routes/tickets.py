"""File tickets, find them and read them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from api.answers import History, HistoryLine, StatusReport, TicketAccepted, TicketList, TicketReport
from api.dependencies import DeskNeeded
from api.problem_kinds import DAPR_AWAY, TICKET_CONFLICT, TOO_LARGE, UNKNOWN_TICKET, UNSUPPORTED_TYPE
from api.problems import describe
from api.reports import report_page, report_status, report_ticket
from api.requests import Identifier, TicketId, TicketRequest
from desk.stages import Stage, instance_id
from desk.tickets import TicketFilter

router = APIRouter(prefix="/support", tags=["tickets"])


@router.post(
    "/ticket",
    status_code=HTTPStatus.ACCEPTED,
    responses=describe(TICKET_CONFLICT, TOO_LARGE, UNSUPPORTED_TYPE, DAPR_AWAY),
)
async def file_ticket(request: TicketRequest, desk: DeskNeeded) -> TicketAccepted:
    """File a ticket; sending the same one again answers with the first."""
    ticket = await desk.file_ticket(
        ticket_id=request.ticket_id, customer_id=request.customer_id, description=request.description
    )
    return TicketAccepted(ticket_id=ticket.ticket_id, instance_id=instance_id(ticket.ticket_id))


@router.get("/status/{ticket_id}", responses=describe(UNKNOWN_TICKET, DAPR_AWAY))
async def get_status(ticket_id: TicketId, desk: DeskNeeded) -> StatusReport:
    """Tell where a ticket stands: Dapr's status of its workflow, and the desk's own stage."""
    return report_status(await desk.look(ticket_id))


@router.get("/tickets")
async def list_tickets(
    desk: DeskNeeded,
    *,
    stage: Annotated[Stage | None, Query(description="Only tickets in this stage.")] = None,
    customer_id: Annotated[Identifier | None, Query(description="Only this customer's tickets.")] = None,
    text: Annotated[
        str | None, Query(max_length=200, description="Only tickets whose id, customer or description contain this.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> TicketList:
    """List tickets, the newest first."""
    wanted = TicketFilter(stage=stage, customer_id=customer_id, text=text)
    return report_page(await desk.list(wanted, limit=limit, offset=offset), limit=limit, offset=offset)


@router.get("/ticket/{ticket_id}", responses=describe(UNKNOWN_TICKET))
async def get_ticket(ticket_id: TicketId, desk: DeskNeeded) -> TicketReport:
    """Return everything on one ticket; while the expert works, each query as soon as it is done."""
    file = await desk.open_file(ticket_id)
    return report_ticket(file, await desk.read_progress(file.ticket))


@router.get("/ticket/{ticket_id}/history", responses=describe(UNKNOWN_TICKET))
async def get_history(ticket_id: TicketId, desk: DeskNeeded) -> History:
    """Return the ticket's audit trail."""
    lines = await desk.read_trail(ticket_id)
    return History(ticket_id=ticket_id, history=[HistoryLine.model_validate(line) for line in lines])
