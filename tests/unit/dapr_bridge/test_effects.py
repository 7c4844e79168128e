"""Steps run the same in a thread and on an event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from dapr_bridge.saver.effects import KeyLocks, Pause, Queues, SharedSteps, Steps, arun, run

pytestmark = pytest.mark.anyio


def add_later(first: Future[int], second: Future[int]) -> Steps[int]:
    yield first
    yield Pause(0)
    yield second
    return first.result() + second.result()


def settled(value: int) -> Future[int]:
    future: Future[int] = Future()
    threading.Timer(0.01, future.set_result, [value]).start()
    return future


async def test_both_drivers_give_the_same_result() -> None:
    assert run(add_later(settled(1), settled(2))) == 3
    assert await arun(add_later(settled(1), settled(2))) == 3


async def test_an_exception_of_a_future_reaches_the_steps() -> None:
    failed: Future[int] = Future()
    failed.set_exception(ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        await arun(add_later(failed, settled(1)))


async def test_a_cancelled_wait_leaves_the_queue_of_its_lock() -> None:
    locks = KeyLocks()

    def hold(until: Future[Any]) -> Steps[None]:
        with locks.hold("key") as turn:
            yield turn.ready
            yield until

    release: Future[int] = Future()
    holder = asyncio.create_task(arun(hold(release)))
    waiter = asyncio.create_task(arun(hold(settled(1))))
    await asyncio.sleep(0)
    waiter.cancel()
    release.set_result(1)
    await holder
    await asyncio.wait_for(arun(hold(settled(1))), 5)

    assert waiter.cancelled()


def test_a_lock_is_kept_across_threads() -> None:
    locks = KeyLocks()
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> Steps[None]:
        with locks.hold("key") as turn:
            yield turn.ready
            inside.append(number)
            most.append(len(inside))
            yield Pause(0.001)
            inside.remove(number)

    threads = [threading.Thread(target=lambda number=number: run(enter(number))) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 20


def test_what_waits_is_taken_in_order_and_some_may_be_left() -> None:
    queues: Queues[str] = Queues()
    for item in "abc":
        queues.join("key", item)

    assert queues.take("key", 2) == ["a", "b"]
    queues.join("key", "d")
    assert queues.take("key", 9) == ["c", "d"]
    assert queues.take("key", 9) == []


def test_what_is_withdrawn_waits_no_more_and_leaves_nothing_behind() -> None:
    queues: Queues[str] = Queues()
    queues.join("key", "a")
    queues.withdraw("key", "a")
    queues.withdraw("key", "never there")

    assert queues.take("key", 9) == []


class Reads:
    """Steps that count how often they are taken, and end when they are let."""

    def __init__(self) -> None:
        self.answers: list[Future[int]] = []

    def steps(self) -> Steps[int]:
        self.answers.append(Future())
        answer = self.answers[-1]
        yield answer
        return answer.result()


async def in_turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_shared_steps_are_taken_once_for_all_who_have_come_before_they_began() -> None:
    shared, reads = SharedSteps[int](), Reads()
    first = asyncio.create_task(arun(shared.take("key", reads.steps)))
    await in_turn()
    others = [asyncio.create_task(arun(shared.take("key", reads.steps))) for _ in range(3)]
    await in_turn()
    began_at_first = len(reads.answers)
    reads.answers[0].set_result(1)
    while len(reads.answers) < 2:
        await asyncio.sleep(0)
    reads.answers[1].set_result(2)

    assert began_at_first == 1
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, 2]
    assert len(reads.answers) == 2


async def test_who_shares_steps_that_are_cut_short_takes_them_for_himself() -> None:
    shared, reads = SharedSteps[int](), Reads()
    first = asyncio.create_task(arun(shared.take("key", reads.steps)))
    await in_turn()
    second, third = (asyncio.create_task(arun(shared.take("key", reads.steps))) for _ in range(2))
    await in_turn()
    second.cancel()
    await in_turn()
    reads.answers[0].set_result(1)
    while len(reads.answers) < 2:
        await asyncio.sleep(0)
    reads.answers[1].set_result(3)

    assert (await first, await asyncio.wait_for(third, 5)) == (1, 3)


async def test_an_error_of_shared_steps_is_of_those_who_took_them() -> None:
    shared = SharedSteps[int]()

    def fail() -> Steps[int]:
        yield Pause(0)
        raise ValueError("no")

    attempts = [arun(shared.take("key", fail)) for _ in range(3)]

    assert [type(each) for each in await asyncio.gather(*attempts, return_exceptions=True)] == [ValueError] * 3
