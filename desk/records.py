"""What the desk knows about a ticket, as it hands it out."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A ticket and where it stands."""

    ticket_id: str
    customer_id: str
    description: str
    stage: str
    round: int
    run: int
    outcome: str | None
    triage: dict[str, Any] | None
    attention: dict[str, Any] | None
    started_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What the expert proposed in one round, and the digest of the text."""

    round: int
    solution: str
    digest: str
    analysis: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What became of one round's proposal."""

    round: int
    verdict: str
    final_solution: str | None
    support_notes: str | None
    digest: str
    decided_at: datetime


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """A line of the audit trail."""

    number: int
    event: str
    stage: str
    detail: dict[str, Any]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A message to the customer."""

    notification_key: str
    outcome: str
    recipient: str | None
    body: str
    fallback: bool
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TicketFile:
    """Everything on one ticket."""

    ticket: Ticket
    proposals: tuple[Proposal, ...]
    decisions: tuple[Decision, ...]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, kw_only=True)
class TicketPage:
    """A page of tickets, the newest first, and how many there are in all."""

    tickets: tuple[Ticket, ...]
    total: int


def record(kind: type[RecordT], row: object) -> RecordT:
    """Copy a table's row into the record of the same field names."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})  # pyright: ignore[reportArgumentType] - only dataclasses come here
