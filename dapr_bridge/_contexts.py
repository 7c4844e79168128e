"""Context managers by inheritance: what is closed when its block ends, and what is started and stopped with it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from types import TracebackType
from typing import Self

_PAUSE_SECONDS = 0.1


class Closing:
    """A `with` block that ends with `close`."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Running:
    """A `with` block that begins with `start` and ends with `stop`."""

    __slots__ = ()

    @abstractmethod
    def start(self) -> object:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End; also what has only begun to start."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class AsyncRunning(Running):
    """The same as an `async with` block too, in which starting and stopping block no event loop.

    When it is cancelled while it starts, `stop` is called beside `start`, to end that.
    """

    __slots__ = ()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Whoever cancels may do so again, and again.
            await asyncio.shield(asyncio.ensure_future(self._give_up(starting)))
            raise

    async def _give_up(self, starting: asyncio.Future[Self]) -> None:
        # The first time may come before there is something to stop, the last one after it has started all the same.
        is_over = False
        while not is_over:
            is_over = starting.done()
            await asyncio.to_thread(self.stop)
            await asyncio.wait([starting], timeout=_PAUSE_SECONDS)
        starting.exception()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)
