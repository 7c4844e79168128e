"""Asynchronous code for callers that block: on an event loop of its own, in a thread of its own.

So it works where the caller's thread runs an event loop already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_END: Any = object()


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(copy_context().run, asyncio.run, work).result()


def iterate(items: AsyncGenerator[T, None]) -> Iterator[T]:
    """Iterate over an asynchronous generator."""
    context, runner = copy_context(), asyncio.Runner()
    with ThreadPoolExecutor(max_workers=1) as pool:

        def run(work: Coroutine[Any, Any, Any]) -> Any:
            return pool.submit(partial(runner.run, work, context=context)).result()

        try:
            while (item := run(_next_of(items))) is not _END:
                yield item
        finally:
            run(items.aclose())
            pool.submit(runner.close).result()


async def _next_of(items: AsyncGenerator[T, None]) -> T:
    return await anext(items, _END)
