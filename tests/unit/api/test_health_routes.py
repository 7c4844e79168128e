"""Health over HTTP."""

import httpx2
import pytest
from fastapi import FastAPI

from api.app import create_app
from desk.assembly import Role
from desk.directory import DaprCustomerDirectory
from tests.kit.desk_room import DeskRoom, settings
from tests.unit.api.conftest import StillProbes

pytestmark = pytest.mark.anyio


async def test_the_process_lives_whatever_is_away(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    room.sidecar.alive = room.engine.alive = False
    assert (await http.get("/health")).json() == {"status": "ok"}


async def test_it_is_ready_when_everything_answers(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert set(answer.json()["checks"]) == {"sidecar", "workflow_engine", "knowledge_base", "model"}


async def test_what_is_away_is_named(http: httpx2.AsyncClient, probes: StillProbes) -> None:
    probes.failed = ("knowledge_base", "model")
    answer = await http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Retry-After" in answer.headers
    assert answer.json()["detail"] == "knowledge_base: away; model: away"
    assert answer.json()["checks"]["sidecar"] == {"ready": True, "detail": "answers"}


async def test_the_sample_data_is_counted(http: httpx2.AsyncClient, room: DeskRoom) -> None:
    empty = (await http.get("/health/data")).json()
    assert empty == {"stores": {"customer-state": 0, "system-state": 0}, "loaded": False}
    directory = DaprCustomerDirectory(room.sidecar)
    await directory.save_customer(
        {"customer_id": "C", "name": "N", "plan": "basic", "support": "none", "contact_email": "c@n.example"}
    )
    assert (await http.get("/health/data")).json()["stores"] == {"customer-state": 1, "system-state": 0}
    room.sidecar.alive = False
    assert (await http.get("/health/data")).status_code == 503


def test_a_worker_answers_health_and_nothing_else() -> None:
    app: FastAPI = create_app(settings(), role=Role.WORKER)
    paths = set(app.openapi()["paths"])
    assert "/health/ready" in paths
    assert not any(path.startswith("/support") for path in paths)
