"""Two workers with one task: at the same time, and one of them long after it was given up for dead."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dapr_bridge import Unit
from tests.chaos.bridge.judgement import Evidence, Judge, saved_names
from tests.chaos.bridge.moments import NODE, Hold, Moment
from tests.chaos.bridge.stage import Stage, Worker
from tests.chaos.bridge.trial import Chapter, Conversation, Outcome

Plot = Literal[
    "race, first worker first",
    "race, second worker first",
    "race, both at once",
    "stale, wakes up after the end",
    "stale, wakes up meanwhile",
    "killed, its request arrives after the end",
]
"""What happens when a second worker has been given the work of the first.

In a race the first one is cut off but alive: both stand at the same kind of moment and go on in this order. A stale
worker is stopped (SIGSTOP) there, the second one works on, to the end or some saves farther, then the first one wakes
up (SIGCONT) and goes on as if nothing had been. Of a killed one, there is only its last request.
"""

RACES: tuple[Plot, ...] = ("race, first worker first", "race, second worker first", "race, both at once")
STALE: tuple[Plot, ...] = ("stale, wakes up after the end", "stale, wakes up meanwhile")
LATE: Plot = "killed, its request arrives after the end"
PLOTS: tuple[Plot, ...] = (*RACES, *STALE, LATE)
MOMENTS = (
    Moment(kind="node work-1"),
    Moment(kind="writes", number=3),
    Moment(kind="checkpoint", number=4),
    Moment(kind="claim", number=2),
    Moment(kind="acknowledgement", number=2),
    Moment(kind="turn", number=4),
    Moment(kind="turn", number=8),
)
"""Where the first worker stands: in a fan-out, at its saves, at the end of an activity, or of a workflow's turn."""

_PATIENCE = 120.0
_RIVAL_SECONDS = 10.0
_LATER = Moment(kind="checkpoint", number=2)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A run in a unit, on a store, that two workers have in their hands from a moment on."""

    store: str
    unit: Unit
    moment: Moment
    plot: Plot

    @property
    def trigger(self) -> str:
        """Where the first worker stands."""
        return self.moment.trigger

    @property
    def victim(self) -> str:
        """What happens."""
        return self.plot

    @property
    def chapter(self) -> Chapter:
        """Where it is told of."""
        return "rivals"

    def __str__(self) -> str:
        return f"{self.store}, unit {self.unit}: {self.plot}, {self.moment}"


def play_scene(scene: Scene, stage: Stage, judge: Judge) -> Outcome:
    """Bring both workers on, and see the run through."""
    stage.employ(lease=None)
    cast = _Cast(scene, stage)
    try:
        has_come = cast.begin()
        if has_come:
            cast.race() if scene.plot in RACES else cast.return_late()
        stage.moments.release_all()
        status = cast.talk.wait()
        stage.moments.wait_until_quiet()
    finally:
        cast.end()
    thread_id = cast.talk.thread_id
    evidence = Evidence(thread_id=thread_id, status=status, runs=Counter(stage.marks.runs(thread_id)), saved=cast.saved)
    judgement = judge.judge(evidence, stage.saver)
    seconds = time.monotonic() - cast.began
    return Outcome(
        trial=scene, thread_id=thread_id, kills=cast.kills, seconds=seconds, judgement=judgement, has_come=has_come
    )


def scenes(store: str, units: Sequence[Unit], seed: int) -> list[Scene]:
    """Return all scenes on one store, in the same order for the same seed."""
    every = [
        Scene(store=store, unit=unit, moment=moment, plot=plot)
        for unit, moment, plot in itertools.product(units, MOMENTS, PLOTS)
        if plot != LATE or not moment.kind.startswith(NODE)
    ]
    random.Random(f"{seed}/{store}").shuffle(every)
    return every


class _Cast:
    """The two workers, and the client that waits."""

    def __init__(self, scene: Scene, stage: Stage) -> None:
        self._scene, self._stage = scene, stage
        self._first: Worker = stage.workers[0]
        self._second = stage.add_worker(is_connected=False)
        self.talk = Conversation.new(stage, scene.unit)
        self.began = time.monotonic()
        self.saved: list[tuple[frozenset[str], Counter[str]]] = []
        self.kills = 0

    def begin(self) -> bool:
        """Bring the first worker to its moment, and let the second one have its work."""
        self._hold = self._stage.moments.hold_next(self._scene.moment)
        self.talk.begin()
        if not self._comes_to(self._hold, _PATIENCE):
            return False
        self.began = time.monotonic()
        if self._scene.plot in STALE:
            # Its other tasks come to rest: what it has begun when it is stopped, nothing can keep it from doing.
            self._stage.moments.wait_until_quiet(seconds=0.5)
            os.kill(self._first.pid, signal.SIGSTOP)
        if self._scene.plot == LATE:
            self._first.kill()
            self.kills = 1
        self._first.gateway.cut_work()
        return True

    def race(self) -> None:
        """Let both stand at the same kind of moment, and go on."""
        moments, moment = self._stage.moments, self._scene.moment
        rival = moments.hold_next(Moment(kind=moment.kind, side=moment.side))
        self._second.gateway.give_work()
        # One that waits for the other to let go never comes.
        self._comes_to(rival, _RIVAL_SECONDS)
        order = {RACES[0]: [self._hold, rival], RACES[1]: [rival, self._hold]}
        for each in order.get(self._scene.plot, ()):
            moments.release(each)
            moments.wait_until_quiet()
            self._note_saved()

    def return_late(self) -> None:
        """Let the second one go on, then the first one wake up, or what it had sent arrive."""
        moments = self._stage.moments
        later = moments.hold_next(_LATER) if self._scene.plot == STALE[1] else None
        self._second.gateway.give_work()
        if later is None:
            self.talk.wait()
        else:
            self._comes_to(later, _PATIENCE)
        self._note_saved()
        if not self.kills:
            os.kill(self._first.pid, signal.SIGCONT)
        moments.release(self._hold)
        moments.wait_until_quiet()
        self._note_saved()

    def end(self) -> None:
        """Leave the second worker alone on the stage."""
        self._second.gateway.give_work()
        self._stage.remove_worker(self._first)
        self._stage.wait_until_well()

    def _comes_to(self, hold: Hold, seconds: float) -> bool:
        return self._stage.moments.wait_until_reached(hold, unless=lambda: self.talk.is_over, seconds=seconds)

    def _note_saved(self) -> None:
        thread_id = self.talk.thread_id
        names = saved_names(self._stage.saver, thread_id)
        self.saved.append((names, Counter(self._stage.marks.runs(thread_id))))
