"""The desk's database on PostgreSQL, with two processes' worth of connections at once."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from desk.approvals import Answer
from desk.database import Database
from desk.errors import DecisionRefusedError
from desk.stages import Stage
from desk.tickets import TicketFilter
from tests.kit.desk_fakes import triage_report
from tests.kit.desk_room import DeskRoom, settings
from tests.kit.postgres import find_binaries, postgres

pytestmark = pytest.mark.anyio

Rooms = tuple[DeskRoom, DeskRoom]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL is installed here")
    with postgres(binaries) as url:
        yield settings(database_url=url).database_url


@pytest.fixture
async def rooms(url: str, anyio_backend: str) -> AsyncGenerator[Rooms]:
    async with Database(url) as one, Database(url) as other:
        yield DeskRoom(one, settings()), DeskRoom(other, settings())


async def test_of_many_at_once_with_one_id_one_is_stored(rooms: Rooms) -> None:
    at_once = [room.tickets.file(ticket_id="same", customer_id="C", description="a") for room in rooms * 10]
    assert sum(filed.is_new for filed in await asyncio.gather(*at_once)) == 1


async def test_of_many_decisions_at_once_one_is_taken(rooms: Rooms) -> None:
    await rooms[0].bring_to_approval("decided")
    answers = [room.approvals.decide("decided", Answer(approved=True)) for room in rooms * 10]
    results = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(isinstance(result, DecisionRefusedError) for result in results) == len(results) - 1


async def test_steps_that_two_workers_repeat_at_once_are_written_once(rooms: Rooms) -> None:
    await rooms[0].file("repeated")
    await asyncio.gather(*(room.casework.open("repeated", run=1) for room in rooms * 5))
    await asyncio.gather(*(room.casework.record_triage("repeated", triage_report()) for room in rooms * 5))
    assert await rooms[1].events("repeated") == ["received", "started", "triage_done"]


async def test_two_workers_that_notify_at_once_send_one_message(rooms: Rooms) -> None:
    await rooms[0].bring_to_approval("told")
    await rooms[0].approvals.decide("told", Answer(approved=True))
    request = {"ticket_id": "told", "outcome": "solved", "decision": "round-1"}
    attempts = [room.activities.notify_customer(request) for room in rooms]  # pyright: ignore[reportArgumentType]
    await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(len(room.channel.delivered) for room in rooms) == 1
    assert await rooms[0].stage("told") == Stage.SOLVED


async def test_tickets_are_found_by_their_text_in_any_case(rooms: Rooms) -> None:
    await rooms[0].tickets.file(ticket_id="text", customer_id="C", description="Der ÄRGER mit 100% a_b")
    for text in ("ärger", "100%", "A_B"):
        found = await rooms[1].tickets.list(TicketFilter(text=text), limit=5)
        assert [ticket.ticket_id for ticket in found.tickets] == ["text"], text
