"""Turns what the desk knows into what the API answers."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from api.answers import (
    AttentionReport,
    DecisionReport,
    NotificationReport,
    ProposalReport,
    QueryReport,
    StatusReport,
    TicketList,
    TicketReport,
    TicketSummary,
)
from desk.progress import QueryProgress
from desk.records import Ticket, TicketFile, TicketPage
from desk.stages import Stage, instance_id
from desk.support_desk import TicketStatus

_LISTED_TEXT = 300


def report_ticket(file: TicketFile, progress: Sequence[QueryProgress] | None) -> TicketReport:
    """Put everything on one ticket together."""
    ticket = file.ticket
    proposal = file.proposals[-1] if file.proposals else None
    decisions = [DecisionReport.model_validate(each) for each in file.decisions]
    deliveries = [NotificationReport.model_validate(each) for each in file.deliveries]
    return TicketReport(
        ticket_id=ticket.ticket_id,
        instance_id=instance_id(ticket.ticket_id),
        customer_id=ticket.customer_id,
        description=ticket.description,
        stage=Stage(ticket.stage),
        outcome=ticket.outcome,
        round=ticket.round,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
        triage=ticket.triage,
        queries=_queries(proposal.analysis if proposal else None, progress),
        analysis=proposal.analysis if proposal else None,
        proposed_solution=proposal.solution if proposal else None,
        solution_digest=proposal.digest if proposal else None,
        proposals=[ProposalReport.model_validate(each) for each in file.proposals],
        decision=decisions[-1] if decisions else None,
        decisions=decisions,
        notification=deliveries[-1] if deliveries else None,
        attention=AttentionReport.model_validate(ticket.attention) if ticket.attention else None,
    )


def report_status(status: TicketStatus) -> StatusReport:
    """Tell where a ticket stands."""
    return StatusReport(
        ticket_id=status.ticket.ticket_id,
        instance_id=instance_id(status.ticket.ticket_id),
        status=status.workflow.status if status.workflow else "PENDING",
        stage=Stage(status.ticket.stage),
        output=status.workflow.output if status.workflow else None,
    )


def report_page(page: TicketPage, *, limit: int, offset: int) -> TicketList:
    """List a page of tickets."""
    following = offset + len(page.tickets)
    return TicketList(
        tickets=[_summarize(ticket) for ticket in page.tickets],
        total=page.total,
        limit=limit,
        offset=offset,
        next_offset=following if page.tickets and following < page.total else None,
    )


def _summarize(ticket: Ticket) -> TicketSummary:
    return TicketSummary(
        ticket_id=ticket.ticket_id,
        customer_id=ticket.customer_id,
        description=shorten(ticket.description, _LISTED_TEXT, placeholder=" …"),
        stage=Stage(ticket.stage),
        round=ticket.round,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
    )


def _queries(analysis: dict[str, Any] | None, progress: Sequence[QueryProgress] | None) -> list[QueryReport]:
    if progress is not None:
        return [
            QueryReport(
                query=each.query,
                category=each.category,
                round=each.round,
                done=each.is_done,
                results=[{**passage} for passage in each.passages],
            )
            for each in progress
        ]
    return [
        QueryReport(
            query=each["query"],
            category=each["category"],
            round=each["round"],
            done=True,
            results=each["passages"],
        )
        for each in (analysis or {}).get("queries", ())
    ]
