"""Tickets in a real SQLite file."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from desk.database import Database
from desk.errors import TicketConflictError, UnknownTicketError
from desk.stages import Stage
from desk.tickets import TicketFilter, Tickets
from tests.kit.desk_room import DeskRoom

pytestmark = pytest.mark.anyio


async def test_a_ticket_without_an_id_gets_one(room: DeskRoom) -> None:
    first = await room.tickets.file(ticket_id=None, customer_id="C", description="a")
    second = await room.tickets.file(ticket_id=None, customer_id="C", description="a")
    assert first.ticket.ticket_id != second.ticket.ticket_id
    assert first.ticket.stage == Stage.RECEIVED


async def test_the_same_ticket_twice_is_the_first_ticket(room: DeskRoom) -> None:
    first = await room.tickets.file(ticket_id="T", customer_id="C", description="a")
    again = await room.tickets.file(ticket_id="T", customer_id="C", description="a")
    assert again.ticket.created_at == first.ticket.created_at
    assert (first.is_new, again.is_new) == (True, False)
    assert await room.events("T") == ["received"]


@pytest.mark.parametrize(("customer_id", "description"), [("D", "a"), ("C", "b")])
async def test_the_same_id_with_other_content_is_a_conflict(room: DeskRoom, customer_id: str, description: str) -> None:
    await room.tickets.file(ticket_id="T", customer_id="C", description="a")
    with pytest.raises(TicketConflictError, match="'T'"):
        await room.tickets.file(ticket_id="T", customer_id=customer_id, description=description)


async def test_of_many_at_once_with_one_id_one_is_stored(room: DeskRoom) -> None:
    at_once = [room.tickets.file(ticket_id="T", customer_id="C", description="a") for _ in range(20)]
    filed = await asyncio.gather(*at_once)
    assert len({each.ticket.created_at for each in filed}) == 1
    assert sum(each.is_new for each in filed) == 1
    assert (await room.tickets.list(TicketFilter(), limit=10)).total == 1


async def test_an_unknown_ticket_is_named(room: DeskRoom) -> None:
    for look in (room.tickets.get, room.tickets.open_file, room.tickets.read_trail):
        with pytest.raises(UnknownTicketError, match="'nobody'"):
            await look("nobody")


async def test_tickets_are_filtered_and_paged_the_newest_first(room: DeskRoom) -> None:
    for number in range(5):
        await room.tickets.file(ticket_id=f"T{number}", customer_id=f"C{number % 2}", description=f"text {number}")
    everything = await room.tickets.list(TicketFilter(), limit=2, offset=1)
    assert ([ticket.ticket_id for ticket in everything.tickets], everything.total) == (["T3", "T2"], 5)
    of_customer = await room.tickets.list(TicketFilter(customer_id="C1", stage="received"), limit=9)
    assert [ticket.ticket_id for ticket in of_customer.tickets] == ["T3", "T1"]
    assert (await room.tickets.list(TicketFilter(stage="solved"), limit=9)).total == 0


@pytest.mark.parametrize("text", ["100%", "a_b", "ÄRGER", "'; DROP TABLE tickets; --"])
async def test_text_is_found_literally_and_in_any_case(room: DeskRoom, text: str) -> None:
    await room.tickets.file(ticket_id="wanted", customer_id="C", description=f"x {text} y")
    await room.tickets.file(ticket_id="other", customer_id="C", description="1000 aXb")
    found = await room.tickets.list(TicketFilter(text=text), limit=9)
    assert [ticket.ticket_id for ticket in found.tickets] == ["wanted"]


async def test_tickets_are_there_after_the_database_was_closed(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new/folder/desk.db"
    async with Database(url) as database:
        await Tickets(database).file(ticket_id="T", customer_id="C", description="a")
    async with Database(url) as database:
        ticket = await Tickets(database).get("T")
    assert (ticket.description, ticket.created_at.utcoffset()) == ("a", timedelta(0))


async def test_two_processes_may_create_the_schema_at_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/desk.db"
    async with Database(url) as one, Database(url) as other:
        await asyncio.gather(
            Tickets(one).file(ticket_id="A", customer_id="C", description="a"),
            Tickets(other).file(ticket_id="B", customer_id="C", description="b"),
        )
        assert (await Tickets(one).list(TicketFilter(), limit=9)).total == 2


async def test_a_block_that_raises_leaves_nothing_behind(room: DeskRoom) -> None:
    await room.tickets.file(ticket_id="T", customer_id="C", description="a")
    with pytest.raises(UnknownTicketError):
        await room.casework.open("nobody", run=1)
    assert (await room.tickets.get("T")).stage == Stage.RECEIVED
