"""Every error is a problem (RFC 9457)."""

import json
from collections.abc import AsyncGenerator

import httpx2
import pytest

from desk.errors import DeskError
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


def check(answer: httpx2.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    members = answer.json()
    assert members["status"] == status
    assert {"type", "title", "detail", "instance"} <= set(members)
    return members


async def test_a_path_that_does_not_exist(http: httpx2.AsyncClient) -> None:
    assert check(await http.get("/nowhere"), 404)["instance"] == "/nowhere"


async def test_a_method_that_does_not_work_names_those_that_do(http: httpx2.AsyncClient) -> None:
    answer = await http.delete("/support/tickets")
    assert "GET" in str(check(answer, 405)["detail"])
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"\xff\xfe", b"null", b'{"customer_id": NaN}', b"[" * 100_0, b'{"description": "\\ud800"}', b"\x00"],
)
async def test_a_body_that_is_no_ticket(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/support/ticket", content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    check(answer, answer.status_code)


async def test_half_a_surrogate_pair_is_refused_and_not_a_crash(http: httpx2.AsyncClient) -> None:
    body = json.dumps({"customer_id": "C", "description": "\ud800"}).encode()
    check(await http.post("/support/ticket", content=body, headers=JSON), 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_type(http: httpx2.AsyncClient, kind: str) -> None:
    answer = await http.post("/support/ticket", content=b"{}", headers={"Content-Type": kind})
    check(answer, 415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_by_any_of_its_names_is_read(http: httpx2.AsyncClient, kind: str) -> None:
    check(await http.post("/support/ticket", content=b"{}", headers={"Content-Type": kind}), 422)


async def test_a_body_that_is_declared_too_large(http: httpx2.AsyncClient) -> None:
    check(await http.post("/support/ticket", content=b"x" * 100_000, headers=JSON), 413)


async def test_a_body_that_turns_out_too_large(http: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    check(await http.post("/support/ticket", content=endless(), headers=JSON), 413)


async def test_what_nobody_thought_of_does_not_show_its_inside(
    http: httpx2.AsyncClient, room: DeskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise DeskError("secret inside")

    monkeypatch.setattr(room.tickets, "list", fail)
    answer = await http.get("/support/tickets")
    check(answer, 500)
    assert "secret" not in answer.text


async def test_the_type_of_a_problem_leads_somewhere(http: httpx2.AsyncClient) -> None:
    kind = check(await http.get("/support/ticket/X"), 404)["type"]
    assert (await http.get(str(kind))).json()["title"] == "There is no such ticket"
    check(await http.get("/problems/none"), 404)


async def test_a_path_with_an_odd_id(http: httpx2.AsyncClient) -> None:
    for odd in ("%20", "a%20b", "%00", "x" * 65, "a%7C%7Cb", "..%2f..", "%F0%9F%9A%A8"):
        answer = await http.get(f"/support/status/{odd}")
        assert answer.status_code in (404, 422), odd
        check(answer, answer.status_code)
