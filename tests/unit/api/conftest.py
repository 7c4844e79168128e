"""The application over a desk with stand-ins, asked without a network."""

import contextlib
from collections.abc import AsyncGenerator

import httpx2
import pytest
from fastapi import FastAPI

from api.app import create_app
from desk.assembly import Premises
from desk.directory import DaprCustomerDirectory
from desk.probes import Check, Probes
from tests.kit.desk_room import DeskRoom, open_room, settings


class StillProbes(Probes):
    """Probes whose findings a test sets."""

    def __init__(self, room: DeskRoom) -> None:
        super().__init__(room.settings)
        self.failed: tuple[str, ...] = ()

    async def check(self) -> tuple[Check, ...]:
        names = ("sidecar", "workflow_engine", "knowledge_base", "model")
        return tuple(
            Check(name=name, is_ready=name not in self.failed, detail="away" if name in self.failed else "answers")
            for name in names
        )


class Door:
    """Leads the one application of all tests to the desk of the test that runs."""

    premises: Premises

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[Premises]:
        """Open the desk of the test that runs."""
        yield self.premises


@pytest.fixture(scope="session")
def door() -> Door:
    """The way from the application to the desk."""
    return Door()


@pytest.fixture(scope="session")
def app(door: Door) -> FastAPI:
    """The application, which takes descriptions of 1000 bytes."""
    return create_app(settings(max_description=1000), open_desk=door.open)


@pytest.fixture
async def room(anyio_backend: str) -> AsyncGenerator[DeskRoom]:
    """A desk that takes descriptions of 1000 bytes."""
    async with open_room(max_description=1000) as room:
        yield room


@pytest.fixture
def probes(room: DeskRoom) -> StillProbes:
    """What readiness finds."""
    return StillProbes(room)


@pytest.fixture
async def http(
    app: FastAPI, door: Door, room: DeskRoom, probes: StillProbes, anyio_backend: str
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the application."""
    door.premises = Premises(desk=room.desk, directory=DaprCustomerDirectory(room.sidecar), probes=probes)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://desk") as client,
    ):
        yield client
