"""Readiness, against stand-ins for what is asked."""

import httpx2
import pytest

from desk.probes import Check, Probes
from tests.kit.desk_room import settings

pytestmark = pytest.mark.anyio

WELL: dict[str, httpx2.Response] = {
    "/v1.0/healthz/outbound": httpx2.Response(204),
    "/v1.0/metadata": httpx2.Response(
        200, json={"actorRuntime": {"hostReady": True}, "workflows": {"connectedWorkers": 1}}
    ),
    "/mcp": httpx2.Response(406),
    "/v1/models": httpx2.Response(200, json={"data": []}),
}


async def probe(changes: dict[str, httpx2.Response | None], *, needs_worker: bool = True) -> dict[str, Check]:
    answers = {**WELL, **changes}

    async def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers[request.url.path]
        if found is None:
            raise httpx2.ConnectError("connection refused")
        return found

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        return {check.name: check for check in await Probes(settings(), needs_worker=needs_worker, http=client).check()}


async def test_everything_is_ready_when_everything_answers() -> None:
    checks = await probe({})
    assert list(checks) == ["sidecar", "workflow_engine", "knowledge_base", "model"]
    assert all(check.is_ready for check in checks.values())


@pytest.mark.parametrize(
    ("path", "answer", "failed"),
    [
        ("/v1.0/healthz/outbound", httpx2.Response(500), "sidecar"),
        ("/v1.0/healthz/outbound", None, "sidecar"),
        ("/v1.0/metadata", httpx2.Response(200, json={"actorRuntime": {"hostReady": True}}), "workflow_engine"),
        ("/v1.0/metadata", httpx2.Response(200, json={}), "workflow_engine"),
        ("/v1.0/metadata", httpx2.Response(200, text="no JSON"), "workflow_engine"),
        ("/mcp", None, "knowledge_base"),
        ("/mcp", httpx2.Response(502), "knowledge_base"),
        ("/v1/models", httpx2.Response(401), "model"),
        ("/v1/models", None, "model"),
    ],
)
async def test_what_does_not_work_is_named(path: str, answer: httpx2.Response | None, failed: str) -> None:
    checks = await probe({path: answer})
    assert [name for name, check in checks.items() if not check.is_ready] == [failed]
    assert checks[failed].detail


async def test_an_api_alone_is_ready_without_a_worker_at_its_own_sidecar() -> None:
    no_worker = httpx2.Response(200, json={"actorRuntime": {"hostReady": False}})
    assert (await probe({"/v1.0/metadata": no_worker}, needs_worker=False))["workflow_engine"].is_ready
    assert not (await probe({"/v1.0/metadata": None}, needs_worker=False))["workflow_engine"].is_ready
