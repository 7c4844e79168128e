"""What the API answers about tickets, with the examples of the OpenAPI page."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from desk.stages import Stage


class TicketAccepted(BaseModel):
    """A ticket that is stored, and will reach its end."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"instance_id": "ticket-T-1001", "ticket_id": "T-1001", "status": "workflow_started"}]
        }
    )

    instance_id: str
    ticket_id: str
    status: Literal["workflow_started"] = "workflow_started"


class DecisionTaken(BaseModel):
    """A decision that is stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "approval_sent", "ticket_id": "T-1001", "instance_id": "ticket-T-1001"}]
        }
    )

    status: Literal["approval_sent"] = "approval_sent"
    ticket_id: str
    instance_id: str


class RetryAccepted(BaseModel):
    """A ticket that goes on where it stopped."""

    status: Literal["retry_sent"] = "retry_sent"
    ticket_id: str
    instance_id: str


class StatusReport(BaseModel):
    """Where a ticket stands: Dapr's word and the desk's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ticket_id": "T-1001",
                    "instance_id": "ticket-T-1001",
                    "status": "RUNNING",
                    "stage": "awaiting_approval",
                    "output": None,
                }
            ]
        }
    )

    ticket_id: str
    instance_id: str
    status: str = Field(description="Dapr's status of the workflow; PENDING before it has one.")
    stage: Stage
    output: Any = None


class TicketSummary(BaseModel):
    """A ticket in a list."""

    ticket_id: str
    customer_id: str
    description: str = Field(description="Its beginning, in one line.")
    stage: Stage
    round: int
    created_at: datetime
    updated_at: datetime


class TicketList(BaseModel):
    """A page of tickets, the newest first."""

    tickets: list[TicketSummary]
    total: int = Field(description="How many tickets pass the filter, on all pages.")
    limit: int
    offset: int
    next_offset: int | None = Field(description="The offset of the next page, if there is one.")


class QueryReport(BaseModel):
    """A query to the knowledge base and what it found; `done` is false while it is asked."""

    query: str
    category: str
    round: int
    done: bool
    results: list[dict[str, Any]]


class ProposalReport(BaseModel):
    """What the expert proposed in one round."""

    model_config = ConfigDict(from_attributes=True)

    round: int
    solution: str
    digest: str
    created_at: datetime


class DecisionReport(BaseModel):
    """What became of a proposal."""

    model_config = ConfigDict(from_attributes=True)

    round: int
    verdict: str
    final_solution: str | None
    support_notes: str | None
    digest: str
    decided_at: datetime


class NotificationReport(BaseModel):
    """The message to the customer."""

    model_config = ConfigDict(from_attributes=True)

    notification_key: str
    outcome: str
    recipient: str | None
    body: str
    fallback: bool
    created_at: datetime
    delivered_at: datetime | None


class AttentionReport(BaseModel):
    """Why a ticket stopped; `POST /support/retry/{ticket_id}` lets it go on."""

    graph: str
    node: str | None
    error_type: str
    message: str
    since: str


class TicketReport(BaseModel):
    """Everything on one ticket."""

    ticket_id: str
    instance_id: str
    customer_id: str
    description: str
    stage: Stage
    outcome: str | None
    round: int
    created_at: datetime
    updated_at: datetime
    triage: dict[str, Any] | None
    queries: list[QueryReport] = Field(description="Of the latest round; live while the expert works.")
    analysis: dict[str, Any] | None = Field(description="Of the latest proposal, with its sources.")
    proposed_solution: str | None
    solution_digest: str | None
    proposals: list[ProposalReport]
    decision: DecisionReport | None = Field(description="The latest decision.")
    decisions: list[DecisionReport]
    notification: NotificationReport | None
    attention: AttentionReport | None


class HistoryLine(BaseModel):
    """A line of the audit trail."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    at: datetime
    event: str
    stage: Stage
    detail: dict[str, Any]


class History(BaseModel):
    """A ticket's audit trail, the first line first."""

    ticket_id: str
    history: list[HistoryLine]
