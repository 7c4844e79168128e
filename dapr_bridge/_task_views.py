"""What LangGraph sees of a superstep whose tasks run apart from one another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

from dapr_bridge._langgraph import CONTROL, ERROR_SOURCE, INTERRUPT, NO_WRITES
from dapr_bridge._pending import handler_id
from dapr_bridge._saver_view import SaverView, Writes


@dataclass
class _Progress:
    """How far the task has come in this attempt."""

    is_handed_over: bool = False
    is_finished: bool = False
    has_asked: bool = False


class TaskView(SaverView):
    """Shows the other tasks of the superstep as done, so that LangGraph runs the wanted one alone.

    It does so as always: with retries, timeouts, cache, error handler and subgraphs. What the task writes is saved; the
    superstep is not ended.

    Args:
        inner: the saver.
        task_id: the task that is to run.
        others: ids of the other tasks of its superstep.
    """

    swallows_checkpoints = True

    def __init__(self, inner: BaseCheckpointSaver[Any], *, task_id: str, others: Collection[str]) -> None:
        super().__init__(inner)
        self._task_id = task_id
        self._others = frozenset(others)
        # Shared with the copies of this view that LangGraph makes.
        self._progress = _Progress()

    @property
    def is_finished(self) -> bool:
        """Whether the task's output, or that of its error handler, was given to the saver."""
        return self._progress.is_finished

    @property
    def has_asked(self) -> bool:
        """Whether the task has asked something."""
        return self._progress.has_asked

    def shown(self, found: CheckpointTuple) -> CheckpointTuple:
        """Return a checkpoint on which the other tasks have run."""
        # An attempt that was cut short may have left something of theirs; it counts when their own turn comes.
        own = [write for write in found.pending_writes or [] if write[0] not in self._others]
        self._progress.is_handed_over = any(write[:2] == (self._task_id, ERROR_SOURCE) for write in own)
        done = [(each, NO_WRITES, None) for each in sorted(self._others)]
        return found._replace(pending_writes=[*own, *done])

    def kept(self, writes: Writes, task_id: str) -> tuple[Writes, str]:
        """Return the writes of the task, and those of its error handler under an id that tells whose they are."""
        if task_id in self._others:
            return (), task_id
        has_output = any(channel not in CONTROL for channel, _ in writes)
        if task_id == self._task_id:
            self._progress.is_handed_over |= any(channel == ERROR_SOURCE for channel, _ in writes)
            self._progress.is_finished |= has_output
            self._progress.has_asked |= any(channel == INTERRUPT for channel, _ in writes)
            return writes, task_id
        if self._progress.is_handed_over and has_output:
            self._progress.is_finished = True
            return writes, handler_id(self._task_id)
        return writes, task_id


class SettledView(SaverView):
    """Shows a task whose error handler has run as done, with the handler's output.

    LangGraph itself would run the handler again: it looks for the writes of the tasks that it has planned, and plans a
    handler only when it comes upon the failed task.
    """

    def shown(self, found: CheckpointTuple) -> CheckpointTuple:
        """Return a checkpoint on which a handler's writes are those of the task that failed."""
        writes = found.pending_writes or []
        with_output = {task_id for task_id, channel, _ in writes if channel not in CONTROL}
        handled = {
            handler_id(task_id): task_id
            for task_id, channel, _ in writes
            if channel == ERROR_SOURCE and handler_id(task_id) in with_output
        }
        if not handled:
            return found
        settled = frozenset(handled.values())
        shown = [(handled.get(task_id, task_id), channel, value) for task_id, channel, value in writes]
        return found._replace(
            pending_writes=[each for each in shown if each[0] not in settled or each[1] not in CONTROL]
        )
