"""Steps: I/O-free generators that one driver runs in a thread and another on an event loop.

The saver has a synchronous and an asynchronous face, and its logic is not written twice: a step yields what it waits
for, a future or a pause, and goes on when that is over.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Awaited(Protocol):
    """What gRPC's calls and `concurrent.futures` have in common."""

    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def result(self, timeout: float | None = None) -> Any: ...
    def done(self) -> bool: ...
    def add_done_callback(self, fn: Callable[[Any], object], /) -> None: ...


@dataclass(frozen=True, slots=True)
class Pause:
    """A wish to go on after some seconds."""

    seconds: float


Effect = Awaited | Pause
Steps = Generator[Effect, Any, T]


def run(steps: Steps[T]) -> T:
    """Run steps to their end in this thread."""
    try:
        while True:
            effect = next(steps)
            if isinstance(effect, Pause):
                time.sleep(effect.seconds)
            else:
                effect.exception()
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def arun(steps: Steps[T]) -> T:
    """Run steps to their end on this event loop; cancelling it closes them."""
    try:
        while True:
            effect = next(steps)
            if isinstance(effect, Pause):
                await asyncio.sleep(effect.seconds)
            elif not effect.done():
                await _until_done(effect)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def _until_done(awaited: Awaited) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def wake(_: object) -> None:
        # The loop may be gone when a late answer comes in: nobody waits for it any more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    awaited.add_done_callback(wake)
    await done.wait()


class KeyLocks:
    """Locks by name, for steps of any thread or event loop of this process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[str, deque[Future[None]]] = {}

    def hold(self, name: str) -> _Turn:
        """Queue for a lock; `yield turn.ready`, then leave the context to let the next one in."""
        return _Turn(self, name)

    def enter(self, name: str) -> Future[None]:
        """Join the queue for `name`; the future is done when the caller's turn has come."""
        ticket: Future[None] = Future()
        with self._guard:
            queue = self._waiting.setdefault(name, deque())
            queue.append(ticket)
            if queue[0] is ticket:
                ticket.set_result(None)
        return ticket

    def leave(self, name: str, ticket: Future[None]) -> None:
        """Give the lock to the next in the queue, or leave the queue when the turn had not come."""
        with self._guard:
            queue = self._waiting[name]
            queue.remove(ticket)
            if not queue:
                del self._waiting[name]
            elif not queue[0].done():
                queue[0].set_result(None)


class _Turn:
    def __init__(self, locks: KeyLocks, name: str) -> None:
        self._locks, self._name = locks, name
        self.ready: Future[None] = Future()

    def __enter__(self) -> _Turn:
        self.ready = self._locks.enter(self._name)
        return self

    def __exit__(self, *_: object) -> None:
        self._locks.leave(self._name, self.ready)


class Queues(Generic[T]):
    """Things that wait by name, for whoever has the lock of that name to do them all; for any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[str, list[T]] = {}

    def join(self, name: str, item: T) -> None:
        """Let a thing wait."""
        with self._guard:
            self._waiting.setdefault(name, []).append(item)

    def has(self, name: str) -> bool:
        """Tell whether anything waits."""
        with self._guard:
            return name in self._waiting

    def take(self, name: str, most: int) -> list[T]:
        """Take what has waited longest."""
        with self._guard:
            waiting = self._waiting.pop(name, [])
            if waiting[most:]:
                self._waiting[name] = waiting[most:]
            return waiting[:most]

    def withdraw(self, name: str, item: T) -> None:
        """Let a thing wait no more, if it still does."""
        with self._guard:
            left = [each for each in self._waiting.pop(name, []) if each is not item]
            if left:
                self._waiting[name] = left


class SharedSteps(Generic[T]):
    """Steps that many want at once, by name: taken once for all who have come before they began; for any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks = KeyLocks()
        self._wanted: dict[str, Future[T]] = {}

    def take(self, name: str, steps: Callable[[], Steps[T]]) -> Steps[T]:
        """Return what steps return that began after this call, whoever has taken them."""
        while True:
            with self._guard:
                others = self._wanted.get(name)
                if others is None:
                    own: Future[T] = Future()
                    self._wanted[name] = own
                    break
            yield others
            if others.exception() is None:
                return others.result()
        try:
            with self._locks.hold(name) as turn:
                yield turn.ready
                self._begin(name, own)
                result = yield from steps()
            own.set_result(result)
            return result
        finally:
            if not own.done():
                self._begin(name, own)
                # Those who have waited try for themselves.
                own.set_exception(InterruptedError(name))

    def _begin(self, name: str, own: Future[T]) -> None:
        with self._guard:
            if self._wanted.get(name) is own:
                del self._wanted[name]


def wait(awaited: Awaited) -> Steps[Any]:
    """Wait for a future and return its result, or raise its exception."""
    yield awaited
    return awaited.result()
