"""Graphs of any kind that are killed while a caller plays a script with them: what is seen is what LangGraph shows."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME

from dapr_bridge import DaprSaver, DurableGraph, Unit
from tests.chaos.bridge.marking import Mark
from tests.chaos.bridge.moments import Hold, Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.trial import Blow
from tests.chaos.bridge.worker import OTHER, STORE, Hosted
from tests.parity.difference import differences
from tests.parity.likeness import Likeness
from tests.parity.play import NodeRuns, Seen, play
from tests.parity.shape import AnyGraph, Shape
from tests.parity.sides import BridgeSide

_PATIENCE = 120.0
KINDS = ("checkpoint", "writes", "claim", "acknowledgement", "turn")
"""Of moments that come in any graph."""

_NOT_OUTPUT = frozenset({ERROR, INTERRUPT, RESUME})


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A worker that is cut off at a moment and given up for dead, and goes on with what it was at.

    Attributes:
        moment: what it is at.
        seconds: how long later; meanwhile another worker has its work.
        is_stopped: whether it does nothing else either until then (SIGSTOP).
    """

    moment: Moment
    seconds: float
    is_stopped: bool


@dataclass(frozen=True, kw_only=True)
class Survived:
    """What came of it.

    Attributes:
        seen: what the caller saw.
        repeated: tasks that ran again though they had been saved, in words.
        blows: how many were struck.
    """

    seen: Seen
    repeated: Sequence[str]
    blows: int

    def faults(self, native: Seen) -> Iterator[str]:
        """Name what is not as in plain LangGraph; how often nodes run is not compared, for unsaved ones run again."""
        yield from differences(_without_runs(native), _without_runs(self.seen))
        yield from self.repeated


def survive(shape: Shape, blows: Sequence[Blow | Cut], unit: Unit, stage: Stage, thread_id: str) -> Survived:
    """Play a script with a graph on a stage, and strike the blows meanwhile."""
    stage.host(Hosted(build=shape.build, unit=unit, types=shape.types))
    stage.moments.follow(thread_id)
    with DaprSaver(STORE, address=stage.sidecar.address, allowed_types=shape.types) as saver:
        striker = _Striker(stage, saver, thread_id, blows)
        striker.start()
        try:
            seen = asyncio.run(_played(shape, stage.sidecar.address, saver, thread_id))
        finally:
            striker.stop()
    stage.wait_until_well()
    return Survived(seen=seen, repeated=list(striker.repeated()), blows=len(striker.struck))


async def _played(shape: Shape, address: str, saver: DaprSaver, thread_id: str) -> Seen:
    graph, likeness = shape.build(), Likeness(message_ids=False)
    async with DurableGraph(graph, name=OTHER, saver=saver, address=address) as durable:
        side = _NamedRuns(durable, graph, saver)
        return await play(shape, side, thread_id=thread_id, runs=NodeRuns(), likeness=likeness)


class _NamedRuns(BridgeSide):
    """The bridge's side, whose runs are named after their thread, so that their moments are known as its own."""

    def __init__(self, durable: DurableGraph, graph: AnyGraph, saver: DaprSaver) -> None:
        super().__init__(durable, graph, saver)
        self._graph, self._calls = durable, 0

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
        self._calls += 1
        run_id = f"{config['configurable']['thread_id']}.{self._calls}"
        return await self._graph.ainvoke(value, config, context=context, run_id=run_id)


@dataclass(frozen=True, kw_only=True)
class _Struck:
    """What was saved when a blow was struck, and what had been begun."""

    saved: frozenset[str]
    marks: int


@dataclass(eq=False)
class _Striker:
    """Strikes one blow after the other, each when the run has come to its moment."""

    stage: Stage
    saver: DaprSaver
    thread_id: str
    blows: Sequence[Blow | Cut]
    struck: list[_Struck] = field(default_factory=list[_Struck])
    _is_over: threading.Event = field(default_factory=threading.Event)
    _later: list[threading.Timer] = field(default_factory=list[threading.Timer])

    def start(self) -> None:
        """Lie in wait for the first moment."""
        hold = self._hold(self.blows[0])
        self._thread = threading.Thread(target=self._strike_all, args=(hold,))
        self._thread.start()

    def stop(self) -> None:
        """Strike no more."""
        self._is_over.set()
        self._thread.join()

    def repeated(self) -> Iterator[str]:
        """Name the tasks that have begun after a blow though they had been saved before it."""
        for number, blow in enumerate(self.struck, start=1):
            for mark in self._marks()[blow.marks :]:
                if mark.task_id in blow.saved:
                    yield f"{mark.node} was saved before blow {number} and ran again in {mark.worker}"

    def _hold(self, blow: Blow | Cut) -> Hold:
        return self.stage.moments.hold_next(blow.moment)

    def _strike_all(self, hold: Hold) -> None:
        moments = self.stage.moments
        try:
            for place, blow in enumerate(self.blows):
                if not moments.wait_until_reached(hold, unless=self._is_over.is_set, seconds=_PATIENCE):
                    break
                saved = asyncio.run(_saved_tasks(self.saver, self.thread_id))
                let_go = self._strike(blow, hold)
                self.struck.append(_Struck(saved=saved, marks=len(self._marks())))
                following = self.blows[place + 1 : place + 2]
                hold = self._hold(following[0]) if following else hold
                let_go()
        finally:
            for each in self._later:
                each.join()
            moments.release_all()

    def _strike(self, blow: Blow | Cut, hold: Hold) -> Callable[[], None]:
        """Do what is to be done to whoever stands at a hold; returns what lets him go."""
        release = self.stage.moments.release
        if isinstance(blow, Blow):
            self.stage.kill(blow.victim)
            return partial(release, hold, drop=blow.victim == blow.moment.sender)
        pid = self.stage.workers[0].pid
        if blow.is_stopped:
            os.kill(pid, signal.SIGSTOP)
        self.stage.cut_off()

        def go_on() -> None:
            # A request dies with the connection on which work comes; on another one, it arrives late.
            release(hold, drop=blow.moment.kind == "turn")
            os.kill(pid, signal.SIGCONT)

        self._later.append(threading.Timer(blow.seconds, go_on))
        return self._later[-1].start

    def _marks(self) -> list[Mark]:
        marks = [Mark.read(each) for each in list(self.stage.marks.marks)]
        return [each for each in marks if each.thread_id == self.thread_id]


async def _saved_tasks(saver: DaprSaver, thread_id: str) -> frozenset[str]:
    """Return the ids of the tasks whose output is saved, in the graph and its subgraphs."""
    found = [each async for each in saver.alist({"configurable": {"thread_id": thread_id}})]
    writes = [write for each in found for write in each.pending_writes or ()]
    return frozenset(task_id for task_id, channel, _ in writes if channel not in _NOT_OUTPUT)


def _without_runs(seen: Seen) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key != "runs"} for each in seen]
