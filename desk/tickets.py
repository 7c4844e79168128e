"""The tickets as people file, search and read them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from desk.audit import add_line, lock_ticket
from desk.database import Database
from desk.errors import TicketConflictError, UnknownTicketError
from desk.records import AuditLine, Decision, Delivery, Proposal, Ticket, TicketFile, TicketPage, record
from desk.stages import CLOSED, Event, Stage
from desk.tables import AuditRow, Base, DecisionRow, DeliveryRow, ProposalRow, TicketRow

RecordT = TypeVar("RecordT")

# No letters and digits that people mistake for one another.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, kw_only=True)
class TicketFilter:
    """Which tickets to list; every condition given must hold."""

    stage: str | None = None
    customer_id: str | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Filed:
    """A ticket that was handed in, and whether it was not there before."""

    ticket: Ticket
    is_new: bool


class Tickets:
    """Files tickets and finds them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(self, *, ticket_id: str | None, customer_id: str, description: str) -> Filed:
        """Store a ticket, or find the one that was stored under the same id with the same content.

        Raises:
            TicketConflictError: the id belongs to a ticket with other content.
        """
        wanted = ticket_id or _draw_ticket_id()
        try:
            ticket = await self._insert(wanted, customer_id=customer_id, description=description)
            return Filed(ticket=ticket, is_new=True)
        except IntegrityError:
            if ticket_id is None:
                return await self.file(ticket_id=None, customer_id=customer_id, description=description)
        first = await self.get(wanted)
        if (first.customer_id, first.description) != (customer_id, description):
            raise TicketConflictError(wanted)
        return Filed(ticket=first, is_new=False)

    async def get(self, ticket_id: str) -> Ticket:
        """Return a ticket.

        Raises:
            UnknownTicketError: there is none with this id.
        """
        async with self._database.read() as session:
            return record(Ticket, await _find(session, ticket_id))

    async def open_file(self, ticket_id: str) -> TicketFile:
        """Return everything on one ticket."""
        async with self._database.read() as session:
            return TicketFile(
                ticket=record(Ticket, await _find(session, ticket_id)),
                proposals=await _of_ticket(session, Proposal, ProposalRow, ticket_id, order=ProposalRow.round),
                decisions=await _of_ticket(session, Decision, DecisionRow, ticket_id, order=DecisionRow.round),
                deliveries=await _of_ticket(session, Delivery, DeliveryRow, ticket_id, order=DeliveryRow.created_at),
            )

    async def read_trail(self, ticket_id: str) -> tuple[AuditLine, ...]:
        """Return the ticket's audit trail, the first line first."""
        async with self._database.read() as session:
            await _find(session, ticket_id)
            return await _of_ticket(session, AuditLine, AuditRow, ticket_id, order=AuditRow.number)

    async def list(self, wanted: TicketFilter, *, limit: int, offset: int = 0) -> TicketPage:
        """Return one page of the tickets that pass the filter, the newest first."""
        conditions = _conditions(wanted)
        newest = select(TicketRow).where(*conditions).order_by(TicketRow.created_at.desc(), TicketRow.ticket_id)
        async with self._database.read() as session:
            total = await session.scalar(select(func.count()).select_from(TicketRow).where(*conditions))
            rows = await session.scalars(newest.limit(limit).offset(offset))
            return TicketPage(tickets=tuple(record(Ticket, row) for row in rows), total=total or 0)

    async def mark_started(self, ticket_id: str) -> None:
        """Note that the ticket has a workflow."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            ticket.started_at = ticket.started_at or datetime.now(UTC)

    async def find_unstarted(self, *, older_than: timedelta, limit: int) -> Sequence[Ticket]:
        """Return open tickets that have no workflow yet, the oldest first."""
        return await self._oldest(
            limit, TicketRow.started_at.is_(None), TicketRow.updated_at < datetime.now(UTC) - older_than
        )

    async def find_in_stage(self, stage: Stage, *, older_than: timedelta, limit: int) -> Sequence[Ticket]:
        """Return tickets that have been in a stage for some time, the oldest first."""
        return await self._oldest(
            limit, TicketRow.stage == stage, TicketRow.updated_at < datetime.now(UTC) - older_than
        )

    async def find_running(self, *, after: str, older_than: timedelta, limit: int) -> Sequence[Ticket]:
        """Return open tickets with a workflow that nothing has changed lately, in the order of their ids."""
        statement = (
            select(TicketRow)
            .where(
                TicketRow.stage.not_in(CLOSED),
                TicketRow.started_at.is_not(None),
                TicketRow.updated_at < datetime.now(UTC) - older_than,
                TicketRow.ticket_id > after,
            )
            .order_by(TicketRow.ticket_id)
        )
        return await self._all(statement.limit(limit))

    async def _oldest(self, limit: int, *conditions: ColumnElement[bool]) -> Sequence[Ticket]:
        statement = select(TicketRow).where(TicketRow.stage.not_in(CLOSED), *conditions)
        return await self._all(statement.order_by(TicketRow.updated_at).limit(limit))

    async def _all(self, statement: Select[TicketRow]) -> Sequence[Ticket]:
        async with self._database.read() as session:
            return [record(Ticket, row) for row in await session.scalars(statement)]

    async def _insert(self, ticket_id: str, *, customer_id: str, description: str) -> Ticket:
        now = datetime.now(UTC)
        row = TicketRow(
            ticket_id=ticket_id,
            customer_id=customer_id,
            description=description,
            stage=Stage.RECEIVED,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as session:
            session.add(row)
            await session.flush()
            add_line(session, row, step="received", event=Event.RECEIVED, detail={"customer_id": customer_id})
        return record(Ticket, row)


def _draw_ticket_id() -> str:
    return "T-" + "".join(secrets.choice(_ALPHABET) for _ in range(10))


async def _find(session: AsyncSession, ticket_id: str) -> TicketRow:
    row = await session.get(TicketRow, ticket_id)
    if row is None:
        raise UnknownTicketError(ticket_id)
    return row


async def _of_ticket(
    session: AsyncSession, kind: type[RecordT], table: type[Base], ticket_id: str, *, order: Any
) -> tuple[RecordT, ...]:
    rows = await session.scalars(select(table).filter_by(ticket_id=ticket_id).order_by(order))
    return tuple(record(kind, row) for row in rows)


def _conditions(wanted: TicketFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.stage is not None:
        conditions.append(TicketRow.stage == wanted.stage)
    if wanted.customer_id is not None:
        conditions.append(TicketRow.customer_id == wanted.customer_id)
    if wanted.text:
        anywhere = (TicketRow.ticket_id, TicketRow.customer_id, TicketRow.description)
        conditions.append(or_(*(column.icontains(wanted.text, autoescape=True) for column in anywhere)))
    return conditions
