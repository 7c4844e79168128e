"""One run that is killed: brought to its moments, killed there, seen through to its end, and judged."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self

import grpc
from dapr.ext.workflow import WorkflowStatus

from dapr_bridge import Unit
from tests.chaos.bridge.judgement import Evidence, Judge, Judgement, saved_names
from tests.chaos.bridge.moments import Hold, Moment
from tests.chaos.bridge.stage import Stage, Victim
from tests.chaos.bridge.worker import CONVERSE

logger = logging.getLogger(__name__)

ENDED = frozenset({WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.TERMINATED})
_LOOK = 0.05
_ASK_AGAIN = 5.0
_PATIENCE = 120.0


Chapter = Literal["kills", "pairs", "rivals", "leases", "drains"]
"""The parts of the report."""


@dataclass(frozen=True, kw_only=True)
class Blow:
    """A kill at a moment; the number of a second blow's moment counts from the first blow on."""

    moment: Moment
    victim: Victim

    def __str__(self) -> str:
        return f"{self.victim} {self.moment}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run in a unit, on a store, that is to survive some blows."""

    store: str
    unit: Unit
    blows: tuple[Blow, ...]
    workflow: str = CONVERSE

    @property
    def chapter(self) -> Chapter:
        """Where it is told of."""
        return "kills" if len(self.blows) < 2 else "pairs"

    @property
    def trigger(self) -> str:
        """The names of the moments, for a table."""
        return ", then ".join(each.moment.trigger for each in self.blows)

    @property
    def victim(self) -> str:
        """The names of the victims, for a table."""
        return ", then ".join(each.victim for each in self.blows)

    def __str__(self) -> str:
        return f"{self.store}, unit {self.unit}: {', then '.join(map(str, self.blows)) or 'nothing'}"


class Tried(Protocol):
    """What was tried: where, and what it is called in which table."""

    @property
    def store(self) -> str: ...
    @property
    def unit(self) -> Unit: ...
    @property
    def trigger(self) -> str: ...
    @property
    def victim(self) -> str: ...
    @property
    def chapter(self) -> Chapter: ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a trial.

    Attributes:
        trial: what was tried.
        thread_id: the run's thread.
        kills: how many of its blows were struck.
        seconds: from the first blow, or the start, to the end.
        has_come: whether the run came to every moment that was waited for.
    """

    trial: Tried
    thread_id: str
    kills: int
    seconds: float
    judgement: Judgement
    has_come: bool = True

    def but_wrong(self, found: Iterable[str]) -> Outcome:
        """Return it with what else was found to be wrong."""
        return replace(self, judgement=replace(self.judgement, wrong=(*self.judgement.wrong, *found)))


@dataclass(eq=False)
class Conversation:
    """Starts a run, answers its questions, and waits for its end, as a client does: again while something is away."""

    stage: Stage
    thread_id: str
    unit: Unit
    workflow: str = CONVERSE
    status: str = ""
    _answered_at: dict[str, float] = field(default_factory=dict[str, float])
    _over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def new(cls, stage: Stage, unit: Unit, *, workflow: str = CONVERSE) -> Self:
        """Return one on a new thread, whose moments are followed from now on."""
        thread_id = f"{unit}-{stage.next_number()}"
        stage.moments.follow(thread_id)
        return cls(stage, thread_id, unit, workflow)

    def begin(self) -> None:
        """Do so in a thread of its own."""
        threading.Thread(target=self._converse, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, or the client has given up."""
        return self._over.is_set()

    def wait(self) -> str:
        """Wait for the end, and tell what it was."""
        self._over.wait()
        return self.status

    def _converse(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        self.status = "not ended"
        try:
            while time.monotonic() < deadline and not self._step():
                time.sleep(_LOOK)
        finally:
            self._over.set()

    def _step(self) -> bool:
        """Do what is to be done next; tells whether the run has ended."""
        client = self.stage.looking_client
        try:
            state = client.get_workflow_state(self.thread_id)
            if state is None:
                self.stage.client.schedule_new_workflow(self.workflow, input=self.unit, instance_id=self.thread_id)
                return False
            if state.runtime_status in ENDED:
                failure = state.failure_details
                self.status = failure.message if failure else json.loads(state.serialized_output or "null")
                return True
            if state.serialized_custom_status:
                self._answer(state.serialized_custom_status.strip('"'))
        except grpc.RpcError as error:
            # Something is away; it comes back.
            logger.debug("the client asks again: %s", error)
            time.sleep(_LOOK)
        return False

    def _answer(self, question: str) -> None:
        if time.monotonic() - self._answered_at.get(question, -_ASK_AGAIN) < _ASK_AGAIN:
            return
        self.stage.client.raise_workflow_event(self.thread_id, question, data="yes")
        self._answered_at[question] = time.monotonic()


def play(trial: Trial, stage: Stage, judge: Judge) -> Outcome:
    """Strike every blow of a trial, and see the run through."""
    stage.employ(lease=None)
    talk = Conversation.new(stage, trial.unit, workflow=trial.workflow)
    strokes = _Strokes(stage, talk)
    strokes.prepare(trial.blows)
    talk.begin()
    strokes.strike_all()
    status = talk.wait()
    seconds = time.monotonic() - strokes.began
    stage.wait_until_well()
    evidence = Evidence(
        thread_id=talk.thread_id, status=status, runs=Counter(stage.marks.runs(talk.thread_id)), saved=strokes.saved
    )
    judgement = judge.judge(evidence, stage.saver)
    kills = len(strokes.saved)
    has_come = kills == len(trial.blows)
    return Outcome(
        trial=trial,
        thread_id=talk.thread_id,
        kills=kills,
        seconds=seconds,
        judgement=judgement,
        has_come=has_come,
    )


def survey(stage: Stage, unit: Unit, judge: Judge) -> Sequence[Moment]:
    """Return the moments of a run that nothing happens to."""
    outcome = play(Trial(store=stage.name, unit=unit, blows=()), stage, judge)
    assert outcome.judgement.is_clean, outcome.judgement
    return stage.moments.seen()


@dataclass(eq=False)
class _Strokes:
    """The blows of one trial as they are struck."""

    stage: Stage
    talk: Conversation
    began: float = field(default_factory=time.monotonic)
    saved: list[tuple[frozenset[str], Counter[str]]] = field(default_factory=list[tuple[frozenset[str], Counter[str]]])
    _blows: Sequence[Blow] = ()
    _hold: Hold | None = None

    def prepare(self, blows: Sequence[Blow]) -> None:
        """Lie in wait for the first one's moment."""
        self._blows = blows
        self._hold = self.stage.moments.hold_next(blows[0].moment) if blows else None

    def strike_all(self) -> None:
        """Strike one after the other, as long as their moments come."""
        moments = self.stage.moments
        for blow, following in itertools.zip_longest(self._blows, self._blows[1:]):
            hold = self._hold
            if hold is None or not moments.wait_until_reached(
                hold, unless=lambda: self.talk.is_over, seconds=_PATIENCE
            ):
                break
            self._strike(blow)
            self._hold = moments.hold_next(following.moment) if following else None
            moments.release(hold, drop=blow.victim == blow.moment.sender)
        moments.release_all()

    def _strike(self, blow: Blow) -> None:
        thread_id = self.talk.thread_id
        names = saved_names(self.stage.saver, thread_id)
        before = Counter(self.stage.marks.runs(thread_id))
        if not self.saved:
            self.began = time.monotonic()
        self.stage.kill(blow.victim)
        self.saved.append((names, before))
