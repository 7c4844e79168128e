"""Tasks of one superstep are told of together, and never kept for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dapr_bridge import _ends_together
from dapr_bridge._ends_together import EndsTogether

pytestmark = pytest.mark.anyio

SUPERSTEP = "instance/checkpoint"


class Tasks:
    """Activities of one superstep, each of which does its work when it is let."""

    def __init__(self, ends: EndsTogether, count: int) -> None:
        self.told: list[int] = []
        self._done = [asyncio.Event() for _ in range(count)]
        self._answers = [asyncio.create_task(self._answer(ends, number)) for number in range(count)]

    async def _answer(self, ends: EndsTogether, number: int) -> None:
        await ends.do(SUPERSTEP, self._work(number))
        self.told.append(number)

    def _work(self, number: int) -> Callable[[], Awaitable[bool]]:
        return self._done[number].wait

    async def end(self, *numbers: int) -> None:
        """Let tasks end, and the loop do what follows at once."""
        for number in numbers:
            self._done[number].set()
        for _ in range(10):
            await asyncio.sleep(0)

    def give_up(self) -> None:
        """Cancel those that are left."""
        for answer in self._answers:
            answer.cancel()

    async def all_told(self) -> None:
        """Wait until all are told of."""
        await asyncio.wait_for(asyncio.gather(*self._answers), 5)


async def begin(ends: EndsTogether, count: int, *, of: int = 0) -> Tasks:
    """Have so many tasks at work, of those that a workflow waits for."""
    ends.turn(SUPERSTEP, tasks=of or count)
    tasks = Tasks(ends, count)
    await tasks.end()
    return tasks


@pytest.fixture
def ends() -> EndsTogether:
    """Those of a process."""
    return EndsTogether()


@pytest.fixture
def in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes by the clock."""
    monkeypatch.setattr(_ends_together, "_LONGEST_WAIT", 3600.0)
    monkeypatch.setattr(_ends_together, "_MOMENT", 3600.0)
    monkeypatch.setattr(_ends_together, "_LONGEST_WAY_TO_A_TURN", 3600.0)


@pytest.mark.usefixtures("in_no_hurry")
async def test_tasks_that_have_ended_wait_for_those_at_work(ends: EndsTogether) -> None:
    tasks = await begin(ends, 3)
    await tasks.end(0, 2)
    before = list(tasks.told)
    await tasks.end(1)
    with_the_last = list(tasks.told)
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=0)
    await tasks.all_told()

    assert before == []
    assert with_the_last == [1]
    assert sorted(tasks.told) == [0, 1, 2]


@pytest.mark.usefixtures("in_no_hurry")
async def test_the_turn_ends_when_all_are_told_of(ends: EndsTogether) -> None:
    tasks = await begin(ends, 30)
    await tasks.end(*range(30))
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=0)

    assert sorted(tasks.told) == list(range(30))


@pytest.mark.usefixtures("in_no_hurry")
async def test_a_turn_without_anything_to_tell_of_is_taken_at_once(ends: EndsTogether) -> None:
    tasks = await begin(ends, 2)
    await tasks.end(0)
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=0)
    before = list(tasks.told)
    await tasks.end(1)
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=0)
    await tasks.all_told()

    assert before == []


@pytest.mark.usefixtures("in_no_hurry")
async def test_a_lone_task_waits_for_nobody(ends: EndsTogether) -> None:
    tasks = await begin(ends, 1)
    await tasks.end(0)

    assert tasks.told == [0]


async def test_those_that_have_ended_do_not_wait_for_ever(ends: EndsTogether, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ends_together, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(_ends_together, "_LONGEST_WAY_TO_A_TURN", 0.01)
    tasks = await begin(ends, 4)
    await tasks.end(0, 1, 2)
    while len(tasks.told) < 3:
        await asyncio.sleep(0.01)
    await tasks.end(3)
    await tasks.all_told()

    assert tasks.told == [0, 1, 2, 3]


async def test_tasks_of_which_some_run_elsewhere_wait_a_moment(ends: EndsTogether) -> None:
    tasks = await begin(ends, 2, of=5)
    await tasks.end(0, 1)
    at_once = list(tasks.told)
    while not tasks.told:
        await asyncio.sleep(0.01)
    with_the_first = list(tasks.told)
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=5)
    await tasks.all_told()

    assert at_once == []
    assert with_the_first == [0]


@pytest.mark.usefixtures("in_no_hurry")
async def test_tasks_of_a_workflow_that_takes_its_turns_elsewhere_are_told_of_at_once() -> None:
    tasks = Tasks(EndsTogether(), 2)
    await tasks.end(0)

    assert tasks.told == [0]
    await tasks.end(1)


@pytest.mark.usefixtures("in_no_hurry")
async def test_tasks_of_another_worker_of_this_process_are_told_of_at_once(ends: EndsTogether) -> None:
    async def in_another_loop() -> list[int]:
        others = Tasks(ends, 1)
        await others.end(0)
        return others.told

    tasks = await begin(ends, 1, of=2)
    told = await asyncio.to_thread(asyncio.run, in_another_loop())
    waiting = list(tasks.told)
    tasks.give_up()

    assert told == [0]
    assert waiting == []


@pytest.mark.usefixtures("in_no_hurry")
async def test_a_task_that_fails_keeps_nobody(ends: EndsTogether) -> None:
    async def fail() -> None:
        raise ValueError("no")

    tasks = await begin(ends, 1, of=1)
    failing = asyncio.create_task(ends.do(SUPERSTEP, fail))
    await asyncio.gather(failing, return_exceptions=True)
    await tasks.end(0)

    assert tasks.told == [0]
    assert isinstance(failing.exception(), ValueError)


@pytest.mark.usefixtures("in_no_hurry")
async def test_a_task_that_is_cancelled_while_it_waits_keeps_nobody(ends: EndsTogether) -> None:
    async def work() -> None:
        pass

    tasks = await begin(ends, 2, of=3)
    cancelled = asyncio.create_task(ends.do(SUPERSTEP, work))
    await tasks.end(0)
    cancelled.cancel()
    await tasks.end(1)
    await asyncio.to_thread(ends.turn, SUPERSTEP, tasks=0)
    await tasks.all_told()

    assert cancelled.cancelled()


async def test_only_so_many_supersteps_are_remembered(ends: EndsTogether) -> None:
    for number in range(_ends_together._MOST_SUPERSTEPS + 5):
        ends.turn(f"{number}", tasks=1)

    assert len(ends._supersteps) == _ends_together._MOST_SUPERSTEPS
