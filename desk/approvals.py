"""Decisions on proposals: one for each round, and only on the text that the person saw."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from desk.audit import lock_ticket, write_line
from desk.database import Database
from desk.errors import DecisionRefusedError
from desk.records import Decision, record
from desk.stages import CLOSED, Event, Stage, Verdict, decision_id
from desk.tables import DecisionRow, ProposalRow, TicketRow


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person says to a proposal.

    Attributes:
        approved: whether the customer may get it.
        final_solution: the text to send instead of the proposed one, when approved.
        support_notes: notes for colleagues; the reason, when rejected.
        solution_digest: digest of the text that the person saw, when they tell.
    """

    approved: bool
    final_solution: str | None = None
    support_notes: str | None = None
    solution_digest: str | None = None


def digest_text(text: str) -> str:
    """Return the digest by which a person says which text they saw: SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


class Approvals:
    """Takes decisions, or refuses them with the reason."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def decide(self, ticket_id: str, answer: Answer) -> Decision:
        """Store a person's decision on the waiting proposal.

        Raises:
            UnknownTicketError: there is no such ticket.
            DecisionRefusedError: no decision is awaited, there is one already, or the text has changed since.
        """
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            proposal = await session.get(ProposalRow, (ticket_id, ticket.round))
            if ticket.stage != Stage.AWAITING_APPROVAL or proposal is None:
                raise await _explain_refusal(session, ticket)
            if answer.solution_digest not in (None, proposal.digest):
                raise DecisionRefusedError(
                    f"the proposed solution of ticket {ticket_id!r} is not the text with digest "
                    f"{answer.solution_digest!r} any more; read it again and decide on {proposal.digest!r}",
                    reason="stale",
                )
            row = _row(proposal, answer)
            await _store(session, ticket, row, stage=Stage.DECIDED)
            return record(Decision, row)

    async def find(self, ticket_id: str, *, round_number: int) -> Decision | None:
        """Return the decision on a round's proposal, or None while there is none."""
        async with self._database.read() as session:
            row = await session.get(DecisionRow, (ticket_id, round_number))
            return record(Decision, row) if row else None

    async def expire(self, ticket_id: str, *, round_number: int) -> Decision:
        """Store that nobody decided in time; a decision that was there first stays and is returned."""
        async with self._database.write() as session:
            ticket = await lock_ticket(session, ticket_id)
            first = await session.get(DecisionRow, (ticket_id, round_number))
            if first is not None:
                return record(Decision, first)
            row = DecisionRow(
                ticket_id=ticket_id, round=round_number, verdict=Verdict.TIMED_OUT, digest="", decided_at=_now()
            )
            await _store(session, ticket, row, stage=Stage.DECIDED)
            return record(Decision, row)


def _row(proposal: ProposalRow, answer: Answer) -> DecisionRow:
    text = answer.final_solution if answer.approved and answer.final_solution else proposal.solution
    verdict = Verdict.REJECTED
    if answer.approved:
        verdict = Verdict.APPROVED if text == proposal.solution else Verdict.EDITED
    return DecisionRow(
        ticket_id=proposal.ticket_id,
        round=proposal.round,
        verdict=verdict,
        final_solution=text if answer.approved else None,
        support_notes=answer.support_notes,
        digest=proposal.digest,
        decided_at=_now(),
    )


async def _store(session: AsyncSession, ticket: TicketRow, row: DecisionRow, *, stage: Stage) -> None:
    session.add(row)
    detail = {"round": row.round, "verdict": row.verdict, "support_notes": row.support_notes}
    step = f"decision-{decision_id(row.round)}"
    await write_line(session, ticket, step=step, event=Event.DECIDED, stage=stage, detail=detail)


async def _explain_refusal(session: AsyncSession, ticket: TicketRow) -> DecisionRefusedError:
    latest = await session.get(DecisionRow, (ticket.ticket_id, ticket.round))
    if latest is None:
        return DecisionRefusedError(
            f"ticket {ticket.ticket_id!r} awaits no decision: it is in stage {ticket.stage!r}", reason="not_awaited"
        )
    if latest.verdict == Verdict.TIMED_OUT:
        return DecisionRefusedError(
            f"the time to decide on ticket {ticket.ticket_id!r} was over at {latest.decided_at:%Y-%m-%d %H:%M:%S} UTC; "
            "it was escalated",
            reason="not_awaited",
        )
    state = "closed" if ticket.stage in CLOSED else "going on"
    return DecisionRefusedError(
        f"ticket {ticket.ticket_id!r} was {latest.verdict} at {latest.decided_at:%Y-%m-%d %H:%M:%S} UTC and is {state}",
        reason="already_decided",
    )


def _now() -> datetime:
    return datetime.now(UTC)
