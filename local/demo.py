"""`make demo`: a ticket of each sample customer, from filing to the message that the customer gets."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from rich.console import Console

from local.approval import Answer, ask_for_decision
from local.demo_view import TicketView, show_text
from local.desk_client import NEEDS_ATTENTION, Ticket
from local.errors import DeskUnavailableError
from seed.records import TicketRecord

_PAUSE_SECONDS = 0.15
_PATIENCE = timedelta(minutes=5)


class Desk(Protocol):
    """What the demo needs of the desk; each method raises `DeskUnavailableError` when it does not answer."""

    def check(self) -> None:
        """Make sure that the desk is ready."""
        ...

    def file_ticket(self, customer_id: str, description: str) -> str:
        """File a ticket and return its id."""
        ...

    def read_ticket(self, ticket_id: str) -> Ticket:
        """Return the ticket as it is now."""
        ...

    def approve(self, ticket: Ticket, *, final_solution: str | None = None) -> None:
        """Approve the proposed solution, or another text in its place."""
        ...

    def reject(self, ticket: Ticket, *, reason: str) -> None:
        """Send the ticket back to the expert."""
        ...


class Demo:
    """Files tickets and goes with each of them to its end.

    Args:
        desk: where they are filed.
        console: where it is shown and asked.
        editor: the user's editor, for changing a solution.
        is_agreed: approve every solution without asking.
    """

    def __init__(self, desk: Desk, *, console: Console, editor: str | None, is_agreed: bool) -> None:
        self._desk = desk
        self._console = console
        self._editor = editor
        self._is_agreed = is_agreed

    def run(self, tickets: Sequence[TicketRecord]) -> None:
        """Take the tickets one after the other.

        Raises:
            DeskUnavailableError: The desk does not answer, or a ticket does not get on.
        """
        self._desk.check()
        for record in tickets:
            self._console.rule(record.customer_id)
            self._console.print(record.description, style="italic")
            ticket_id = self._desk.file_ticket(record.customer_id, record.description)
            self._console.print(f"Filed as ticket {ticket_id}.")
            self._accompany(ticket_id)

    def _accompany(self, ticket_id: str) -> None:
        view = TicketView(self._console)
        ticket = self._follow(ticket_id, view, after_round=0)
        while not ticket.is_closed:
            if ticket.stage == NEEDS_ATTENTION:
                self._report_trouble(ticket)
                return
            answer = self._decide(ticket)
            if answer.kind == "skip":
                self._console.print(f"Ticket {ticket_id} goes on waiting for a decision.")
                return
            ticket = self._follow(ticket_id, view, after_round=ticket.round)
        self._show_message(ticket)

    def _follow(self, ticket_id: str, view: TicketView, *, after_round: int) -> Ticket:
        """Show the ticket until it is closed or waits for a person in a later round than the one decided on."""
        deadline = time.monotonic() + _PATIENCE.total_seconds()
        with view:
            while True:
                ticket = self._desk.read_ticket(ticket_id)
                view.show(ticket)
                if ticket.is_closed or ticket.stage == NEEDS_ATTENTION:
                    return ticket
                if ticket.is_waiting and ticket.round > after_round:
                    return ticket
                if time.monotonic() > deadline:
                    raise DeskUnavailableError(
                        f"ticket {ticket_id} is still in stage {ticket.stage!r} after {_PATIENCE}; "
                        "see the logs of `make run`"
                    )
                time.sleep(_PAUSE_SECONDS)

    def _decide(self, ticket: Ticket) -> Answer:
        solution = ticket.proposed_solution or ""
        show_text(self._console, f"proposed solution, round {ticket.round}", solution)
        answer = Answer(kind="approve") if self._is_agreed else self._ask(solution)
        match answer.kind:
            case "approve":
                self._desk.approve(ticket)
            case "edit":
                self._desk.approve(ticket, final_solution=answer.text)
            case "reject":
                self._desk.reject(ticket, reason=answer.text)
            case "skip":
                pass
        return answer

    def _ask(self, solution: str) -> Answer:
        return ask_for_decision(self._console, solution, editor=self._editor)

    def _report_trouble(self, ticket: Ticket) -> None:
        why = ticket.attention.message if ticket.attention else "no reason is given"
        self._console.print(f"Ticket {ticket.ticket_id} needs attention: {why}", style="red")
        self._console.print(f"POST /support/retry/{ticket.ticket_id} lets it go on where it stopped.")

    def _show_message(self, ticket: Ticket) -> None:
        if message := ticket.notification:
            kind = " (plain template: the model did not answer)" if message.fallback else ""
            show_text(self._console, f"message to {message.recipient or 'the customer'}{kind}", message.body)
