"""Runs that are drained: killed between the wish and the drained outcome, and as they go on afterwards."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, Unit
from dapr_bridge._draining import DrainMarks
from dapr_bridge.testing import wait_until
from tests.chaos.bridge.graph import QUESTIONS
from tests.chaos.bridge.judgement import Evidence, Judge, saved_names
from tests.chaos.bridge.moments import NODE, Hold, Moment
from tests.chaos.bridge.requests import DRAIN_FORGOTTEN, DRAIN_WISH, DRAINED
from tests.chaos.bridge.stage import Stage, Victim
from tests.chaos.bridge.trial import Blow, Chapter, Outcome, Trial, play
from tests.chaos.bridge.worker import CONVERSE_DRAINED, STORE, graph_name

Phase = Literal["drained", "resumed"]
"""Whether something is killed while the run is drained, or when it goes on after that."""

REASON = "the shift ends"

PLACES: Mapping[str, frozenset[str]] = {
    "gather": frozenset({"open", "work-0", "work-1", "work-2", "gather"}),
    "work-1": frozenset({"open", "work-0", "work-1", "work-2"}),
    "inner_open": frozenset({"open", "work-0", "work-1", "work-2", "gather", "inner_open"}),
}
"""The nodes in which the wish is uttered, and what may have run when the run is drained."""

_WISHES = (Moment(kind=DRAIN_WISH), Moment(kind=DRAIN_WISH, side="after"))
_WITHIN = (
    Moment(kind=f"{NODE}gather"),
    Moment(kind="checkpoint"),
    Moment(kind="checkpoint", side="after"),
    Moment(kind=DRAINED),
    Moment(kind=DRAINED, side="after"),
    Moment(kind=DRAIN_FORGOTTEN),
    Moment(kind=DRAIN_FORGOTTEN, side="after"),
    Moment(kind="acknowledgement"),
    Moment(kind="acknowledgement", side="after"),
    Moment(kind="turn"),
    Moment(kind="turn", side="after"),
)
_AFTERWARDS = (
    Moment(kind="claim"),
    Moment(kind="claim", side="after"),
    Moment(kind="checkpoint"),
    Moment(kind="checkpoint", side="after"),
)

_OWN = (*_WISHES, Moment(kind=DRAINED), Moment(kind=DRAINED, side="after"), Moment(kind=DRAIN_FORGOTTEN))

_CALLS = 3
_LOOKS = 2
_PATIENCE = 120.0


@dataclass(frozen=True, kw_only=True)
class DrainScene:
    """A run in a unit, on a store, that its caller has drained in a node, and something that is killed.

    Attributes:
        place: the node in which the wish is uttered.
        phase: when something is killed.
        moment: at which moment of that; its number counts from the wish, or from the end of the drained call.
        happens: what is killed.
    """

    store: str
    unit: Unit
    place: str
    phase: Phase
    moment: Moment
    happens: Victim

    @property
    def chapter(self) -> Chapter:
        """Where it is told of."""
        return "drains"

    @property
    def trigger(self) -> str:
        """When it is killed, for a table."""
        return f"{self.moment.trigger}, {self.phase}"

    @property
    def victim(self) -> str:
        """What is killed, for a table."""
        return self.happens

    def __str__(self) -> str:
        return f"{self.store}, unit {self.unit}, drained in {self.place}: {self.happens} {self.moment}, {self.phase}"


def drain_scenes(store: str, units: Sequence[Unit], victims: Sequence[Victim], seed: int) -> list[DrainScene]:
    """Return all scenes on one store, in the same order for the same seed; each in the next one of the places."""
    killed = [each for each in victims if each in ("worker", "daprd", "store")]
    phases: list[tuple[Phase, Moment]] = [
        *(("drained", each) for each in (*_WISHES, *_WITHIN)),
        *(("resumed", each) for each in _AFTERWARDS),
    ]
    every = [
        DrainScene(store=store, unit=unit, place=place, phase=phase, moment=_within(place, moment), happens=victim)
        for (unit, victim, (phase, moment)), place in zip(
            itertools.product(units, killed, phases), itertools.cycle(PLACES), strict=False
        )
    ]
    random.Random(f"{seed}/{store}/drains").shuffle(every)
    return every


@dataclass(frozen=True, kw_only=True)
class OwnDrain(Trial):
    """A run that one of its nodes drains, and that its workflow goes on with under the same id."""

    workflow: str = CONVERSE_DRAINED

    @property
    def chapter(self) -> Chapter:
        """Where it is told of."""
        return "drains"

    @property
    def trigger(self) -> str:
        """When it is killed, for a table."""
        return f"{super().trigger}, drained by a node"

    def __str__(self) -> str:
        return f"{super().__str__()}, drained by a node"


def own_drains(store: str, units: Sequence[Unit], victims: Sequence[Victim], seed: int) -> list[OwnDrain]:
    """Return all of these on one store, in the same order for the same seed."""
    killed = [each for each in victims if each in ("worker", "daprd")]
    every = [
        OwnDrain(store=store, unit=unit, blows=(Blow(moment=moment, victim=victim),))
        for unit, victim, moment in itertools.product(units, killed, _OWN)
        # In unit `run` the node's control is that of the whole.
        if unit == "task" or moment.kind != DRAIN_WISH
    ]
    random.Random(f"{seed}/{store}/own drains").shuffle(every)
    return every


def play_own_drain(trial: OwnDrain, stage: Stage, judge: Judge) -> Outcome:
    """Strike, see the run through, and look whether a wish is left."""
    outcome = play(trial, stage, judge)
    runs = [f"{outcome.thread_id}/{call}" for call in range(_CALLS)]
    return outcome.but_wrong(_left_wishes(stage.saver, runs))


def _within(place: str, moment: Moment) -> Moment:
    return replace(moment, kind=f"{NODE}{place}") if moment.kind.startswith(NODE) else moment


def play_drain_scene(scene: DrainScene, stage: Stage, judge: Judge) -> Outcome:
    """Have the run drained, kill what is to be killed, let it go on, and see it through."""
    stage.employ(lease=None)
    strike = _Strike(scene, stage)
    try:
        has_come = strike.drain()
        stage.moments.release_all()
        has_come = strike.resume() or has_come
        stage.moments.release_all()
        status = strike.talk.wait()
    finally:
        strike.talk.resume()
    stage.wait_until_well()
    thread_id = strike.talk.thread_id
    runs = Counter(stage.marks.runs(thread_id))
    evidence = Evidence(thread_id=thread_id, status=status, runs=runs, saved=strike.saved)
    found = judge.judge(evidence, stage.saver)
    seconds = time.monotonic() - strike.began
    outcome = Outcome(
        trial=scene, thread_id=thread_id, kills=len(strike.saved), seconds=seconds, judgement=found, has_come=has_come
    )
    return outcome.but_wrong([*strike.talk.wrongs(), *_left_wishes(stage.saver, strike.talk.run_ids())])


@dataclass(eq=False)
class DrainedTalk:
    """A client that has its run drained, goes on when it is told to, and answers what is asked."""

    stage: Stage
    unit: Unit
    place: str
    thread_id: str = ""
    status: str = "not ended"
    control: RunControl = field(default_factory=RunControl)
    _ran: Collection[str] | None = None
    _reason: str = ""
    _error: str = ""
    _calls: int = 0
    _has_stopped: threading.Event = field(default_factory=threading.Event)
    _may_go_on: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Do so in a thread of its own, on a new LangGraph thread, whose moments are followed from now on."""
        self.thread_id = f"{self.unit}-{self.stage.next_number()}"
        self.stage.moments.follow(self.thread_id)
        threading.Thread(target=self._converse, daemon=True).start()

    @property
    def has_stopped(self) -> bool:
        """Whether the drained call has ended."""
        return self._has_stopped.is_set()

    @property
    def is_over(self) -> bool:
        """Whether all has ended."""
        return self._over.is_set()

    def resume(self) -> None:
        """Go on after the drained call."""
        self._may_go_on.set()

    def wait(self) -> str:
        """Wait for the end, and tell what it was."""
        self._over.wait()
        return self.status

    def run_ids(self) -> list[str]:
        """The ids of its runs."""
        return [f"{self.thread_id}.{number}" for number in range(1, self._calls + 1)]

    def wrongs(self) -> Iterator[str]:
        """Tell what was wrong with the drained call."""
        if self._error:
            yield self._error
        if self._ran is None:
            yield "the run was not drained"
        elif self._reason != REASON:
            yield f"the run was drained because of {self._reason!r}"
        elif not PLACES[self.place].issuperset(self._ran):
            yield f"the run went on in {sorted(set(self._ran) - PLACES[self.place])} after the wish"

    def _converse(self) -> None:
        try:
            self.status = asyncio.run(self._to_end())
        except Exception as error:  # noqa: BLE001 - whatever it is, the judge is told
            self._error = f"the client was told {error!r}"
        finally:
            self._has_stopped.set()
            self._over.set()

    async def _to_end(self) -> str:
        address = self.stage.client_address
        with DaprSaver(STORE, address=address) as saver:
            async with DurableGraph(graph_name(self.unit), saver=saver, address=address, events=None) as graph:
                async with asyncio.timeout(_PATIENCE):
                    return await self._talk(graph)

    async def _talk(self, graph: DurableGraph) -> str:
        try:
            output = await self._call(graph, {}, control=self.control)
        except GraphDrained as drained:
            self._reason = drained.reason
            self._ran = self.stage.marks.runs(self.thread_id)
            self._has_stopped.set()
            await asyncio.to_thread(self._may_go_on.wait)
            output = await self._call(graph, None)
        for question in QUESTIONS:
            answers = {each.id: "yes" for each in output["__interrupt__"] if each.value == question}
            output = await self._call(graph, Command(resume=answers))
        return "interrupted" if output.get("__interrupt__") else "finished"

    async def _call(self, graph: DurableGraph, given: Any, **more: Any) -> Any:
        self._calls += 1
        config = {"configurable": {"thread_id": self.thread_id}}
        return await graph.ainvoke(given, config, run_id=self.run_ids()[-1], **more)


