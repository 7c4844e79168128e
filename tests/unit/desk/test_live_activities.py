"""An activity that is delivered twice at once is done once."""

import asyncio

import pytest

from desk.worker import LiveActivities

pytestmark = pytest.mark.anyio


async def test_a_second_delivery_joins_the_first() -> None:
    live, begun, go_on = LiveActivities(), 0, asyncio.Event()

    async def work() -> str:
        nonlocal begun
        begun += 1
        await go_on.wait()
        return "done"

    first, second = (asyncio.create_task(live.join("key", work)) for _ in range(2))
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, second) == ["done", "done"]
    assert begun == 1
    assert await live.join("key", work) == "done"
    assert begun == 2, "a later delivery is work of its own, and finds what the first one left behind"


async def test_who_gives_up_waiting_does_not_stop_the_others() -> None:
    live, go_on = LiveActivities(), asyncio.Event()

    async def work() -> str:
        await go_on.wait()
        return "done"

    first, second = (asyncio.create_task(live.join("key", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await second == "done"


async def test_an_error_reaches_everybody_who_waits() -> None:
    live = LiveActivities()

    async def work() -> str:
        await asyncio.sleep(0)
        raise ConnectionError("away")

    results = await asyncio.gather(*(live.join("key", work) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
