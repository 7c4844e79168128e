"""The outbox: each message to a customer once, under a key that is the same on every attempt."""

from datetime import UTC, datetime, timedelta

from desk.database import Database
from desk.records import Delivery, record
from desk.tables import DeliveryRow

# Longer than a hand-over takes; after it, whoever claimed the message must have been killed.
_CLAIM = timedelta(seconds=30)


class Outbox:
    """Keeps the messages and whether they were delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, notification_key: str) -> Delivery | None:
        """Return the message under a key, or None."""
        async with self._database.read() as session:
            row = await session.get(DeliveryRow, notification_key)
            return record(Delivery, row) if row else None

    async def put(self, delivery: Delivery, *, ticket_id: str) -> Delivery:
        """Store a message; the first one under a key stays, and is returned."""
        async with self._database.write() as session:
            first = await session.get(DeliveryRow, delivery.notification_key)
            if first is not None:
                return record(Delivery, first)
            row = DeliveryRow(ticket_id=ticket_id, **vars(delivery))
            session.add(row)
            return record(Delivery, row)

    async def claim(self, notification_key: str) -> bool:
        """Take on to deliver a message; False when it is out, or another process is just about to hand it over."""
        now = datetime.now(UTC)
        async with self._database.write() as session:
            row = await session.get(DeliveryRow, notification_key, with_for_update=True)
            if row is None or row.delivered_at is not None:
                return False
            if row.claimed_until is not None and row.claimed_until > now:
                return False
            row.claimed_until = now + _CLAIM
            return True

    async def mark_delivered(self, notification_key: str) -> None:
        """Note that a message has gone out."""
        async with self._database.write() as session:
            row = await session.get(DeliveryRow, notification_key)
            if row is not None and row.delivered_at is None:
                row.delivered_at = datetime.now(UTC)