class _Strike:
    """The one blow of a scene."""

    def __init__(self, scene: DrainScene, stage: Stage) -> None:
        self._scene, self._stage = scene, stage
        self.talk = DrainedTalk(stage, scene.unit, scene.place)
        self.began = time.monotonic()
        self.saved: list[tuple[frozenset[str], Counter[str]]] = []

    def drain(self) -> bool:
        """Have the run drained in its node; tells whether something was killed on the way."""
        moments, moment = self._stage.moments, self._scene.moment
        self.talk.begin()
        node = moments.hold_next(Moment(kind=f"{NODE}{self._scene.place}"))
        if not self._comes_to(node):
            return False
        # The other tasks of its superstep come to rest.
        moments.wait_until_quiet(seconds=0.5)
        if self._scene.phase == "drained" and moment.kind == DRAIN_WISH:
            self._strike_at_wish()
            return True
        self._wish()
        if self._scene.phase == "resumed":
            moments.release(node)
            return False
        if moment.kind.startswith(NODE):
            self._strike()
            moments.release(node, drop=self._scene.happens == "worker")
            return True
        hold = moments.hold_next(moment)
        moments.release(node)
        return self._strike_at(hold)

    def resume(self) -> bool:
        """Let the drained run go on; tells whether something was killed on the way."""
        moments = self._stage.moments
        wait_until(lambda: self.talk.has_stopped, what="the run to be drained", seconds=_PATIENCE)
        hold = moments.hold_next(self._scene.moment) if self._scene.phase == "resumed" else None
        self.talk.resume()
        return self._strike_at(hold) if hold else False

    def _wish(self) -> None:
        """Utter the wish, and wait until the worker knows of it."""
        self.talk.control.request_drain(REASON)
        self._until_known()

    def _until_known(self) -> None:
        (worker,) = self._stage.workers
        wait_until(self._has_arrived, what="the wish to arrive", seconds=_PATIENCE)
        before = worker.gateway.looks("drain")
        wait_until(
            lambda: worker.gateway.looks("drain") >= before + _LOOKS or self.talk.has_stopped,
            what="the worker to see the wish",
            seconds=_PATIENCE,
        )

    def _has_arrived(self) -> bool:
        return any((each.kind, each.side) == (DRAIN_WISH, "after") for each in self._stage.moments.seen())

    def _strike_at_wish(self) -> None:
        moments = self._stage.moments
        hold = moments.hold_next(self._scene.moment)
        self.talk.control.request_drain(REASON)
        assert self._comes_to(hold)
        # The next worker comes to the node again.
        again = moments.hold_next(Moment(kind=f"{NODE}{self._scene.place}"))
        self._strike()
        moments.release(hold)
        self._until_known()
        moments.release(again)

    def _strike_at(self, hold: Hold) -> bool:
        has_come = self._comes_to(hold)
        if has_come:
            self._strike()
            self._stage.moments.release(hold, drop=self._scene.happens == hold.moment.sender)
        return has_come

    def _strike(self) -> None:
        names = saved_names(self._stage.saver, self.talk.thread_id)
        runs = Counter(self._stage.marks.runs(self.talk.thread_id))
        self.began = time.monotonic()
        self._stage.kill(self._scene.happens)
        self.saved.append((names, runs))

    def _comes_to(self, hold: Hold) -> bool:
        moments = self._stage.moments
        return moments.wait_until_reached(hold, unless=lambda: self.talk.is_over, seconds=_PATIENCE)


def _left_wishes(saver: DaprSaver, run_ids: Sequence[str]) -> Iterator[str]:
    """Tell which wishes are still there although their runs have ended."""
    marks = DrainMarks(saver.store)
    for each in run_ids:
        if asyncio.run(marks.exists(each)):
            yield f"the wish that {each} be drained is left"
