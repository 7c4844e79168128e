"""Workers that take leases: killed as one is taken, renewed and released, and while a second worker waits for one."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, get_args

from dapr_bridge import DaprSaver, Unit
from dapr_bridge.saver.effects import run
from dapr_bridge.saver.keys import lease_key
from dapr_bridge.testing import wait_until
from tests.chaos.bridge.judgement import Evidence, Judge, saved_names
from tests.chaos.bridge.moments import NODE, Hold, Moment
from tests.chaos.bridge.requests import LEASE_RELEASED, LEASE_RENEWED, LEASE_TAKEN
from tests.chaos.bridge.stage import Stage, Victim, Worker
from tests.chaos.bridge.trial import Chapter, Conversation, Outcome

TTL = timedelta(seconds=3)
"""How long others wait after a holder's last sign of life."""

Duel = Literal[
    "holder goes on",
    "holder is killed",
    "holder wakes up after the end",
    "waiting worker is killed",
    "daprd is killed",
    "store is killed",
]
"""What happens while a second worker waits for the lease of the first, which is cut off from its work but alive.

One that wakes up was stopped (SIGSTOP) for longer than its lease lasts, until the other has ended the run.
"""

DUELS: tuple[Duel, ...] = get_args(Duel)
PLACES = (Moment(kind=f"{NODE}work-1"), Moment(kind=f"{NODE}gather"))
"""Where the holder stands in a duel: beside other tasks, and alone."""

MOMENTS = (
    Moment(kind=LEASE_TAKEN, number=2),
    Moment(kind=LEASE_TAKEN, number=2, side="after"),
    Moment(kind=LEASE_RENEWED),
    Moment(kind=LEASE_RENEWED, side="after"),
    Moment(kind=LEASE_RELEASED, number=2),
    Moment(kind=LEASE_RELEASED, number=2, side="after"),
)
"""Of a lease that is taken or released, the second one: in unit `task` that of a task in a fan-out."""

_VICTIMS: Mapping[str, Victim] = {
    "worker": "worker",
    "daprd": "daprd",
    "daprd is killed": "daprd",
    "store": "store",
    "store is killed": "store",
}
_CALLS = 3
_LOOKS = 3
_ALONE = frozenset({"holder goes on", "waiting worker is killed"})
_PATIENCE = 120.0


@dataclass(frozen=True, kw_only=True)
class LeaseScene:
    """A run of workers with leases, in a unit, on a store, to which something happens at a moment.

    Attributes:
        happens: a process that is killed there, or a duel.
    """

    store: str
    unit: Unit
    moment: Moment
    happens: Victim | Duel

    @property
    def chapter(self) -> Chapter:
        """Where it is told of."""
        return "leases"

    @property
    def is_duel(self) -> bool:
        """Whether a second worker waits for the lease of the first."""
        return self.happens in DUELS

    @property
    def trigger(self) -> str:
        """When it happens, for a table."""
        return "while another waits" if self.is_duel else self.moment.trigger

    @property
    def victim(self) -> str:
        """What happens, for a table."""
        return self.happens

    def __str__(self) -> str:
        return f"{self.store}, unit {self.unit}, with leases: {self.happens}, {self.trigger}, {self.moment}"


def lease_scenes(store: str, units: Sequence[Unit], victims: Sequence[Victim], seed: int) -> list[LeaseScene]:
    """Return all scenes on one store, in the same order for the same seed."""
    killed: list[Victim] = [each for each in victims if each in ("worker", "daprd", "store")]
    duels: list[Duel] = [each for each in DUELS if each != "store is killed" or "store" in victims]
    kills = [
        LeaseScene(store=store, unit=unit, moment=moment, happens=victim)
        for unit, moment, victim in itertools.product(units, MOMENTS, killed)
    ]
    fought = [
        LeaseScene(store=store, unit=unit, moment=place, happens=duel)
        for unit, place, duel in itertools.product(units, PLACES, duels)
    ]
    every = [*kills, *fought]
    random.Random(f"{seed}/{store}/leases").shuffle(every)
    return every


def play_lease_scene(scene: LeaseScene, stage: Stage, judge: Judge) -> Outcome:
    """Let it happen, and see the run through."""
    stage.employ(lease=TTL)
    cast = _Cast(scene, stage)
    try:
        has_come = cast.fight() if scene.is_duel else cast.kill()
        stage.moments.release_all()
        status = cast.talk.wait()
        stage.moments.wait_until_quiet(seconds=0.5)
    finally:
        cast.end()
    thread_id = cast.talk.thread_id
    runs = Counter(stage.marks.runs(thread_id))
    evidence = Evidence(thread_id=thread_id, status=status, runs=runs, saved=cast.saved)
    found = judge.judge(evidence, stage.saver)
    paid_twice = _paid_twice(cast.runs_beside, runs if scene.happens in _ALONE else Counter())
    outcome = Outcome(
        trial=scene,
        thread_id=thread_id,
        kills=cast.kills,
        seconds=time.monotonic() - cast.began,
        judgement=replace(found, repeated=(*found.repeated, *paid_twice)),
        has_come=has_come,
    )
    # One that cannot be given back in its time to live, as the store is away, needs no giving back.
    is_away = _VICTIMS.get(scene.happens) in ("daprd", "store")
    return outcome if is_away else outcome.but_wrong(_left_leases(stage.saver, thread_id, judge))


