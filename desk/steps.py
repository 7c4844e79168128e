"""What passes between the ticket workflow and its activities: ids and small facts, recorded in history.

The names and fields here are a contract with tickets in flight: add, never rename or reuse.
"""

from typing import TypedDict

OPEN_TICKET = "desk.open_ticket"
RECORD_TRIAGE = "desk.record_triage"
RECORD_PROPOSAL = "desk.record_proposal"
LOOK_UP_DECISION = "desk.look_up_decision"
EXPIRE_PROPOSAL = "desk.expire_proposal"
REMIND = "desk.remind"
SEND_BACK = "desk.send_back"
NOTE_FAILURE = "desk.note_failure"
LOOK_UP_RETRY = "desk.look_up_retry"
NOTIFY_CUSTOMER = "desk.notify_customer"
REMEMBER_SOLUTION = "desk.remember_solution"

ReferenceRecord = dict[str, str]
"""A `dapr_bridge.Reference` as history records it."""


class Traced(TypedDict, total=False):
    """In which trace something was asked for, as a W3C `traceparent`."""

    traceparent: str


class Order(Traced):
    """What a ticket's workflow is started with; `run` counts the workflows that this ticket has needed."""

    ticket_id: str
    run: int


class Opening(TypedDict):
    """The rules of the game for one ticket, fixed when its workflow begins; durations are in seconds.

    `outcome` is set when the ticket is closed already, and nothing is left to do.
    """

    outcome: str | None
    triage_input: ReferenceRecord
    approval_timeout: float
    reminder_interval: float
    poll_interval: float
    max_expert_rounds: int


class TicketRequest(TypedDict):
    """Names a ticket."""

    ticket_id: str


class RoundRequest(TypedDict):
    """Names one round of the expert."""

    ticket_id: str
    round: int


class TriageNote(TypedDict):
    """What the workflow has to know of the triage; the input of the expert when the customer is entitled."""

    entitled: bool
    expert_input: ReferenceRecord | None


class DecisionNote(TypedDict):
    """What the workflow has to know of a decision; None while there is none."""

    verdict: str | None


class ReminderRequest(TypedDict):
    """Names one reminder."""

    ticket_id: str
    round: int
    number: int


class FailureRequest(TypedDict):
    """Why a graph stopped; `step` names the failure once and for all."""

    ticket_id: str
    step: str
    graph: str
    node: str | None
    error_type: str
    message: str


class RetryRequest(TypedDict):
    """Names the failure that a retry would answer."""

    ticket_id: str
    step: str


class NotificationRequest(TypedDict):
    """What the customer is to be told, and on the strength of which decision."""

    ticket_id: str
    outcome: str
    decision: str


class Conclusion(TypedDict):
    """What a ticket's workflow returns."""

    ticket_id: str
    outcome: str
    notification_key: str | None
