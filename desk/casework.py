"""What the workflow writes down about a ticket, each step once however often it is asked to."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from desk.approvals import digest_text
from desk.audit import add_line, is_done, lock_ticket, write_line
from desk.database import Database
from desk.errors import RetryRefusedError
from desk.records import Ticket, record
from desk.stages import CLOSED, Event, Outcome, Stage
from desk.tables import ProposalRow, TicketRow
from graph.expert import Analysis, KnowledgeQuery
from graph.triage import TriageReport


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a graph stopped."""

    graph: str
    node: str | None
    error_type: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """The digest of a proposal's text, and whether the proposal was not there before."""

    digest: str
    is_new: bool


class Casework:
    """The steps of a ticket's life, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, ticket_id: str, *, run: int) -> Ticket:
        """Begin, or begin again after the workflow was lost: then the ticket returns to where it stood."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            ticket.started_at = ticket.started_at or datetime.now(UTC)
            if ticket.stage == Stage.RECEIVED:
                add_line(session, ticket, step="started", event=Event.STARTED, stage=Stage.TRIAGE)
            elif ticket.stage == Stage.RETRYING:
                await _resume(session, ticket, step=f"restarted-{run}")
            return record(Ticket, ticket)

    async def record_triage(self, ticket_id: str, report: TriageReport) -> Ticket:
        """Keep what triage found; who is not entitled gets no further."""
        detail = {key: report[key] for key in ("known", "entitled", "entitlement_reason", "urgency", "category")}
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            stage = Stage.ANALYSIS if report["entitled"] else Stage.NOTIFYING
            # It is kept with its line, or not at all.
            if ticket.triage is None:
                add_line(session, ticket, step="triaged", event=Event.TRIAGED, stage=stage, detail=detail)
                ticket.triage = {**report}
                ticket.round = 1 if report["entitled"] else 0
            return record(Ticket, ticket)

    async def record_proposal(self, ticket_id: str, *, round_number: int, analysis: Analysis) -> Proposed:
        """Keep a round's proposal, and let it wait for a decision."""
        digest = digest_text(analysis["proposed_solution"])
        step, detail = f"proposed-{round_number}", {"round": round_number, "digest": digest}
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            if await is_done(session, ticket_id, step=step):
                return Proposed(digest=digest, is_new=False)
            for number, query in enumerate(analysis["queries"], start=1):
                told = _tell_query(query)
                add_line(session, ticket, step=f"queried-{round_number}-{number}", event=Event.QUERIED, detail=told)
            detail["needs_person"] = analysis["needs_person"]
            add_line(session, ticket, step=step, event=Event.PROPOSED, stage=Stage.AWAITING_APPROVAL, detail=detail)
            session.add(_proposal(ticket_id, round_number, digest, analysis))
        return Proposed(digest=digest, is_new=True)

    async def send_back(self, ticket_id: str, *, round_number: int) -> None:
        """Return a rejected ticket to the expert; `round_number` is the round that begins."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            step, detail = f"sent-back-{round_number}", {"round": round_number}
            if await write_line(session, ticket, step=step, event=Event.SENT_BACK, stage=Stage.ANALYSIS, detail=detail):
                ticket.round = round_number

    async def remind(self, ticket_id: str, *, round_number: int, number: int) -> bool:
        """Note that a proposal is still waiting; returns whether this is the first time that is said."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            if ticket.stage != Stage.AWAITING_APPROVAL:
                return False
            step, detail = f"reminded-{round_number}-{number}", {"round": round_number, "number": number}
            return await write_line(session, ticket, step=step, event=Event.REMINDED, detail=detail)

    async def begin_notification(self, ticket_id: str, *, outcome: Outcome, decision: str) -> None:
        """Fix how the ticket ends, before the customer is told."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            if ticket.stage in CLOSED:
                return
            ticket.outcome, ticket.stage, ticket.updated_at = outcome, Stage.NOTIFYING, datetime.now(UTC)
            if outcome is Outcome.ESCALATED:
                detail = {"decision": decision}
                await write_line(session, ticket, step=f"escalated-{decision}", event=Event.ESCALATED, detail=detail)

    async def close(self, ticket_id: str, *, outcome: Outcome, notification_key: str, fallback: bool) -> None:
        """End the ticket: the customer has been told."""
        detail = {"notification_key": notification_key, "fallback": fallback, "outcome": outcome}
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            step = f"notified-{notification_key.rpartition(':')[2]}"
            await write_line(session, ticket, step=step, event=Event.NOTIFIED, stage=Stage(outcome), detail=detail)

    async def need_attention(self, ticket_id: str, failure: Failure, *, step: str) -> None:
        """Stop the ticket until somebody asks for a retry."""
        detail = vars(failure)
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            stood = ticket.stage
            if ticket.stage in CLOSED:
                return
            if await write_line(
                session,
                ticket,
                step=f"attention-{step}",
                event=Event.NEEDS_ATTENTION,
                stage=Stage.NEEDS_ATTENTION,
                detail=detail,
            ):
                ticket.attention = {**detail, "since": datetime.now(UTC).isoformat()}
                # A ticket that stops twice returns to where it really stood.
                ticket.resume_stage = ticket.resume_stage or stood

    async def retry(self, ticket_id: str, *, restart: bool) -> Ticket:
        """Ask that a stopped ticket goes on; with `restart`, in a new run because its workflow is gone.

        Raises:
            RetryRefusedError: the ticket does not need attention.
        """
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            if ticket.stage != Stage.NEEDS_ATTENTION:
                raise RetryRefusedError(
                    f"ticket {ticket_id!r} does not need attention: it is in stage {ticket.stage!r}"
                )
            if restart:
                ticket.run, ticket.started_at = ticket.run + 1, None
            since = (ticket.attention or {}).get("since", "")
            await write_line(session, ticket, step=f"retried-{since}", event=Event.RETRIED, stage=Stage.RETRYING)
            return record(Ticket, ticket)

    async def resume(self, ticket_id: str, *, step: str) -> bool:
        """Go on if a retry was asked for; returns whether it was, now or on an earlier attempt at the same step."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            if await is_done(session, ticket_id, step=f"resumed-{step}"):
                return True
            if ticket.stage != Stage.RETRYING:
                return False
            await _resume(session, ticket, step=f"resumed-{step}")
            return True


async def _resume(session: AsyncSession, ticket: TicketRow, *, step: str) -> None:
    stage = ticket.resume_stage or Stage.TRIAGE
    await write_line(session, ticket, step=step, event=Event.RESUMED, stage=stage)
    ticket.attention = ticket.resume_stage = None


def _tell_query(query: KnowledgeQuery) -> dict[str, Any]:
    articles = list(dict.fromkeys(passage["article_id"] for passage in query["passages"]))
    return {"query": query["query"], "category": query["category"], "round": query["round"], "articles": articles}


def _proposal(ticket_id: str, round_number: int, digest: str, analysis: Analysis) -> ProposalRow:
    return ProposalRow(
        ticket_id=ticket_id,
        round=round_number,
        solution=analysis["proposed_solution"],
        digest=digest,
        analysis={**analysis},
        created_at=datetime.now(UTC),
    )
