"""The tables of the desk's database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so they are put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JsonObject = dict[str, Any]


class Base(DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {datetime: UtcDateTime, JsonObject: JSON}  # noqa: RUF012 - read by SQLAlchemy as it is


class TicketRow(Base):
    """A ticket and where it stands."""

    __tablename__ = "tickets"
    __table_args__ = (Index("tickets_by_age", "created_at", "ticket_id"), Index("tickets_by_stage", "stage"))

    ticket_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[str] = mapped_column(String(64), index=True)
    description: Mapped[str] = mapped_column(Text)
    stage: Mapped[str] = mapped_column(String(32))
    round: Mapped[int] = mapped_column(default=0)
    run: Mapped[int] = mapped_column(default=1)
    outcome: Mapped[str | None] = mapped_column(String(32), default=None)
    triage: Mapped[JsonObject | None] = mapped_column(default=None)
    attention: Mapped[JsonObject | None] = mapped_column(default=None)
    resume_stage: Mapped[str | None] = mapped_column(String(32), default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ProposalRow(Base):
    """What the expert proposed in one round."""

    __tablename__ = "proposals"

    ticket_id: Mapped[str] = mapped_column(ForeignKey(TicketRow.ticket_id), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    solution: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    analysis: Mapped[JsonObject]
    created_at: Mapped[datetime]


class DecisionRow(Base):
    """What became of one round's proposal; there can be only one decision."""

    __tablename__ = "decisions"

    ticket_id: Mapped[str] = mapped_column(ForeignKey(TicketRow.ticket_id), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    verdict: Mapped[str] = mapped_column(String(32))
    final_solution: Mapped[str | None] = mapped_column(Text, default=None)
    support_notes: Mapped[str | None] = mapped_column(Text, default=None)
    digest: Mapped[str] = mapped_column(String(64))
    decided_at: Mapped[datetime]


class AuditRow(Base):
    """A line of the audit trail; `step` makes a repeated write the same write."""

    __tablename__ = "audit"
    __table_args__ = (UniqueConstraint("ticket_id", "step"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey(TicketRow.ticket_id))
    step: Mapped[str] = mapped_column(String(128))
    event: Mapped[str] = mapped_column(String(32))
    stage: Mapped[str] = mapped_column(String(32))
    detail: Mapped[JsonObject]
    at: Mapped[datetime]


class DeliveryRow(Base):
    """A message to a customer in the outbox."""

    __tablename__ = "deliveries"

    notification_key: Mapped[str] = mapped_column(String(160), primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey(TicketRow.ticket_id), index=True)
    outcome: Mapped[str] = mapped_column(String(32))
    recipient: Mapped[str | None] = mapped_column(String(320), default=None)
    body: Mapped[str] = mapped_column(Text)
    fallback: Mapped[bool]
    created_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None] = mapped_column(default=None)
    delivered_at: Mapped[datetime | None] = mapped_column(default=None)
