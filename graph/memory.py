"""A customer's solved tickets in LangGraph's store: the desk writes them, the expert reads the latest."""

from typing import cast

from langgraph.store.base import BaseStore
from typing_extensions import TypedDict

REMEMBERED = 3
# Stores promise no order, so enough tickets are read to find the latest among them.
_READ_AT_MOST = 100


class SolvedTicket(TypedDict):
    """A ticket that ended with an approved solution; `solved_at` is ISO 8601 in UTC."""

    ticket_id: str
    summary: str
    solution: str
    solved_at: str


def tickets_namespace(customer_id: str) -> tuple[str, ...]:
    """Return the store namespace of one customer's solved tickets; the key of an item is its ticket id."""
    return ("customers", customer_id, "tickets")


async def recall_tickets(store: BaseStore | None, customer_id: str, *, limit: int = REMEMBERED) -> list[SolvedTicket]:
    """Return the customer's last solved tickets, the latest first."""
    if store is None:
        return []
    items = await store.asearch(tickets_namespace(customer_id), limit=_READ_AT_MOST)
    tickets = [cast("SolvedTicket", item.value) for item in items]
    return sorted(tickets, key=lambda ticket: ticket["solved_at"], reverse=True)[:limit]
