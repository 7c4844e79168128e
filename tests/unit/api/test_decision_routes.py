"""Decisions and retries over HTTP."""

from typing import Any

import httpx2
import pytest

from desk.approvals import digest_text
from desk.casework import Failure
from desk.stages import Stage
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

PROPOSED = "Open port 50002. [KB-CON-001]"


async def test_an_approval_is_stored_and_wakes_the_workflow(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    body = {"approved": True, "solution_digest": digest_text(PROPOSED), "support_notes": None}
    answer = await http.post("/support/approve/T-1", json=body)
    assert answer.status_code == 200
    assert answer.json() == {"status": "approval_sent", "ticket_id": "T-1", "instance_id": "ticket-T-1"}
    assert room.engine.woken == [("ticket-T-1", "solution_approved")]


async def test_an_approval_is_stored_even_when_dapr_is_away(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    room.engine.alive = room.sidecar.alive = False
    assert (await http.post("/support/approve/T-1", json={"approved": True})).status_code == 200
    assert await room.stage() == Stage.DECIDED


@pytest.mark.parametrize(
    ("before", "body", "kind"),
    [
        ("filed", {"approved": True}, "decision-not-awaited"),
        ("decided", {"approved": True}, "decision-already-made"),
        ("expired", {"approved": True}, "decision-not-awaited"),
        ("waiting", {"approved": True, "solution_digest": "0" * 64}, "solution-changed"),
    ],
)
async def test_a_decision_at_the_wrong_time_is_a_conflict(
    http: httpx2.AsyncClient, room: DeskRoom, before: str, body: dict[str, Any], kind: str
) -> None:
    await (room.file() if before == "filed" else room.bring_to_approval())
    if before == "decided":
        await http.post("/support/approve/T-1", json={"approved": False, "support_notes": "No."})
    if before == "expired":
        await room.approvals.expire("T-1", round_number=1)
    answer = await http.post("/support/approve/T-1", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/{kind}")
    assert "T-1" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"approved": "yes"},
        {"approved": 1},
        {"approved": None},
        {"approved": False},
        {"approved": False, "support_notes": " "},
        {"approved": False, "support_notes": "No.", "final_solution": "But this."},
        {"approved": True, "final_solution": ""},
        {"approved": True, "solution_digest": "abc"},
        {"approved": True, "final_soluton": "misspelt"},
        [],
        "approved",
        None,
    ],
)
async def test_an_odd_decision_is_refused_and_changes_nothing(
    http: httpx2.AsyncClient, room: DeskRoom, body: object
) -> None:
    await room.bring_to_approval()
    answer = await http.post("/support/approve/T-1", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert await room.stage() == Stage.AWAITING_APPROVAL


async def test_an_edited_text_that_is_too_long_is_too_large(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    answer = await http.post("/support/approve/T-1", json={"approved": True, "final_solution": "x" * 1001})
    assert answer.status_code == 413


async def test_a_retry_wakes_a_ticket_that_needs_attention(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    failure = Failure(graph="expert", node="plan_queries", error_type="ModelUnavailableError", message="HTTP 500")
    await room.casework.need_attention("T-1", failure, step="s")
    found = (await http.get("/support/ticket/T-1")).json()
    assert found["attention"]["message"] == "HTTP 500"
    answer = await http.post("/support/retry/T-1")
    assert answer.json() == {"status": "retry_sent", "ticket_id": "T-1", "instance_id": "ticket-T-1"}
    assert room.engine.woken == [("ticket-T-1", "retry_requested")]


async def test_a_retry_that_is_not_needed_is_a_conflict(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    answer = await http.post("/support/retry/T-1")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/retry-not-needed")


@pytest.mark.parametrize("path", ["/support/approve/X", "/support/retry/X"])
async def test_an_unknown_ticket_is_not_found(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.post(path, json={"approved": True})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-ticket")
