"""What a client makes of events that come late, twice or never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dapr_bridge import _arrivals
from dapr_bridge._arrivals import Arrivals, until_end
from dapr_bridge._events import Event
from dapr_bridge._wire import RunOutcome

pytestmark = pytest.mark.anyio


def event(number: int, *, key: str = "", attempt: int = 1, source: str = "run") -> Event:
    return Event(
        run_id="r",
        source=source,
        attempt=attempt,
        number=number,
        key=key or f"{source}-{attempt}-{number}",
        namespace=(),
        mode="custom",
        value={"json": number},
    )


def handed_on(arrivals: Arrivals, *events: Event) -> list[int]:
    return [each.number for one in events for each in arrivals.add(one)]


def test_events_that_overtake_each_other_are_put_in_order() -> None:
    assert handed_on(Arrivals(), event(2), event(1), event(4), event(3)) == [1, 2, 3, 4]


def test_an_event_delivered_twice_is_handed_on_once() -> None:
    assert handed_on(Arrivals(), event(1), event(1), event(2), event(1)) == [1, 2]


def test_what_a_later_attempt_tells_again_is_handed_on_once() -> None:
    arrivals = Arrivals()
    handed_on(arrivals, event(1, key="a"), event(2, key="b"))

    assert handed_on(arrivals, event(1, key="b", attempt=2), event(2, key="c", attempt=2)) == [2]


def test_sources_do_not_wait_for_each_other() -> None:
    assert handed_on(Arrivals(), event(2, source="left"), event(1, source="right")) == [1]


def test_what_waited_for_a_lost_event_comes_when_it_is_given_up() -> None:
    arrivals = Arrivals()
    handed_on(arrivals, event(2), event(3), event(5))

    assert [each.number for each in arrivals.skip_gaps()] == [2, 3, 5]
    assert not arrivals.has_gap


def test_all_are_there_when_each_source_has_given_as_many_as_it_says() -> None:
    arrivals = Arrivals()
    handed_on(arrivals, event(1), event(2), event(1, source="task"))

    assert arrivals.has_all({"run#1": 2, "task#1": 1})
    assert not arrivals.has_all({"run#1": 2, "task#1": 2})
    assert not arrivals.has_all({"run#2": 1})


def test_what_is_missing_is_counted_also_when_later_events_have_come() -> None:
    arrivals = Arrivals()
    handed_on(arrivals, event(1), event(1), event(3), event(1, source="task"))
    assert [each.number for each in arrivals.skip_gaps()] == [3]

    assert arrivals.missing({"run#1": 3, "task#1": 1}) == 1
    assert arrivals.missing({"run#1": 4, "late#1": 2}) == 4
    assert arrivals.missing({}) == 0


async def test_a_stream_ends_although_an_event_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrivals, "_GRACE_SECONDS", 0.05)
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    outcome: asyncio.Future[RunOutcome] = asyncio.get_running_loop().create_future()
    outcome.set_result(RunOutcome(status="finished", events={"run#1": 3}))
    inbox.put_nowait(event(1))
    inbox.put_nowait(event(3))

    assert [each.number async for each in until_end(inbox, outcome, Arrivals())] == [1, 3]


async def test_a_lost_event_does_not_hold_up_those_that_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrivals, "_GRACE_SECONDS", 0.05)
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    outcome: asyncio.Future[RunOutcome] = asyncio.get_running_loop().create_future()

    async def keep_coming() -> None:
        number = 1
        while True:
            number += 1
            inbox.put_nowait(event(number))
            await asyncio.sleep(0.005)

    coming = asyncio.create_task(keep_coming())
    events: Any = until_end(inbox, outcome, Arrivals())
    async with asyncio.timeout(10):
        first = await anext(events)
    coming.cancel()

    assert first.number == 2


async def test_a_stream_waits_for_the_last_events_of_a_run_that_has_ended() -> None:
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    outcome: asyncio.Future[RunOutcome] = asyncio.get_running_loop().create_future()
    outcome.set_result(RunOutcome(status="finished", events={"run#1": 2}))
    inbox.put_nowait(event(1))
    asyncio.get_running_loop().call_later(0.05, inbox.put_nowait, event(2))

    assert [each.number async for each in until_end(inbox, outcome, Arrivals())] == [1, 2]
