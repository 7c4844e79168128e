"""The audit trail, which is also what makes a repeated write harmless.

Every change of a ticket is one transaction: lock the ticket, write the line of the step, change the rest. When the
line of a step is there already, the change was made before (an activity is run at least once) and nothing is written.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from desk.errors import UnknownTicketError
from desk.stages import Event
from desk.tables import AuditRow, TicketRow


async def lock_ticket(session: AsyncSession, ticket_id: str) -> TicketRow:
    """Return the ticket's row; nobody else changes the ticket before this transaction ends.

    Raises:
        UnknownTicketError: there is no such ticket.
    """
    row = await session.get(TicketRow, ticket_id, with_for_update=True)
    if row is None:
        raise UnknownTicketError(ticket_id)
    return row


async def is_done(session: AsyncSession, ticket_id: str, *, step: str) -> bool:
    """Tell whether the step's line is in the trail."""
    found = await session.scalar(select(AuditRow.number).where(AuditRow.ticket_id == ticket_id, AuditRow.step == step))
    return found is not None


async def write_line(
    session: AsyncSession,
    ticket: TicketRow,
    *,
    step: str,
    event: Event,
    stage: str | None = None,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Write the line of a step and put the ticket into a stage, once.

    Args:
        session: a transaction that holds the ticket's lock.
        ticket: the locked row.
        step: names the change; the same for every attempt at it.
        event: what the line tells.
        stage: where the ticket stands afterwards; unchanged by default.
        detail: what else there is to tell.

    Returns:
        Whether it was written; False means that an earlier attempt did.
    """
    if await is_done(session, ticket.ticket_id, step=step):
        return False
    add_line(session, ticket, step=step, event=event, stage=stage, detail=detail)
    return True


def add_line(
    session: AsyncSession,
    ticket: TicketRow,
    *,
    step: str,
    event: Event,
    stage: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write a line as `write_line` does, for a step that is known not to be there."""
    ticket.stage = stage or ticket.stage
    ticket.updated_at = datetime.now(UTC)
    line = AuditRow(
        ticket_id=ticket.ticket_id,
        step=step,
        event=event,
        stage=ticket.stage,
        detail=detail or {},
        at=datetime.now(UTC),
    )
    session.add(line)
