"""Where a ticket stands, and the names that belong to it."""

from enum import StrEnum

WORKFLOW_NAME = "support_ticket"
DECISION_EVENT = "solution_approved"
RETRY_EVENT = "retry_requested"
SOLUTION_TOPIC = "solution-ready"


class Stage(StrEnum):
    """The desk's word for where a ticket stands; the last three are ends."""

    RECEIVED = "received"
    TRIAGE = "triage"
    ANALYSIS = "analysis"
    AWAITING_APPROVAL = "awaiting_approval"
    DECIDED = "decided"
    NOTIFYING = "notifying"
    NEEDS_ATTENTION = "needs_attention"
    RETRYING = "retrying"
    SOLVED = "solved"
    DECLINED = "declined"
    ESCALATED = "escalated"


class Outcome(StrEnum):
    """How a ticket ends; each is also a stage."""

    SOLVED = "solved"
    DECLINED = "declined"
    ESCALATED = "escalated"


class Verdict(StrEnum):
    """What became of a proposal."""

    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


class Event(StrEnum):
    """What a line of the audit trail tells."""

    RECEIVED = "received"
    STARTED = "started"
    TRIAGED = "triage_done"
    QUERIED = "knowledge_base_queried"
    PROPOSED = "solution_proposed"
    REMINDED = "reminder"
    DECIDED = "decision"
    SENT_BACK = "sent_back_to_expert"
    ESCALATED = "escalated"
    NOTIFIED = "notified"
    NEEDS_ATTENTION = "needs_attention"
    RETRIED = "retried"
    RESUMED = "resumed"


CLOSED = frozenset({Stage.SOLVED, Stage.DECLINED, Stage.ESCALATED})


def instance_id(ticket_id: str) -> str:
    """Return the id of the ticket's workflow instance."""
    return f"ticket-{ticket_id}"


def triage_thread(ticket_id: str) -> str:
    """Return the LangGraph thread of the ticket's triage."""
    return f"{ticket_id}/triage"


def expert_thread(ticket_id: str, *, round_number: int) -> str:
    """Return the LangGraph thread of one round of the expert."""
    return f"{ticket_id}/expert/{round_number}"


def decision_id(round_number: int) -> str:
    """Return the id of the decision on one round's proposal."""
    return f"round-{round_number}"


def notification_key(ticket_id: str, decision: str) -> str:
    """Return the key under which the customer is told about a decision: the same on every attempt."""
    return f"{instance_id(ticket_id)}:{decision}"
