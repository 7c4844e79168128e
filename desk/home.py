"""One event loop owns the desk's connections; work that starts on another loop is handed over to it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class HomeLoop:
    """The event loop on which it is created.

    Dapr runs activities and graph nodes on a loop of its own, but database pools and gRPC channels belong to one loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `work` on the home loop and return what it returns, wherever this is called."""
        if asyncio.get_running_loop() is self._loop:
            return await work()
        handed_over: Awaitable[T] = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))
        return await handed_over
