"""Two workers with one task: at the same time, and one of them long after it was given up for dead."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from dapr_bridge import Unit
from tests.chaos.bridge.judgement import Evidence, Judge, saved_names
from tests.chaos.bridge.moments import Hold, Moment
from tests.chaos.bridge.stage import Stage, Worker
from tests.chaos.bridge.trial import Conversation, Outcome

Plot = Literal[
    "first worker first",
    "second worker first",
    "both at once",
    "wakes up after the end",
    "wakes up meanwhile",
]
"""What happens when a second worker has been given the work of the first, which is cut off but alive.

In a race both stand at the same kind of moment and go on in this order. A stale worker is stopped (SIGSTOP) there, the
second one works on, to the end or some saves farther, then the first one wakes up (SIGCONT) and goes on as if nothing
had been.
"""

RACES: tuple[Plot, ...] = ("first worker first", "second worker first", "both at once")
STALE: tuple[Plot, ...] = ("wakes up after the end", "wakes up meanwhile")

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
    def blows(self) -> tuple[()]:
        """Nothing is killed."""
        return ()

    def __str__(self) -> str:
        return f"{self.store}, unit {self.unit}: {self.plot}, {self.moment}"


def play_scene(scene: Scene, stage: Stage, judge: Judge) -> Outcome:
    """Bring both workers on, and see the run through."""
    cast = _Cast(scene, stage)
    try:
        if cast.begin():
            cast.race() if scene.plot in RACES else cast.sleep()
        stage.moments.release_all()
        status = cast.talk.wait()
        stage.moments.wait_until_quiet()
    finally:
        cast.end()
    thread_id = cast.talk.thread_id
    evidence = Evidence(
        thread_id=thread_id, status=status, runs=Counter(stage.marks.runs(thread_id)), saved=cast.saved
    )
    judgement = judge.judge(evidence, stage.saver)
    return Outcome(trial=scene, kills=0, seconds=time.monotonic() - cast.began, judgement=judgement)


class _Cast:
    """The two workers, and the client that waits."""

    def __init__(self, scene: Scene, stage: Stage) -> None:
        self._scene, self._stage = scene, stage
        self._first: Worker = stage.workers[0]
        self._second = stage.add_worker(is_connected=False)
        self.talk = Conversation.new(stage, scene.unit)
        self.began = time.monotonic()
        self.saved: list[tuple[frozenset[str], Counter[str]]] = []

    def begin(self) -> bool:
        """Bring the first worker to its moment, and let the second one have its work."""
        self._hold = self._stage.moments.hold_next(self._scene.moment)
        self.talk.begin()
        if not self._comes_to(self._hold, _PATIENCE):
            return False
        self.began = time.monotonic()
        if self._scene.plot in STALE:
            os.kill(self._first.pid, signal.SIGSTOP)
        self._first.gateway.cut_work()
        return True

    def race(self) -> None:
        """Let both stand at the same kind of moment, and go on."""
        moments, moment = self._stage.moments, self._scene.moment
        rival = moments.hold_next(Moment(kind=moment.kind, side=moment.side))
        self._second.gateway.give_work()
        # One that waits for the other to let go never comes.
        self._comes_to(rival, _RIVAL_SECONDS)
        order = {"first worker first": [self._hold, rival], "second worker first": [rival, self._hold]}
        for each in order.get(self._scene.plot, ()):
            moments.release(each)
            moments.wait_until_quiet()
            self._note_saved()

    def sleep(self) -> None:
        """Let the second one go on, then the first one wake up."""
        moments = self._stage.moments
        later = moments.hold_next(_LATER) if self._scene.plot == "wakes up meanwhile" else None
        self._second.gateway.give_work()
        if later is None:
            self.talk.wait()
        else:
            self._comes_to(later, _PATIENCE)
        self._note_saved()
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
