"""What the desk itself tells customers when there is no solution to send."""

from typing import Any

from desk.records import Decision, TicketFile
from desk.stages import Outcome

_UNKNOWN = """We could not find a customer with the id {customer_id}, so we could not open a support case.

What you can do: check the id (it is on your contract and in your welcome message) and send the request again with the
right one. If you are not a customer yet, our sales team will be glad to help."""

_NOT_ENTITLED = """{reason}

What you can do: a plan with support can be added at any time; after that, send this request again and it is worked on
at once. Until then, the public documentation and the community are open to you."""

_ESCALATED = """We have not been able to settle your request in the usual way, so it has been handed to a senior
colleague, who will get back to you. You do not need to do anything."""


def news_text(file: TicketFile, outcome: Outcome) -> str:
    """Return what the customer is told: the approved text, or why there is none and what to do."""
    if outcome is Outcome.SOLVED:
        return _approved(file)
    if outcome is Outcome.ESCALATED:
        return _ESCALATED
    return _decline(file.ticket.customer_id, file.ticket.triage or {})


def _approved(file: TicketFile) -> str:
    latest: Decision = file.decisions[-1]
    return latest.final_solution or ""


def _decline(customer_id: str, triage: dict[str, Any]) -> str:
    if not triage.get("known"):
        return _UNKNOWN.format(customer_id=customer_id)
    return _NOT_ENTITLED.format(reason=triage.get("entitlement_reason", ""))
