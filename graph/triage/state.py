"""The state of the triage graph: JSON-friendly values only."""

from typing import Literal

from typing_extensions import TypedDict

from graph.ports import Category, Customer, SystemInfo

Urgency = Literal["low", "medium", "high", "critical"]
TicketCategory = Literal[Category, "other"]


class TriageReport(TypedDict):
    """What triage found out about a ticket."""

    customer_id: str
    known: bool
    customer: Customer | None
    entitled: bool
    entitlement_reason: str
    urgency: Urgency
    category: TicketCategory
    summary: str
    system: SystemInfo | None


class Assessment(TypedDict):
    """What the model makes of the ticket's text."""

    urgency: Urgency
    category: TicketCategory
    summary: str


class Entitlement(TypedDict):
    """Whether the customer may have support, decided from the directory alone."""

    known: bool
    entitled: bool
    reason: str


class TriageInput(TypedDict):
    """What a triage run starts with."""

    ticket_id: str
    customer_id: str
    description: str


class TriageOutput(TypedDict):
    """What a triage run ends with."""

    triage: TriageReport


class TriageState(TriageInput):
    """Everything a triage run knows; keys are there once their node has run."""

    requested: list[str]
    customer: Customer | None
    system: SystemInfo | None
    entitlement: Entitlement
    assessment: Assessment | None
    triage: TriageReport
