"""Save the writes of tasks, those that come in side by side in one go: a wide fan-out ends with a few requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dapr_bridge._langgraph import INTERRUPT
from dapr_bridge._tuples import tuples_in
from dapr_bridge.saver.documents import Documents, Place, TaskPut, guard_of
from dapr_bridge.saver.effects import Pause, Steps
from dapr_bridge.saver.records import INPUT_TASK, make_task_writes
from dapr_bridge.saver.store import Document, Write

# Each task that saves its writes rewrites those that stand with them.
_MOST_TOGETHER = 16 * 1024

_MOST_AT_ONCE = 128

# LangGraph sends the last writes of a superstep and its checkpoint within a few turns of the event loop.
_TURNS_FOR_A_CHECKPOINT = 4


def put_writes(
    documents: Documents,
    place: Place,
    checkpoint_id: str,
    task_id: str,
    path: str,
    writes: Sequence[tuple[str, Any]],
    *,
    run_id: str | None = None,
) -> Steps[None]:
    """Save what a task wrote; its first complete output wins, as one unit.

    An input's writes are saved with the run that they come with, so that it is known not to apply them again, and a
    question with the run that asks it, which has not brought the answer. Tuples are lists to every other run.
    """
    codec, memory = documents.codec, documents.memory
    data = [(channel, codec.dump(value, what=f"the write to channel {channel!r}")) for channel, value in writes]
    found = {position: paths for position, (_, value) in enumerate(writes) if (paths := tuples_in(value))}
    is_of_run = task_id == INPUT_TASK or any(channel == INTERRUPT for channel, _ in writes)
    saved = make_task_writes(data, path, run_id=run_id, is_of_run=is_of_run, tuples=found)
    put = TaskPut(task_id, place.apart_key(checkpoint_id, task_id), saved)
    pending_key = place.pending_key(checkpoint_id)
    memory.task_puts.join(pending_key, put)
    try:
        # Their own checkpoint may still be on its way.
        with memory.locks.hold(pending_key) as turn:
            yield turn.ready
        for _ in range(_TURNS_FOR_A_CHECKPOINT):
            yield Pause(0)
        with memory.locks.hold(pending_key) as turn:
            yield turn.ready
            # Whoever had the lock before may have saved these writes with its own.
            if not put.is_done:
                yield from _save_with_others(documents, pending_key, put)
    finally:
        if not put.is_done:
            memory.task_puts.withdraw(pending_key, put)


def _save_with_others(documents: Documents, pending_key: str, put: TaskPut) -> Steps[None]:
    """Save writes, and those that wait behind them; these try for themselves when this one is cut short."""
    memory = documents.memory
    memory.task_puts.withdraw(pending_key, put)
    yield from TasksSave(documents, pending_key, [put, *memory.task_puts.take(pending_key, _MOST_AT_ONCE)]).steps()


def take_waiting(documents: Documents, pending_key: str) -> TasksSave | None:
    """Return the save of the writes on a checkpoint that wait, if any do; for a caller that has their lock.

    They try for themselves when it is not carried out.
    """
    waiting = documents.memory.task_puts.take(pending_key, _MOST_AT_ONCE)
    return TasksSave(documents, pending_key, waiting) if waiting else None


@dataclass(frozen=True)
class TasksSave:
    """The writes of some tasks on one checkpoint on their way."""

    documents: Documents
    pending_key: str
    puts: Sequence[TaskPut]

    @property
    def keys(self) -> list[str]:
        """What `decide` looks at."""
        return [*dict.fromkeys(put.apart_key for put in self.puts), self.pending_key]

    def steps(self) -> Steps[None]:
        """Save them by themselves."""
        expected = self.documents.memory.unwritten.take(self.pending_key)
        yield from self.documents.store.update(self.keys, self.decide, expected=expected)
        self.end()

    def steps_with(
        self, keys: Sequence[str], decide: Callable[[Mapping[str, Document]], Sequence[Write]]
    ) -> Steps[bool]:
        """Save them in one transaction with what else is decided; tells whether it was done.

        Only for stores that write all of a transaction or nothing.

        Args:
            keys: what the other decision looks at, and nobody has read yet.
            decide: the other decision.
        """
        expected = self.documents.memory.unwritten.take(self.pending_key)
        unread = [*keys, *(self.keys if expected is None else ())]
        found = yield from self.documents.store.read(unread)
        is_done = yield from self.documents.store.write_at_once([*self.decide(found), *decide(found)])
        if is_done:
            self.end()
        return is_done

    def end(self) -> None:
        """Let those go that wait for it."""
        for each in self.puts:
            each.is_done = True

    def decide(self, found: Mapping[str, Document]) -> list[Write]:
        documents = self.documents
        old = pending = documents.pending(found.get(self.pending_key))
        together = len(found[self.pending_key].data) if self.pending_key in found else 0
        # A document apart that is not noted is what an attempt left that was cut short, or is not done yet.
        stored = {put.apart_key: documents.task_writes(found.get(put.apart_key)) for put in self.puts}
        apart = dict(stored)
        for put in self.puts:
            task_id = put.task_id
            before = pending.here.get(task_id) or apart[put.apart_key]
            merged = before.merged_with(put.writes, is_input=task_id == INPUT_TASK) if before else put.writes
            if merged == before and (task_id in pending.here or task_id in pending.apart):
                continue
            if apart[put.apart_key] is None and together + merged.size <= _MOST_TOGETHER:
                pending = pending.with_task(task_id, merged)
                together += merged.size
            else:
                apart[put.apart_key] = merged
                pending = pending.with_task_apart(task_id)
        saves = [
            Write(key, documents.dump(writes.to_document()), guard_of(found, key))
            for key, writes in apart.items()
            if writes is not None and writes != stored[key]
        ]
        # What is apart is noted when it is there.
        if pending != old:
            data = documents.dump(pending.to_document())
            saves.append(Write(self.pending_key, data, guard_of(found, self.pending_key)))
        return saves
