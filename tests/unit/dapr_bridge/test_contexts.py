"""What is started and stopped with a block."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from dapr_bridge import GraphWorker
from dapr_bridge._contexts import AsyncRunning

pytestmark = pytest.mark.anyio


class Engine(AsyncRunning):
    """Notes what is done to it, and by which thread."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.is_broken = is_broken
        self.done: list[str] = []
        self.threads: set[int] = set()

    def start(self) -> None:
        self._note("start")
        if self.is_broken:
            raise OSError("no fuel")

    def stop(self) -> None:
        self._note("stop")

    def _note(self, what: str) -> None:
        self.done.append(what)
        self.threads.add(threading.get_ident())


async def test_it_runs_within_a_block_of_either_kind() -> None:
    with Engine() as one:
        assert one.done == ["start"]
    async with Engine() as other:
        assert other.done == ["start"]

    assert one.done == other.done == ["start", "stop"]
    assert one.threads == {threading.get_ident()}
    assert threading.get_ident() not in other.threads


async def test_what_has_only_begun_to_start_is_stopped() -> None:
    one, other = Engine(is_broken=True), Engine(is_broken=True)

    with pytest.raises(OSError, match="no fuel"), one:
        pass
    with pytest.raises(OSError, match="no fuel"):
        async with other:
            pass

    assert one.done == other.done == ["start", "stop"]


class SlowEngine(Engine):
    """Starts for ever until it is stopped, which it does not notice before it is warm."""

    def __init__(self, *, warms_up_for: float = 0.0) -> None:
        super().__init__()
        self._warms_up_for = warms_up_for
        self._is_warm, self._is_stopped = threading.Event(), threading.Event()

    def start(self) -> None:
        super().start()
        time.sleep(self._warms_up_for)
        self._is_warm.set()
        assert self._is_stopped.wait(10), "nobody has stopped it"

    def stop(self) -> None:
        super().stop()
        if self._is_warm.is_set():
            self._is_stopped.set()


@pytest.mark.parametrize("warms_up_for", [0.0, 0.3])
async def test_what_starts_for_ever_is_stopped_when_it_is_cancelled(warms_up_for: float) -> None:
    engine = SlowEngine(warms_up_for=warms_up_for)
    starting = asyncio.create_task(engine.__aenter__())
    await asyncio.wait([starting], timeout=0.1)

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 5)

    assert engine.done[0] == "start"
    assert engine.done[-1] == "stop"


def test_a_worker_is_one_of_these() -> None:
    assert issubclass(GraphWorker, AsyncRunning)
    assert GraphWorker.__aenter__ is AsyncRunning.__aenter__
