"""Tells Dapr together of tasks of one superstep that have ended apart.

A workflow takes in one turn all results that have come in, and is woken once more for each of them. daprd 1.18 lets go
of a workflow that it has woken for nothing, and puts off for a second what waits at its door then: the next result, or
what is done after the last one. A fan-out of a hundred tasks that end one by one is a second late nearly always.

So the tasks wait for one another, though not for long, with their writes saved: a worker that dies meanwhile has its
tasks delivered once more, and finds them done. When the last has ended, one is told of. Its turn holds the door until
the others stand before it, and the next turn takes them all.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

# In seconds. A task whose superstep goes on for long shows as ended no later than the first says; how many are at work
# is looked at every moment, for some may run elsewhere, and others may not have come yet.
_LONGEST_WAIT = 2.0
_MOMENT = 0.05
_LONGEST_WAY_TO_A_TURN = 1.0
_LONGEST_TURN = 0.5
# From Dapr's thanks for an answer to its standing before the workflow.
_WAY_TO_THE_DOOR = 0.005

# A worker's workflows share some threads; what holds one for a while leaves the others alone.
_TURNS_AT_ONCE = 2

_MOST_SUPERSTEPS = 1_000

T = TypeVar("T")


@dataclass(eq=False)
class _Superstep:
    """The tasks of one superstep.

    Attributes:
        tasks: how many there are, of which some may run in other processes.
        at_work: how many are at work here.
        ended: how many have ended here.
        untold: how many of them Dapr is not told of.
        waiting: those of them that wait.
        is_led: whether the workflow's next turn lets them go.
        is_open: whether a turn goes on in which all go that have ended.
        told: set when that turn need not go on.
    """

    tasks: int
    at_work: int = 0
    ended: int = 0
    untold: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])
    is_led: bool = False
    is_open: bool = False
    told: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _timer: asyncio.TimerHandle | None = None
    _until: float = 0.0
    _ended_before: int = 0
    _holds_for_work: bool = True

    def is_of_this_loop(self) -> bool:
        """Tell whether its tasks run in this event loop; the first to ask decides."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        return self._loop is loop

    async def end(self) -> None:
        """Wait, as a task that has ended, for the others: not as the last one, and not for long."""
        self.ended += 1
        self._expect_to_be_told()
        if self.is_open:
            return
        if self.ended >= self.tasks and not self.at_work:
            self._lead()
            return
        await self._wait()

    def look_whether_told(self) -> None:
        """Let a turn end when all have ended that it waits for, and Dapr is told."""
        if self.is_open and not self.untold and not (self.at_work and self._holds_for_work):
            self.told.set()

    def call(self, do: Callable[[_Superstep], None]) -> None:
        """Do something in the loop of the tasks; for any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(do, self)

    def open(self) -> None:
        """Let those go that wait, and those that end from now on."""
        self._clear_timer()
        self.is_open, self.is_led = True, False
        for turn in self.waiting:
            _go(turn)
        self.waiting.clear()
        self.look_whether_told()

    def close(self) -> None:
        """Let those wait that end from now on."""
        self.is_open = False

    def _expect_to_be_told(self) -> None:
        # The SDK has answered Dapr for an activity when the task that it runs in ends.
        answering = asyncio.current_task()
        if answering:
            self.untold += 1
            answering.add_done_callback(self._tell)

    def _tell(self, _: object) -> None:
        self.untold -= 1
        self.look_whether_told()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self.waiting.append(turn)
        if self._timer is None:
            self._until = loop.time() + _LONGEST_WAIT
            self._look_later(loop)
        await turn

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ended_before = self.ended
        self._timer = loop.call_later(_MOMENT, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._until and (self.at_work or self.ended != self._ended_before):
            self._look_later(loop)
            return
        _go(self.waiting.pop(0))
        self._lead()

    def _lead(self) -> None:
        """Let those that wait go with the turn that comes next; one that is told of now brings it about."""
        self._clear_timer()
        if self.waiting:
            self.is_led, self._holds_for_work = True, not self.at_work
            self._timer = asyncio.get_running_loop().call_later(_LONGEST_WAY_TO_A_TURN, self._go_without)

    def _go_without(self) -> None:
        self.open()
        self.close()

    def _clear_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None


def _go(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class EndsTogether:
    """The supersteps whose workflows take their turns in this process, by a name of each."""

    def __init__(self) -> None:
        self._supersteps: OrderedDict[str, _Superstep] = OrderedDict()
        self._turns = threading.BoundedSemaphore(_TURNS_AT_ONCE)

    async def do(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work of one task, and wait a little while others of its superstep are at work.

        To be called in an activity, and nowhere else.
        """
        superstep = self._supersteps.get(name)
        if superstep is None or not superstep.is_of_this_loop():
            # Its workflow takes its turns elsewhere, or its tasks run in another worker of this process.
            return await work()
        superstep.at_work += 1
        try:
            done = await work()
        except BaseException:
            superstep.at_work -= 1
            superstep.look_whether_told()
            raise
        superstep.at_work -= 1
        await superstep.end()
        return done

    def turn(self, name: str, *, tasks: int) -> None:
        """Take a turn of the workflow that waits for a superstep: in it, those that have ended are told of.

        For the thread in which the workflow's code runs. It decides nothing, and only takes its time.
        """
        superstep = self._supersteps.setdefault(name, _Superstep(tasks))
        while len(self._supersteps) > _MOST_SUPERSTEPS:
            self._supersteps.popitem(last=False)
        if not superstep.is_led:
            return
        superstep.told.clear()
        superstep.call(_Superstep.open)
        if self._turns.acquire(blocking=False):
            try:
                if superstep.told.wait(_LONGEST_TURN):
                    time.sleep(_WAY_TO_THE_DOOR)
            finally:
                self._turns.release()
        superstep.call(_Superstep.close)

    def forget(self, name: str) -> None:
        """Forget a superstep that is over."""
        self._supersteps.pop(name, None)


ENDS = EndsTogether()
"""Those of this process: a workflow's code has no other way to its worker."""
