"""The demo, with a desk that only pretends."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from local.demo import Demo
from local.desk_client import Ticket
from local.errors import LocalError
from local.ticket_steps import list_steps
from seed.records import TicketRecord

TRIAGE = {
    "known": True,
    "entitled": True,
    "entitlement_reason": "",
    "urgency": "high",
    "category": "connectivity",
    "customer": {"name": "Acme Corporation", "plan": "enterprise"},
}
QUERY = {"query": "kafka", "category": "connectivity", "round": 1, "done": True, "results": [{"article_id": "KB-1"}]}
RECORD = TicketRecord(customer_id="CUST001", description="It is broken.")


def a_ticket(stage: str, *, round_number: int = 1, **more: Any) -> Ticket:
    known: dict[str, Any] = {"ticket_id": "T-1", "customer_id": "CUST001", "stage": stage, "round": round_number}
    return Ticket.model_validate({**known, **more})


def a_proposal(text: str, *, round_number: int = 1) -> Ticket:
    return a_ticket(
        "awaiting_approval",
        round_number=round_number,
        triage=TRIAGE,
        queries=[QUERY],
        proposed_solution=text,
        solution_digest=text,
    )


SOLVED = a_ticket(
    "solved", triage=TRIAGE, notification={"recipient": "a@b.example", "body": "Hello", "fallback": False}
)


class PretendedDesk:
    """Answers with prepared tickets, the last one for ever, and keeps the decisions."""

    def __init__(self, *tickets: Ticket) -> None:
        self._tickets = list(tickets)
        self.decisions: list[tuple[str, str | None]] = []

    def check(self) -> None:
        pass

    def file_ticket(self, customer_id: str, description: str) -> str:
        return "T-1"

    def read_ticket(self, ticket_id: str) -> Ticket:
        return self._tickets.pop(0) if len(self._tickets) > 1 else self._tickets[0]

    def approve(self, ticket: Ticket, *, final_solution: str | None = None) -> None:
        self.decisions.append(("approve", final_solution))

    def reject(self, ticket: Ticket, *, reason: str) -> None:
        self.decisions.append(("reject", reason))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.demo._PAUSE_SECONDS", 0.0)


def show(
    desk: PretendedDesk,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: Sequence[str] = (),
    is_agreed: bool = False,
    editor: str | None = None,
) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    output = io.StringIO()
    console = Console(file=output, width=200, markup=False, highlight=False)
    monkeypatch.setattr("builtins.input", lambda _prompt="": _read_line())
    Demo(desk, console=console, editor=editor, is_agreed=is_agreed).run([RECORD])
    return output.getvalue()


def _read_line() -> str:
    if line := sys.stdin.readline():
        return line.rstrip("\n")
    raise EOFError


def test_with_yes_the_solution_is_approved_and_the_message_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_ticket("triage"), a_ticket("analysis", triage=TRIAGE), a_proposal("Restart it."), SOLVED)
    shown = show(desk, monkeypatch, is_agreed=True)
    assert desk.decisions == [("approve", None)]
    assert "triage: Acme Corporation, enterprise plan, entitled; urgency high, category connectivity" in shown
    assert "knowledge base (connectivity): kafka -> KB-1" in shown
    assert "Restart it." in shown
    assert "message to a@b.example" in shown


def test_each_step_is_printed_once_however_often_the_ticket_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = a_proposal("Restart it.")
    desk = PretendedDesk(a_ticket("analysis", triage=TRIAGE), proposal, proposal, SOLVED)
    shown = show(desk, monkeypatch, is_agreed=True)
    assert shown.count("triage: Acme") == 1
    assert shown.count("knowledge base (connectivity)") == 1


def test_a_rejected_solution_comes_back_in_another_round(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = a_proposal("Wait."), a_proposal("Restart it.", round_number=2)
    desk = PretendedDesk(first, first, second, SOLVED)
    shown = show(desk, monkeypatch, answers=["r", "That is no help.", "a"])
    assert "[a/e/r/s]" in shown
    assert desk.decisions == [("reject", "That is no help."), ("approve", None)]
    assert "proposed solution, round 2" in shown


def test_without_an_editor_the_new_text_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_proposal("Wait."), SOLVED)
    show(desk, monkeypatch, answers=["what?", "e", "Restart it,", "twice.", "."])
    assert desk.decisions == [("approve", "Restart it,\ntwice.")]


def test_the_editor_changes_the_proposed_text(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_proposal("Wait."), SOLVED)
    show(desk, monkeypatch, answers=["e"], editor="sed -i s/Wait/Restart/")
    assert desk.decisions == [("approve", "Restart.")]


def test_an_unchanged_text_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_proposal("Wait."), SOLVED)
    shown = show(desk, monkeypatch, answers=["e", "s"], editor="true")
    assert desk.decisions == []
    assert "The text is unchanged." in shown


def test_a_skipped_ticket_goes_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_proposal("Wait."))
    assert "goes on waiting for a decision" in show(desk, monkeypatch, answers=["s"])


def test_a_ticket_that_needs_attention_is_reported_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = PretendedDesk(a_ticket("needs_attention", attention={"message": "the model answers 500"}))
    shown = show(desk, monkeypatch)
    assert "the model answers 500" in shown
    assert "POST /support/retry/T-1" in shown


def test_a_customer_without_entitlement_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    triage = {**TRIAGE, "entitled": False, "entitlement_reason": "The plan has no support."}
    shown = show(PretendedDesk(a_ticket("declined", triage=triage)), monkeypatch)
    assert "not entitled (The plan has no support.)" in shown
    assert "analysis" not in shown


def test_without_anyone_to_answer_the_demo_ends_and_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocalError, match="ARGS=--yes"):
        show(PretendedDesk(a_proposal("Wait.")), monkeypatch)


def test_a_query_that_is_still_asked_is_going_on() -> None:
    ticket = a_ticket("analysis", triage=TRIAGE, queries=[{**QUERY, "done": False, "results": []}])
    assert [(step.text.split(":")[0], step.is_done) for step in list_steps(ticket)] == [
        ("triage", True),
        ("knowledge base (connectivity)", False),
        ("analysis", False),
    ]
