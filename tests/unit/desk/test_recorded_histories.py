"""Tickets in flight: histories that earlier code has written are replayed by the code of today.

When one of these fails, tickets that were started before a release would stop at it: keep the old order of steps behind
`ctx.is_patched`, and record the new order as another history.
"""

import json
from pathlib import Path

import pytest

from desk.workflow import support_ticket
from tests.kit.workflow_replay import replay_history

HISTORIES = Path(__file__).parent / "histories"


@pytest.mark.parametrize("name", sorted(path.stem for path in HISTORIES.glob("*.json")))
def test_a_ticket_in_flight_goes_on_with_the_code_of_today(name: str) -> None:
    recorded = json.loads((HISTORIES / f"{name}.json").read_text())
    assert replay_history(support_ticket, recorded["order"], recorded["history"]) == recorded["conclusion"]
