"""What the desk needs from outside, as small Protocols and the records they speak in."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from desk.records import Delivery
from desk.steps import ReferenceRecord
from graph.memory import SolvedTicket

JsonValue = Any
"""A value that `json` reads and writes."""

WorkflowStatus = Literal["UNKNOWN", "PENDING", "RUNNING", "COMPLETED", "FAILED", "TERMINATED", "SUSPENDED", "STALLED"]


@dataclass(frozen=True, kw_only=True)
class WorkflowView:
    """A workflow instance as Dapr sees it; `failure` is set when it failed."""

    status: WorkflowStatus
    output: JsonValue = None
    failure: str | None = None


class WorkflowEngine(Protocol):
    """Starts, wakes and looks at workflow instances.

    Every method raises `DaprUnavailableError` when nobody answers, and when no worker is connected that is needed.
    """

    async def start(self, instance_id: str, *, order: dict[str, JsonValue]) -> None:
        """Start the ticket workflow; an instance of this id that runs already is left alone."""
        ...

    async def wake(self, instance_id: str, *, event: str) -> None:
        """Raise an event that makes the workflow look again.

        Raises:
            DaprRefusedError: there is no such instance.
        """
        ...

    async def look(self, instance_id: str) -> WorkflowView | None:
        """Return the instance, or None when there is none of this id."""
        ...


class StateStore(Protocol):
    """Keys and values in Dapr's state stores."""

    async def read(self, store: str, key: str) -> JsonValue | None:
        """Return the value, or None when there is none."""
        ...

    async def write(self, store: str, key: str, value: JsonValue) -> None:
        """Store a value."""
        ...


class Publisher(Protocol):
    """Dapr's pub/sub."""

    async def publish(self, pubsub: str, topic: str, message: dict[str, JsonValue], *, event_id: str) -> None:
        """Publish a message; `event_id` tells subscribers a repeat from a new one."""
        ...


class Conversation(Protocol):
    """Dapr's Conversation API."""

    async def converse(self, component: str, *, system: str, user: str) -> str:
        """Return the model's answer; personal data is scrubbed on the way.

        Raises:
            DaprUnavailableError: the sidecar did not answer.
            DaprRefusedError: the sidecar answered, but the model behind it did not.
        """
        ...


class DeliveryChannel(Protocol):
    """A way by which messages reach customers."""

    async def deliver(self, delivery: Delivery, *, ticket_id: str) -> None:
        """Hand a message over; called again with the same notification key after a crash."""
        ...


class GraphData(Protocol):
    """The inputs of graph runs and what came of them, kept outside the workflow's history."""

    async def keep(self, name: str, value: dict[str, Any]) -> ReferenceRecord:
        """Store an input under a name; the first value under a name stays."""
        ...

    async def final_values(self, thread_id: str) -> dict[str, Any]:
        """Return the state in which a thread's run ended."""
        ...


class Memory(Protocol):
    """What is remembered of a customer's solved tickets."""

    async def remember(self, customer_id: str, solved: SolvedTicket) -> None:
        """Store a solved ticket; storing it again changes nothing."""
        ...
