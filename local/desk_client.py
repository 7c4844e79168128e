"""The desk's REST API, as much of it as the demo needs."""

from types import TracebackType
from typing import Any, Literal, Self

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from local.errors import DeskUnavailableError

CLOSED = frozenset({"solved", "declined", "escalated"})
AWAITING_APPROVAL = "awaiting_approval"
NEEDS_ATTENTION = "needs_attention"

_SECONDS = 30.0


class _View(BaseModel):
    """A part of an answer; fields that the demo does not show are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Customer(_View):
    """The customer, as triage found them."""

    name: str
    plan: str


class Triage(_View):
    """What triage found."""

    known: bool
    entitled: bool
    entitlement_reason: str
    urgency: str
    category: str
    customer: Customer | None = None


class Passage(_View):
    """A passage of an article that a query found."""

    article_id: str


class Query(_View):
    """A query to the knowledge base."""

    query: str
    category: str
    round: int
    done: bool
    results: tuple[Passage, ...] = ()


class Attention(_View):
    """Why the ticket stopped."""

    message: str


class Notification(_View):
    """The message to the customer."""

    recipient: str | None
    body: str
    fallback: bool


class Ticket(_View):
    """A ticket and all that the demo shows of it."""

    ticket_id: str
    customer_id: str
    stage: str
    round: int
    triage: Triage | None = None
    queries: tuple[Query, ...] = ()
    proposed_solution: str | None = None
    solution_digest: str | None = None
    notification: Notification | None = None
    attention: Attention | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the ticket has come to its end."""
        return self.stage in CLOSED

    @property
    def is_waiting(self) -> bool:
        """Whether a person has to do something before anything happens."""
        return self.stage in {AWAITING_APPROVAL, NEEDS_ATTENTION}


class DeskClient:
    """A client of one desk; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx2.Client(base_url=self._url, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def check(self) -> None:
        """Make sure that the desk is there and ready.

        Raises:
            DeskUnavailableError: It is not; the message says what to do.
        """
        self._call("GET", "/health/ready")

    def file_ticket(self, customer_id: str, description: str) -> str:
        """File a ticket and return its id."""
        answer = self._call("POST", "/support/ticket", {"customer_id": customer_id, "description": description})
        return str(answer["ticket_id"])

    def read_ticket(self, ticket_id: str) -> Ticket:
        """Return the ticket as it is now."""
        answer = self._call("GET", f"/support/ticket/{ticket_id}")
        try:
            return Ticket.model_validate(answer)
        except ValidationError as error:
            raise DeskUnavailableError(f"{self._url} answers with something that is no ticket: {error}") from error

    def approve(self, ticket: Ticket, *, final_solution: str | None = None) -> None:
        """Approve the proposed solution, or another text in its place."""
        self._decide(ticket, {"approved": True, "final_solution": final_solution})

    def reject(self, ticket: Ticket, *, reason: str) -> None:
        """Send the ticket back to the expert."""
        self._decide(ticket, {"approved": False, "support_notes": reason})

    def _decide(self, ticket: Ticket, decision: dict[str, Any]) -> None:
        # The digest is that of the text which was shown: a newer proposal is not approved unseen.
        given = {name: value for name, value in decision.items() if value is not None}
        self._call("POST", f"/support/approve/{ticket.ticket_id}", {**given, "solution_digest": ticket.solution_digest})

    def _call(self, method: Literal["GET", "POST"], path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise DeskUnavailableError(
                f"the desk does not answer at {self._url} ({error}). Start it with `make run` in another terminal, "
                "and wait until it says that it is ready."
            ) from error
        if not response.is_success:
            raise DeskUnavailableError(f"{method} {self._url}{path}: {response.status_code}, {_explain(response)}")
        return response.json()


def _explain(response: httpx2.Response) -> str:
    try:
        problem: dict[str, Any] = response.json()
    except ValueError:
        return response.text[:500]
    return str(problem.get("detail") or problem.get("title") or problem)
