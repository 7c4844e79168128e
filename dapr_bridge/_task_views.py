"""What LangGraph sees of a superstep whose tasks run apart from one another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._langgraph import CONTROL, ERROR_SOURCE, INTERRUPT, NO_WRITES, TASKS, idle_send
from dapr_bridge._pending import handler_id
from dapr_bridge._saver_view import NestedReads, SaverView, Writes, glimpse
from dapr_bridge._supersteps import Superstep
from dapr_bridge.saver.records import INPUT_TASK


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

    Of a wide fan-out each task would have to read, and LangGraph to prepare, all the others: where their Sends are
    known, idle ones stand in their places, and what concerns them is not read.

    Args:
        inner: the saver.
        task_id: the task that is to run.
        superstep: the tasks among which it runs.
        nested: what reads the checkpoints of subgraphs, when it is not the saver itself.
    """

    swallows_checkpoints = True

    def __init__(
        self,
        inner: BaseCheckpointSaver[Any],
        *,
        task_id: str,
        superstep: Superstep,
        nested: NestedReads | None = None,
    ) -> None:
        without = (TASKS,) if superstep.sends else ()
        super().__init__(glimpse(inner, hides=self._is_of_sibling, without=without), nested=nested)
        self._task_id, self._superstep = task_id, superstep
        # Those that LangGraph prepares beside it.
        self._others = [each for each in superstep.ids[len(superstep.sends or ()) :] if each != task_id]
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
        own = [write for write in found.pending_writes or [] if not self._is_of_sibling(write[0])]
        self._progress.is_handed_over = any(write[:2] == (self._task_id, ERROR_SOURCE) for write in own)
        done = [(each, NO_WRITES, None) for each in self._others]
        checkpoint = with_one_send(found.checkpoint, self._task_id, self._superstep, self.serde)
        return found._replace(checkpoint=checkpoint, pending_writes=[*own, *done])

    def kept(self, writes: Writes, task_id: str) -> tuple[Writes, str]:
        """Return the writes of the task, and those of its error handler under an id that tells whose they are."""
        if self._is_of_sibling(task_id):
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

    def _is_of_sibling(self, task_id: str) -> bool:
        return self._superstep.is_of_sibling(task_id, self._task_id)


def with_one_send(checkpoint: Checkpoint, task_id: str, superstep: Superstep, serde: SerializerProtocol) -> Checkpoint:
    """Return a checkpoint on which the Sends of other tasks are idle."""
    if not superstep.sends:
        return checkpoint
    place = superstep.positions.get(task_id, len(superstep.sends))
    own = [serde.loads_typed(each) for each in superstep.sends[place : place + 1]]
    # A task's id tells its place among the Sends; what comes behind it does not matter.
    values = {**checkpoint["channel_values"], TASKS: [idle_send()] * place + own if own else []}
    return cast("Checkpoint", {**checkpoint, "channel_values": values})


def has_input(found: CheckpointTuple) -> bool:
    """Tell whether a caller has brought the superstep after a checkpoint something beside answers."""
    return any(task_id == INPUT_TASK and channel not in CONTROL for task_id, channel, _ in found.pending_writes or [])


class SavedView(SaverView):
    """Shows the open tasks of a superstep as done, so that LangGraph tells what the others have saved.

    Args:
        inner: the saver.
        open_tasks: ids of those that are not done.
    """

    swallows_checkpoints = True

    def __init__(self, inner: BaseCheckpointSaver[Any], *, open_tasks: Collection[str]) -> None:
        super().__init__(inner)
        self._open_tasks = open_tasks

    def shown(self, found: CheckpointTuple) -> CheckpointTuple:
        """Return a checkpoint on which every task has run."""
        saved = [write for write in found.pending_writes or [] if write[0] not in self._open_tasks]
        return found._replace(pending_writes=[*saved, *((each, NO_WRITES, None) for each in self._open_tasks)])

    def kept(self, writes: Writes, task_id: str) -> tuple[Writes, str]:
        """Return no writes."""
        return (), task_id


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
