"""What is decided in front of each superstep: whether LangGraph goes on, and which tasks are left to others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langgraph.runtime import RunControl
from langgraph.types import Interrupt

from dapr_bridge._fan_out import Announcement
from dapr_bridge._pending import PendingTasks
from dapr_bridge._supersteps import Superstep

_LONG_AGO_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """A task that is to run in an activity of its own.

    Attributes:
        id: LangGraph's id of it.
        node: the node that it runs.
        answers: the answers to what it has asked.
        is_resumed: whether the run was told to go on, and this is the superstep where it does.
    """

    id: str
    node: str
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_resumed: bool = False


@dataclass(kw_only=True)
class Decision:
    """What `advance` decides at each superstep, and what it has come to."""

    head: str
    pending: PendingTasks
    answers: Mapping[str, Any]
    paused: frozenset[str]
    stopped: frozenset[str]
    asks_again: bool
    is_resuming: bool
    fans_out: bool
    control: RunControl
    checkpoint_id: str = ""
    announced: Announcement = field(default_factory=dict[str, Any])
    tasks: tuple[PlannedTask, ...] = ()
    is_drained: bool = False

    def decide(self, announced: Announcement) -> bool:
        """Tell whether the loop is to stop in front of this superstep."""
        is_resumed = self.is_resuming and not self.announced
        self.checkpoint_id, self.announced = announced_id(announced), announced
        pending = self.pending if self.checkpoint_id == self.head else PendingTasks()
        open_tasks = [task for task in announced["tasks"] if task["id"] not in pending.finished]
        self.is_drained = self.control.drain_requested and not self._goes_on(open_tasks)
        if self.is_drained or not self.fans_out:
            return self.is_drained
        ready = [task for task in open_tasks if self._is_ready(task["id"], pending)]
        if len(open_tasks) == len(ready) <= 1:
            return False
        self.tasks = tuple(replace(self._planned(task, pending), is_resumed=is_resumed) for task in ready)
        return True

    @property
    def waiting_for(self) -> tuple[Interrupt, ...]:
        """The questions of the tasks that wait.

        A task that has gone on to a breakpoint within has asked nothing since: LangGraph keeps its last question.
        """
        return tuple(
            question
            for task_id, questions in self.pending.asked.items()
            if task_id not in self.stopped
            for question in questions
        )

    def _goes_on(self, open_tasks: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a superstep is over for a run that is to be drained: it is ended, or its questions are asked."""
        is_under_way = self.checkpoint_id == self.head and not self.asks_again
        return is_under_way and all(task["id"] in self.paused and task["id"] not in self.stopped for task in open_tasks)

    def _is_ready(self, task_id: str, pending: PendingTasks) -> bool:
        if task_id in self.paused:
            return False
        questions = pending.asked.get(task_id, ())
        return not questions or self.asks_again or any(question.id in self.answers for question in questions)

    def _planned(self, task: Mapping[str, Any], pending: PendingTasks) -> PlannedTask:
        questions = pending.asked.get(task["id"], ())
        answers = {each.id: self.answers[each.id] for each in questions if each.id in self.answers}
        return PlannedTask(id=task["id"], node=task["name"], answers=answers)


@dataclass
class Looked:
    """What a task's checkpoint was looked at for, and when.

    Attributes:
        checkpoint_id: the checkpoint.
        is_last: whether the task is run however that was: where a worker has very many, each takes its time.
        was_long_ago: whether it was so long ago that the task was not run.
        is_outgrown: whether it was not run for LangGraph would have run tasks beside it that were not known.
        superstep: the tasks that were.
    """

    checkpoint_id: str
    is_last: bool = False
    was_long_ago: bool = False
    is_outgrown: bool = False
    superstep: Superstep = field(default_factory=Superstep)
    _at: float = 0.0

    def begin(self, superstep: Superstep) -> None:
        """Note that it is looked at now."""
        self._at, self.superstep = time.monotonic(), superstep

    def is_out_of_date(self, announced: Announcement) -> bool:
        """Tell whether LangGraph, about to run the tasks after a checkpoint, is to be stopped."""
        if announced_id(announced) != self.checkpoint_id:
            return True
        self.was_long_ago = not self.is_last and time.monotonic() - self._at >= _LONG_AGO_SECONDS
        self.is_outgrown = not self.is_last and not self.superstep.has_all(announced)
        return self.was_long_ago or self.is_outgrown


def announced_id(announced: Announcement) -> str:
    """Return the checkpoint that an announced superstep follows."""
    return announced["config"]["configurable"]["checkpoint_id"]
