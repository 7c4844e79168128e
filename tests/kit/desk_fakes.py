"""Stand-ins for what the desk needs from outside; each keeps its Protocol's promise in memory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from desk.errors import DaprRefusedError, DaprUnavailableError
from desk.ports import WorkflowView
from desk.progress import QueryProgress
from desk.records import Delivery
from graph.expert import Analysis
from graph.memory import SolvedTicket
from graph.triage import TriageReport


@dataclass
class FakeSidecar:
    """State, pub/sub and conversation in one, as the real sidecar is."""

    alive: bool = True
    letters: list[str | Exception] = field(default_factory=list)
    stores: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    published: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def is_alive(self) -> bool:
        return self.alive

    async def read(self, store: str, key: str) -> Any | None:
        self._answer()
        return self.stores[store].get(key)

    async def write(self, store: str, key: str, value: Any) -> None:
        self._answer()
        self.stores[store][key] = value

    async def publish(self, pubsub: str, topic: str, message: dict[str, Any], *, event_id: str) -> None:
        self._answer()
        self.published.append((pubsub, topic, message, event_id))

    async def converse(self, component: str, *, system: str, user: str) -> str:
        self._answer()
        self.asked.append(user)
        letter = self.letters.pop(0) if self.letters else "Hello,\n\n[[SOLUTION]]\n\nYour support team"
        if isinstance(letter, Exception):
            raise letter
        return letter

    def _answer(self) -> None:
        if not self.alive:
            raise DaprUnavailableError("the sidecar is away")


@dataclass
class FakeEngine:
    """Workflow instances that do nothing by themselves."""

    alive: bool = True
    views: dict[str, WorkflowView] = field(default_factory=dict)
    started: list[dict[str, Any]] = field(default_factory=list)
    woken: list[tuple[str, str]] = field(default_factory=list)

    async def start(self, instance_id: str, *, order: dict[str, Any]) -> None:
        self._answer()
        self.started.append(order)
        self.views[instance_id] = WorkflowView(status="RUNNING")

    async def wake(self, instance_id: str, *, event: str) -> None:
        self._answer()
        if instance_id not in self.views:
            raise DaprRefusedError(f"no such instance exists: {instance_id!r}")
        self.woken.append((instance_id, event))

    async def look(self, instance_id: str) -> WorkflowView | None:
        self._answer()
        return self.views.get(instance_id)

    def _answer(self) -> None:
        if not self.alive:
            raise DaprUnavailableError("no worker is connected")


@dataclass
class FakeGraphData:
    """Inputs and final states of graph runs."""

    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    final: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def keep(self, name: str, value: dict[str, Any]) -> dict[str, str]:
        self.kept.setdefault(name, value)
        return {"reference": name}

    async def final_values(self, thread_id: str) -> dict[str, Any]:
        return self.final[thread_id]


@dataclass
class FakeMemory:
    """What was remembered."""

    solved: list[tuple[str, SolvedTicket]] = field(default_factory=list)

    async def remember(self, customer_id: str, solved: SolvedTicket) -> None:
        self.solved.append((customer_id, solved))


@dataclass
class FakeChannel:
    """What went out."""

    delivered: list[Delivery] = field(default_factory=list)
    failures: int = 0

    async def deliver(self, delivery: Delivery, *, ticket_id: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the channel is away")
        self.delivered.append(delivery)


@dataclass
class FakeProgress:
    """The expert's queries."""

    queries: Sequence[QueryProgress] = ()

    async def read(self, thread_id: str) -> Sequence[QueryProgress]:
        return self.queries


def refused(message: str = "the model is away") -> DaprRefusedError:
    """The answer of a sidecar whose model does not answer."""
    return DaprRefusedError(message)


def triage_report(*, known: bool = True, entitled: bool = True) -> TriageReport:
    """A triage's report on a ticket of CUST001."""
    customer = {
        "customer_id": "CUST001",
        "name": "Acme Corporation",
        "plan": "enterprise",
        "support": "full",
        "contact_email": "ops@acme.example",
    }
    return {
        "customer_id": "CUST001",
        "known": known,
        "customer": customer if known else None,  # pyright: ignore[reportReturnType]
        "entitled": entitled,
        "entitlement_reason": "The plan includes support." if entitled else "The Basic plan includes no support.",
        "urgency": "high",
        "category": "connectivity",
        "summary": "Services cannot call each other.",
        "system": None,
    }


def analysis(solution: str = "Open port 50002. [KB-CON-001]") -> Analysis:
    """An expert's analysis with three queries."""
    passage = {
        "article_id": "KB-CON-001",
        "title": "Ports",
        "section": "Fix",
        "text": "Open it.",
        "score": 1.0,
        "url": "kb://articles/KB-CON-001",
    }
    categories = ("connectivity", "configuration", "compatibility")
    return {
        "summary": "A port is closed.",
        "findings": [{"claim": "A port is closed.", "article_ids": ["KB-CON-001"]}],
        "proposed_solution": solution,
        "sources": [{"article_id": "KB-CON-001", "title": "Ports", "url": "kb://articles/KB-CON-001"}],
        "queries": [
            {"query": f"ports {category}", "category": category, "passages": [passage], "round": 1}  # pyright: ignore[reportReturnType]
            for category in categories
        ],
        "needs_person": False,
    }
