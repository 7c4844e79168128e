"""Faults on request, and the log of calls."""

from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import httpx2
import openai
import pytest

from tests.kit.offline_model_app import connect, openai_over

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with connect() as opened:
        yield opened


async def ask(http: httpx2.AsyncClient, *, node: str | None = None, **options: Any) -> Any:
    headers = {"X-Graph-Node": node, "X-Task-Id": "task-1"} if node else {}
    return await openai_over(http).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hello there"}], extra_headers=headers, **options
    )


async def counted(http: httpx2.AsyncClient) -> dict[str, Any]:
    return (await http.get("/calls")).json()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("401", openai.AuthenticationError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
    ],
)
async def test_a_fault_lasts_as_many_calls_as_ordered(
    http: httpx2.AsyncClient, kind: str, error: type[Exception]
) -> None:
    await http.post("/faults", json={"kind": kind, "count": 2})
    for _ in range(2):
        with pytest.raises(error):
            await ask(http)
    assert (await ask(http)).choices[0].finish_reason == "stop"
    assert [(call["status"], call["fault"]) for call in (await counted(http))["calls"]] == [
        (int(kind), kind),
        (int(kind), kind),
        (200, None),
    ]


async def test_a_fault_can_be_meant_for_one_node(http: httpx2.AsyncClient) -> None:
    await http.post("/faults", json={"kind": "500", "node": "expert."})
    await ask(http, node="triage.assess")
    await ask(http)
    with pytest.raises(openai.InternalServerError):
        await ask(http, node="expert.plan_queries")


async def test_a_slow_answer_comes_late_but_comes(http: httpx2.AsyncClient) -> None:
    await http.post("/faults", json={"kind": "slow", "seconds": 0.2})
    started = perf_counter()
    await ask(http)
    assert perf_counter() - started >= 0.2


async def test_a_malformed_answer_is_cut_off(http: httpx2.AsyncClient) -> None:
    whole = (await ask(http, response_format={"type": "json_object"})).choices[0].message.content
    await http.post("/faults", json={"kind": "malformed"})
    broken = (await ask(http, response_format={"type": "json_object"})).choices[0].message.content
    assert whole.startswith(broken)
    assert not broken.endswith("}")


async def test_orders_can_be_withdrawn(http: httpx2.AsyncClient) -> None:
    await http.post("/faults", json={"kind": "500", "count": 100})
    await http.delete("/faults")
    await ask(http)


@pytest.mark.parametrize("order", [{}, {"kind": "418"}, {"kind": "500", "count": 0}, {"kind": "500", "nodes": "x"}])
async def test_an_order_that_makes_no_sense_is_refused(http: httpx2.AsyncClient, order: dict[str, Any]) -> None:
    assert (await http.post("/faults", json=order)).status_code == 400


async def test_calls_are_counted_with_node_task_and_kind(http: httpx2.AsyncClient) -> None:
    await ask(http, node="triage.assess", response_format={"type": "json_object"})
    stream = await ask(http, stream=True)
    assert [chunk async for chunk in stream]
    report = await counted(http)
    assert report["total"] == 2
    assert report["calls"] == [
        {"sequence": 1, "node": "triage.assess", "task_id": "task-1", "kind": "json", "status": 200, "stream": False,
         "fault": None},
        {"sequence": 2, "node": None, "task_id": None, "kind": "text", "status": 200, "stream": True, "fault": None},
    ]  # fmt: skip
    await http.delete("/calls")
    assert await counted(http) == {"total": 0, "calls": []}


async def test_a_request_that_cannot_be_read_is_no_call(http: httpx2.AsyncClient) -> None:
    await http.post("/v1/chat/completions", json={"model": "m"})
    assert (await counted(http))["total"] == 0


async def test_the_server_says_that_it_lives(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/health")).json() == {"status": "ok", "model": "offline-support"}