class _Cast:
    """The workers, and the client that waits."""

    def __init__(self, scene: LeaseScene, stage: Stage) -> None:
        self._scene, self._stage = scene, stage
        self._leaving: Worker | None = None
        self.talk = Conversation.new(stage, scene.unit)
        self.began = time.monotonic()
        self.saved: list[tuple[frozenset[str], Counter[str]]] = []
        self.runs_beside: Counter[str] = Counter()
        self.kills = 0

    def kill(self) -> bool:
        """Kill something at a moment of a lease; tells whether that has come."""
        moments, moment = self._stage.moments, self._scene.moment
        hold = moments.hold_next(moment)
        # A lease is renewed only where something takes its time.
        slow = moments.hold_next(PLACES[0]) if moment.kind == LEASE_RENEWED else None
        self.talk.begin()
        has_come = self._comes_to(hold)
        if has_come:
            self._strike(_VICTIMS[self._scene.happens])
            moments.release(hold, drop=self._scene.happens == moment.sender)
        if slow:
            moments.release(slow)
        return has_come

    def fight(self) -> bool:
        """Bring a second worker on that waits, and do to one of them what is to be done."""
        moments, (first,) = self._stage.moments, self._stage.workers
        second = self._stage.add_worker(is_connected=False)
        hold = moments.hold_next(self._scene.moment)
        self.talk.begin()
        if not self._comes_to(hold):
            self._leaving = second
            return False
        # Its other tasks come to rest.
        moments.wait_until_quiet(seconds=0.5)
        first.gateway.cut_work()
        second.gateway.give_work()
        wait_until(lambda: second.gateway.looks("lease") >= _LOOKS, what="the second worker to wait", seconds=60)
        # What it was given beside that, and finds saved, comes to rest too.
        moments.wait_until_quiet(seconds=0.5)
        self.runs_beside = self._runs()
        self._leaving = second if self._scene.happens == "waiting worker is killed" else first
        self._part(first, second)
        moments.release(hold, drop=self._scene.happens == "holder is killed")
        return True

    def end(self) -> None:
        """Leave one worker alone on the stage."""
        for worker in self._stage.workers:
            worker.gateway.give_work()
        if self._leaving in self._stage.workers:
            self._stage.remove_worker(self._leaving)
        self._stage.wait_until_well()

    def _part(self, first: Worker, second: Worker) -> None:
        """Do what is to be done while the second worker waits for the first."""
        match self._scene.happens:
            case "holder is killed":
                self._note()
                first.kill()
                self.kills += 1
            case "waiting worker is killed":
                self._note()
                self._stage.remove_worker(second)
                self.kills += 1
                first.gateway.give_work()
            case "holder wakes up after the end":
                self._note()
                os.kill(first.pid, signal.SIGSTOP)
                self.talk.wait()
                self._note()
                os.kill(first.pid, signal.SIGCONT)
            case "daprd is killed" | "store is killed":
                self._strike(_VICTIMS[self._scene.happens])
            case _:
                self._note()

    def _strike(self, victim: Victim) -> None:
        self._note()
        self._stage.kill(victim)
        self.kills += 1

    def _note(self) -> None:
        names, runs = saved_names(self._stage.saver, self.talk.thread_id), self._runs()
        if not self.saved:
            self.began = time.monotonic()
        self.saved.append((names, runs))

    def _runs(self) -> Counter[str]:
        return Counter(self._stage.marks.runs(self.talk.thread_id))

    def _comes_to(self, hold: Hold) -> bool:
        moments = self._stage.moments
        return moments.wait_until_reached(hold, unless=lambda: self.talk.is_over, seconds=_PATIENCE)


def _paid_twice(beside: Counter[str], alone: Counter[str]) -> Iterator[str]:
    """Tell what two workers have run although one waited for the other."""
    for name, times in sorted((beside | alone).items()):
        if times > 1:
            yield f"{name} ran {times} times although its lease was held"


def _left_leases(saver: DaprSaver, thread_id: str, judge: Judge) -> Iterator[str]:
    """Tell which leases nobody has given back."""
    runs = [f"{thread_id}/{call}" for call in range(_CALLS)]
    tasks = judge.task_ids(saver, thread_id)
    names = [*runs, *(f"{each}/{task}" for each in runs for task in tasks)]
    found = run(saver.store.read([lease_key(each) for each in names]))
    for name in names:
        if lease_key(name) in found:
            yield f"the lease of {name} is left: {found[lease_key(name)].data!r}"
