"""Filing, finding and reading tickets over HTTP."""

from typing import Any

import httpx2
import pytest

from desk.approvals import Answer, digest_text
from desk.ports import WorkflowView
from desk.progress import QueryProgress
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

TICKET = {"ticket_id": "T-1", "customer_id": "CUST001", "description": "Services cannot call each other."}


async def test_a_ticket_is_accepted_and_its_workflow_started(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    answer = await http.post("/support/ticket", json=TICKET)
    assert answer.status_code == 202
    assert answer.json() == {"instance_id": "ticket-T-1", "ticket_id": "T-1", "status": "workflow_started"}
    assert room.engine.started == [{"ticket_id": "T-1", "run": 1}]


async def test_a_ticket_without_an_id_is_given_one(http: httpx2.AsyncClient) -> None:
    body = {key: value for key, value in TICKET.items() if key != "ticket_id"}
    first, second = [(await http.post("/support/ticket", json=body)).json()["ticket_id"] for _ in range(2)]
    assert first != second
    assert (await http.get(f"/support/ticket/{first}")).status_code == 200


async def test_the_same_ticket_twice_gets_the_same_answer(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    answers = [await http.post("/support/ticket", json=TICKET) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(room.engine.started) == 1


async def test_the_same_id_with_other_content_is_a_conflict(http: httpx2.AsyncClient) -> None:
    await http.post("/support/ticket", json=TICKET)
    answer = await http.post("/support/ticket", json={**TICKET, "description": "Something else."})
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/ticket-conflict"


@pytest.mark.parametrize("ticket_id", ["", ".", "a/b", "a b", "é", "x" * 65, "-x", "a||b", "a\n"])
async def test_an_odd_ticket_id_is_refused(http: httpx2.AsyncClient, ticket_id: str) -> None:
    answer = await http.post("/support/ticket", json={**TICKET, "ticket_id": ticket_id})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.ticket_id"


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": None},
        {"customer_id": "no customer"},
        {"description": ""},
        {"description": "   \n"},
        {"description": "nul \x00 byte"},
        {"description": 7},
        {"urgency": "high"},
    ],
)
async def test_an_incomplete_or_odd_ticket_is_refused(http: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    answer = await http.post("/support/ticket", json={**TICKET, **change})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == f"body.{next(iter(change))}"


async def test_text_in_any_language_is_kept(http: httpx2.AsyncClient) -> None:
    text = "Ошибка 🚨 'quoted' \"twice\" <b>&amp;</b>\nline two"
    await http.post("/support/ticket", json={**TICKET, "description": text})
    assert (await http.get("/support/ticket/T-1")).json()["description"] == text


async def test_a_description_that_is_too_long_is_too_large(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/support/ticket", json={**TICKET, "description": "x" * 1001})
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
    assert (await http.get("/support/tickets")).json()["total"] == 0


async def test_while_dapr_is_away_no_ticket_is_taken(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    room.sidecar.alive = False
    answer = await http.post("/support/ticket", json=TICKET)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/dapr-away")
    assert int(answer.headers["Retry-After"]) > 0
    room.sidecar.alive = True
    assert (await http.post("/support/ticket", json=TICKET)).status_code == 202


async def test_the_status_is_daprs_and_ours(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.file()
    room.engine.views["ticket-T-1"] = WorkflowView(status="COMPLETED", output={"outcome": "solved"})
    assert (await http.get("/support/status/T-1")).json() == {
        "ticket_id": "T-1",
        "instance_id": "ticket-T-1",
        "status": "COMPLETED",
        "stage": "received",
        "output": {"outcome": "solved"},
    }


async def test_a_ticket_that_was_not_started_yet_is_pending(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    room.engine.alive = False
    await room.file()
    assert (await http.get("/support/status/T-1")).status_code == 503
    room.engine.alive = True
    assert (await http.get("/support/status/T-1")).json()["status"] == "PENDING"


async def test_a_ticket_is_read_with_everything_on_it(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    await room.approvals.decide("T-1", Answer(approved=True, support_notes="Fine."))
    await room.activities.notify_customer({"ticket_id": "T-1", "outcome": "solved", "decision": "round-1"})
    found = (await http.get("/support/ticket/T-1")).json()
    assert found["stage"] == found["outcome"] == "solved"
    assert found["triage"]["customer"]["name"] == "Acme Corporation"
    assert [query["category"] for query in found["queries"]] == ["connectivity", "configuration", "compatibility"]
    assert all(query["done"] and query["results"][0]["article_id"] == "KB-CON-001" for query in found["queries"])
    assert found["analysis"]["sources"][0]["article_id"] == "KB-CON-001"
    assert found["solution_digest"] == digest_text(found["proposed_solution"])
    assert found["decision"]["verdict"] == "approved"
    assert found["notification"]["notification_key"] == "ticket-T-1:round-1"


async def test_while_the_expert_works_its_queries_are_seen_live(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.file()
    await room.activities.open_ticket({"ticket_id": "T-1", "run": 1})
    await room.activities.record_triage({"ticket_id": "T-1"})
    room.progress.queries = (
        QueryProgress(query="a", category="connectivity", round=1, is_done=True),
        QueryProgress(query="b", category="configuration", round=1, is_done=False),
    )
    found = (await http.get("/support/ticket/T-1")).json()
    assert found["stage"] == "analysis"
    assert [(query["query"], query["done"]) for query in found["queries"]] == [("a", True), ("b", False)]


async def test_tickets_are_listed_page_by_page(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    for number in range(5):
        await room.tickets.file(ticket_id=f"T{number}", customer_id="CUST001", description="d")
    first = (await http.get("/support/tickets", params={"limit": 3})).json()
    assert [ticket["ticket_id"] for ticket in first["tickets"]] == ["T4", "T3", "T2"]
    assert (first["total"], first["next_offset"]) == (5, 3)
    last = (await http.get("/support/tickets", params={"limit": 3, "offset": 3})).json()
    assert ([ticket["ticket_id"] for ticket in last["tickets"]], last["next_offset"]) == (["T1", "T0"], None)


async def test_a_list_shows_the_beginning_of_a_long_text_in_one_line(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.tickets.file(ticket_id="T", customer_id="CUST001", description="word\n" * 100)
    [listed] = (await http.get("/support/tickets")).json()["tickets"]
    assert len(listed["description"]) <= 300
    assert listed["description"].endswith("word …")


async def test_tickets_are_filtered(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval("T-1")
    await room.tickets.file(ticket_id="T-2", customer_id="CUST002", description="Actors do not start.")
    for query, expected in [
        ({"stage": "awaiting_approval"}, ["T-1"]),
        ({"customer_id": "CUST002"}, ["T-2"]),
        ({"text": "ACTORS"}, ["T-2"]),
        ({"text": "%"}, []),
        ({"stage": "solved"}, []),
    ]:
        found = (await http.get("/support/tickets", params=query)).json()
        assert [ticket["ticket_id"] for ticket in found["tickets"]] == expected, query


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "offset=-1", "stage=nowhere", "customer_id=a%20b", f"text={'x' * 201}"]
)
async def test_an_odd_filter_is_refused(http: httpx2.AsyncClient, query: str) -> None:
    answer = await http.get(f"/support/tickets?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == f"query.{query.partition('=')[0]}"


async def test_the_history_tells_each_step(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    await room.bring_to_approval()
    found = (await http.get("/support/ticket/T-1/history")).json()
    assert [line["event"] for line in found["history"]] == await room.events()
    assert found["history"][-1]["stage"] == "awaiting_approval"
    numbers = [line["number"] for line in found["history"]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("path", ["/support/status/X", "/support/ticket/X", "/support/ticket/X/history"])
async def test_an_unknown_ticket_is_not_found(http: httpx2.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-ticket")
    assert "'X'" in answer.json()["detail"]
