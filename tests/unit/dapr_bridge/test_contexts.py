"""What is started and stopped with a block."""

from __future__ import annotations

import threading

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


def test_a_worker_is_one_of_these() -> None:
    assert issubclass(GraphWorker, AsyncRunning)
    assert GraphWorker.__aenter__ is AsyncRunning.__aenter__
