"""Many pieces of work, a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from dapr_bridge._at_once import each_of

pytestmark = pytest.mark.anyio


async def test_so_many_go_on_at_a_time_and_what_came_of_each_is_in_its_place() -> None:
    going_on, most = 0, 0

    async def work(number: int) -> int:
        nonlocal going_on, most
        going_on += 1
        most = max(most, going_on)
        for _ in range(10 - number):
            await asyncio.sleep(0)
        going_on -= 1
        return number * number

    assert await each_of(range(10), work, most=3) == [number * number for number in range(10)]
    assert most == 3


async def test_the_first_failure_comes_when_nothing_goes_on_any_more() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        try:
            if number == 1:
                raise OSError("as expected")
            await asyncio.Event().wait()
        finally:
            # As a store's call that is on its way.
            await asyncio.sleep(0)
            ended.append(number)

    with pytest.raises(OSError, match="as expected"):
        await each_of(range(10), work, most=3)

    assert sorted(begun) == sorted(ended)
    assert len(begun) < 10
