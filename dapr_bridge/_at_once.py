"""Many pieces of work, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_MOST = 8

Item = TypeVar("Item")
Done = TypeVar("Done")


async def each_of(items: Iterable[Item], do: Callable[[Item], Awaitable[Done]], *, most: int = _MOST) -> list[Done]:
    """Do something for each of many items, a few at a time; returns what came of it, in their order.

    The first failure is raised when nothing goes on any more: the rest is cancelled, and waited for.
    """
    at_once = asyncio.Semaphore(most)

    async def do_one(item: Item) -> Done:
        async with at_once:
            return await do(item)

    tasks = [asyncio.ensure_future(do_one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
