"""The desk as its edge sees it: file a ticket, decide, retry, look."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from desk.approvals import Answer, Approvals
from desk.casework import Casework
from desk.errors import DaprError, DaprUnavailableError, TextTooLongError
from desk.ports import WorkflowEngine, WorkflowView
from desk.progress import QueryProgress
from desk.records import AuditLine, Decision, Ticket, TicketFile, TicketPage
from desk.stages import CLOSED, DECISION_EVENT, RETRY_EVENT, Stage, Verdict, expert_thread, instance_id
from desk.steps import Order
from desk.tickets import TicketFilter, Tickets
from desk.tracing import caller_trace

logger = logging.getLogger(__name__)

ENDED = frozenset({"COMPLETED", "FAILED", "TERMINATED"})

_DECIDED = {
    Verdict.APPROVED: "proposal approved",
    Verdict.EDITED: "proposal approved with another text",
    Verdict.REJECTED: "proposal rejected",
}
_PROGRESS_PATIENCE = timedelta(seconds=2)


class Heartbeat(Protocol):
    """Tells whether the sidecar answers."""

    async def is_alive(self) -> bool:
        """Tell whether it does."""
        ...


class Progress(Protocol):
    """What the expert is doing right now."""

    async def read(self, thread_id: str) -> Sequence[QueryProgress]:
        """Return the queries of one thread."""
        ...


@dataclass(frozen=True, kw_only=True)
class TicketStatus:
    """Where a ticket stands, and what Dapr says of its workflow; None when it has none yet."""

    ticket: Ticket
    workflow: WorkflowView | None


@dataclass(frozen=True, kw_only=True)
class SupportDesk:
    """Stores first, then moves Dapr: what was stored is found again by the sweep, whatever is killed in between."""

    tickets: Tickets
    casework: Casework
    approvals: Approvals
    engine: WorkflowEngine
    heartbeat: Heartbeat
    progress: Progress
    max_description: int

    async def file_ticket(self, *, ticket_id: str | None, customer_id: str, description: str) -> Ticket:
        """Accept a ticket and start its workflow.

        Raises:
            TextTooLongError: the description is too long.
            TicketConflictError: the id belongs to a ticket with other content.
            DaprUnavailableError: the sidecar is away; nothing was stored.
        """
        self._check_length("description", description)
        if not await self.heartbeat.is_alive():
            raise DaprUnavailableError("the Dapr sidecar does not answer; nothing was stored, send the ticket again")
        filed = await self.tickets.file(ticket_id=ticket_id, customer_id=customer_id, description=description)
        ticket = filed.ticket
        if ticket.started_at is None and ticket.stage not in CLOSED:
            _log("ticket accepted", ticket.ticket_id)
            await self._start_soon(ticket, is_new=filed.is_new)
        return ticket

    async def start_workflow(self, ticket: Ticket, *, is_new: bool = False) -> None:
        """Start the ticket's workflow unless it has one: an id that has ended would be started anew.

        A ticket that `is_new` has none. Its first step marks the ticket as started; when that never came, a later call
        finds the workflow and does it.
        """
        known = None if is_new else await self.engine.look(instance_id(ticket.ticket_id))
        if known is None or (known.status in ENDED and ticket.run > 1):
            order = Order(ticket_id=ticket.ticket_id, run=ticket.run, **caller_trace())
            await self.engine.start(instance_id(ticket.ticket_id), order={**order})
        else:
            await self.tickets.mark_started(ticket.ticket_id)

    async def decide(self, ticket_id: str, answer: Answer) -> Decision:
        """Store a decision, then wake the workflow.

        Raises:
            UnknownTicketError: there is no such ticket.
            DecisionRefusedError: no decision is awaited, there is one already, or the text has changed since.
            TextTooLongError: a text is too long.
        """
        for field in ("final_solution", "support_notes"):
            self._check_length(field, getattr(answer, field) or "")
        decision = await self.approvals.decide(ticket_id, answer)
        _log(_DECIDED[Verdict(decision.verdict)], ticket_id)
        await self.wake(ticket_id, event=DECISION_EVENT)
        return decision

    async def retry(self, ticket_id: str) -> Ticket:
        """Let a ticket that needs attention go on where it stopped.

        Raises:
            UnknownTicketError: there is no such ticket.
            RetryRefusedError: the ticket does not need attention.
            DaprUnavailableError: the sidecar is away; nothing was stored.
        """
        ticket = await self.tickets.get(ticket_id)
        workflow = await self.engine.look(instance_id(ticket_id)) if ticket.stage == Stage.NEEDS_ATTENTION else None
        is_gone = workflow is None or workflow.status in ENDED
        ticket = await self.casework.retry(ticket_id, restart=is_gone)
        _log("retry asked for", ticket_id)
        if is_gone:
            await self._start_soon(ticket)
        else:
            await self.wake(ticket_id, event=RETRY_EVENT)
        return ticket

    async def wake(self, ticket_id: str, *, event: str) -> None:
        """Make the workflow look again; when that fails, the sweep does it later."""
        try:
            await self.engine.wake(instance_id(ticket_id), event=event)
        except DaprError as error:
            _log("workflow will be woken later: %s", ticket_id, error)

    async def look(self, ticket_id: str) -> TicketStatus:
        """Return where a ticket stands.

        Raises:
            UnknownTicketError: there is no such ticket.
            DaprUnavailableError: the sidecar is away.
        """
        ticket = await self.tickets.get(ticket_id)
        return TicketStatus(ticket=ticket, workflow=await self.engine.look(instance_id(ticket_id)))

    async def open_file(self, ticket_id: str) -> TicketFile:
        """Return everything on one ticket."""
        return await self.tickets.open_file(ticket_id)

    async def read_progress(self, ticket: Ticket) -> Sequence[QueryProgress] | None:
        """Return the expert's queries while it works; None at other times, and when nobody can tell."""
        if ticket.stage not in (Stage.ANALYSIS, Stage.NEEDS_ATTENTION, Stage.RETRYING) or not ticket.round:
            return None
        try:
            async with asyncio.timeout(_PROGRESS_PATIENCE.total_seconds()):
                return await self.progress.read(expert_thread(ticket.ticket_id, round_number=ticket.round))
        except Exception:
            # Live progress is a courtesy; the rest of the ticket is worth showing without it.
            logger.exception("progress cannot be read", extra={"ticket_id": ticket.ticket_id})
            return None

    async def list(self, wanted: TicketFilter, *, limit: int, offset: int) -> TicketPage:
        """Return one page of the tickets that pass the filter."""
        return await self.tickets.list(wanted, limit=limit, offset=offset)

    async def read_trail(self, ticket_id: str) -> tuple[AuditLine, ...]:
        """Return the ticket's audit trail."""
        return await self.tickets.read_trail(ticket_id)

    async def _start_soon(self, ticket: Ticket, *, is_new: bool = False) -> None:
        try:
            await self.start_workflow(ticket, is_new=is_new)
        except DaprError as error:
            _log("workflow will be started later: %s", ticket.ticket_id, error)

    def _check_length(self, field: str, text: str) -> None:
        size = len(text.encode())
        if size > self.max_description:
            raise TextTooLongError(field, size=size, limit=self.max_description)


def _log(message: str, ticket_id: str, error: Exception | None = None) -> None:
    names = {"ticket_id": ticket_id, "instance_id": instance_id(ticket_id)}
    if error is None:
        logger.info(message, extra=names)
    else:
        logger.warning(message, error, extra=names)
