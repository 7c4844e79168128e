"""Save checkpoints, behind a fence where one is wanted, and values by name."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

from dapr_bridge._names import BRIDGE_METADATA, CALL_METADATA, RUN_METADATA
from dapr_bridge.errors import CheckpointNotFoundError, StaleWriterError
from dapr_bridge.saver import keys, tasks
from dapr_bridge.saver.documents import Documents, Place, guard_of
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.heads import Head
from dapr_bridge.saver.records import CheckpointRecord
from dapr_bridge.saver.runs import run_writes
from dapr_bridge.saver.store import ABSENT, Document, Write

# A worker that was stopped for so long (SIGSTOP) may have been taken for dead.
_LONG_FOR_A_PUT = 0.5


def put_checkpoint(
    documents: Documents, place: Place, record: CheckpointRecord, values: Mapping[str, Any], *, is_fenced: bool
) -> Steps[None]:
    """Save a checkpoint and the channel values that are new in it; the head moves last.

    Raises:
        StaleWriterError: `is_fenced`, and the head is neither the checkpoint's parent nor beyond this very checkpoint,
            or it is beyond that, and the answer came late: the next superstep may be saved by another worker.
        CheckpointNotFoundError: it shares values with its parent, which was deleted.
    """
    sent_at = time.monotonic()
    shared = frozenset(item for item in record.stored.items() if item[0] not in values)
    put = _Put(documents, place, record, _body(documents, place, record, values), is_fenced, shared)
    memory, own_key = documents.memory, place.pending_key(record.checkpoint["id"])
    # LangGraph sends the writes of a run's input and the checkpoint that they are on at the same time.
    with memory.locks.hold(own_key) as turn:
        yield turn.ready
        yield from _put_after_parent(put)
        memory.latest.put(place.head_key, record.checkpoint["id"])
        memory.unwritten.put(own_key, {})
    for write in put.body:
        memory.documents.put(write.key, write.data or b"")
    if is_fenced and time.monotonic() - sent_at >= _LONG_FOR_A_PUT:
        yield from _check_latest(documents, place, record)


def _put_after_parent(put: _Put) -> Steps[None]:
    try:
        yield from _put(put)
    except CheckpointNotFoundError:
        head = yield from put.documents.read_head(put.place)
        listed = yield from put.documents.read_ids_of(put.place, head)
        # Put long ago, and its id is in a chunk by now; or it is gone, and this is a copy of one that is there.
        if put.record.parent_id not in listed and not (yield from _has_values(put, listed)):
            raise
        yield from _put(replace(put, known=frozenset([put.record.parent_id])))


def _has_values(put: _Put, listed: Sequence[str]) -> Steps[bool]:
    """Tell whether listed checkpoints have all values that one shares."""
    records = yield from put.documents.read_records(put.place, listed)
    return put.shared <= {item for record in records.values() for item in record.stored.items()}


def _put(put: _Put) -> Steps[None]:
    # LangGraph sends a superstep's last writes and its checkpoint at the same time. Together, or with the writes first,
    # no death in between costs a node, or leaves a superstep in the history that does not say what its tasks wrote.
    documents = put.documents
    with documents.memory.locks.hold(put.parent_key) as turn:
        yield turn.ready
        while writes := tasks.take_waiting(documents, put.parent_key):
            # More than one request may carry are saved before.
            is_last = not documents.memory.task_puts.has(put.parent_key)
            is_whole = is_last and (yield from documents.store.has_whole_transactions())
            if is_whole and (yield from _put_with(put, writes)):
                return
            yield from writes.steps()
    yield from _put_alone(put)


def _put_with(put: _Put, writes: tasks.TasksSave) -> Steps[bool]:
    documents, head_key = put.documents, put.place.head_key
    with documents.memory.locks.hold(head_key) as turn:
        yield turn.ready
        expected = yield from _known_head(put)
        try:
            is_done = yield from writes.steps_with(
                () if expected is not None else put.keys, lambda found: put.decide({**found, **(expected or {})})
            )
        except (StaleWriterError, CheckpointNotFoundError):
            # Which it may be alone, too.
            return False
        documents.memory.heads.put(head_key, documents.store.start_read(head_key))
        return is_done


def _put_alone(put: _Put) -> Steps[None]:
    documents, place = put.documents, put.place
    with documents.memory.locks.hold(place.head_key) as turn:
        yield turn.ready
        expected = yield from _known_head(put)
        try:
            yield from documents.store.update(put.keys, put.decide, expected=expected, at_once=True)
        except StaleWriterError:
            # Put long ago, and its id is in a chunk by now.
            if put.record.checkpoint["id"] not in (yield from documents.read_ids(place)):
                raise
        documents.memory.heads.put(place.head_key, documents.store.start_read(place.head_key))


def _check_latest(documents: Documents, place: Place, record: CheckpointRecord) -> Steps[None]:
    latest = (yield from documents.read_head(place)).latest
    if latest != record.checkpoint["id"]:
        raise StaleWriterError(
            thread_id=place.thread_id, namespace=place.namespace, parent=record.parent_id, latest=latest
        )


def _known_head(put: _Put) -> Steps[Mapping[str, Document] | None]:
    """Return the head that is known, if it is of use: it lets a put pass, and never refuses one.

    It may be out of date.
    """
    documents, key = put.documents, put.place.head_key
    ahead = documents.memory.heads.take(key)
    if ahead is None:
        return None
    expected = yield from documents.store.finish_read(key, ahead)
    head = documents.head(expected.get(key))
    return None if put.is_stale(head) or put.is_orphan(head) else expected


def put_payload(documents: Documents, name: str, value: Any) -> Steps[None]:
    """Save a value under a name, once: the same name is the same value."""
    key = keys.payload_key(name)
    data = documents.codec.dump(value, what=f"the value {name!r}")
    # Most often nobody has saved it before: it is written at once, and read only when that fails.
    yield from documents.store.update(
        [key], lambda found: [] if key in found else [Write(key, data, ABSENT)], expected={}
    )


def split_checkpoint(
    checkpoint: Checkpoint, metadata: CheckpointMetadata, parent_id: str | None, changed: Mapping[str, Any]
) -> tuple[CheckpointRecord, dict[str, Any]]:
    """Part a checkpoint into its record and the values that are new in it."""
    shown: Any = {name: each for name, each in metadata.items() if name not in BRIDGE_METADATA}
    driven_by, made_in = (str(metadata.get(name) or "") for name in (RUN_METADATA, CALL_METADATA))
    record = CheckpointRecord.from_checkpoint(checkpoint, shown, parent_id, driven_by=driven_by, made_in=made_in)
    # What has no parent shares no values, whatever is said to have changed.
    values = {
        name: value
        for name, value in checkpoint["channel_values"].items()
        if (name in changed or parent_id is None) and name in record.stored
    }
    return record, values


def namespace_writes(documents: Documents, place: Place, found: Mapping[str, Document]) -> list[Write]:
    """Return the write that lists a namespace with its thread, if it is not yet listed."""
    key = keys.thread_key(place.thread_id)
    known = documents.load(found.get(key)) or []
    if place.namespace in known:
        return []
    return [Write(key, documents.dump([*known, place.namespace]), guard_of(found, key))]


def chunk_writes(documents: Documents, place: Place, old: Head, new: Head) -> list[Write]:
    """Return the write of the chunk of ids that a head has filled, if it has."""
    if new.chunks == old.chunks:
        return []
    (key,) = place.ids_keys([old.chunks])
    return [Write(key, documents.dump(list(old.ids)))]


@dataclass(frozen=True)
class _Put:
    """One checkpoint on its way."""

    documents: Documents
    place: Place
    record: CheckpointRecord
    body: Sequence[Write]
    is_fenced: bool
    shared: frozenset[tuple[str, str]]
    known: frozenset[str | None] = frozenset()

    @property
    def parent_key(self) -> str:
        """Key of the writes on the checkpoint that this one follows; one that is put over itself follows none."""
        parent_id = self.record.parent_id
        return self.place.pending_key(parent_id if parent_id and parent_id != self.record.checkpoint["id"] else "")

    @property
    def keys(self) -> list[str]:
        """What `decide` looks at."""
        run_keys = [keys.run_key(self.record.run_id)] if self.record.run_id else []
        return [self.place.head_key, keys.thread_key(self.place.thread_id), *run_keys]

    def decide(self, found: Mapping[str, Document]) -> list[Write]:
        place, documents = self.place, self.documents
        old = documents.head(found.get(place.head_key))
        if self.is_stale(old):
            raise StaleWriterError(
                thread_id=place.thread_id, namespace=place.namespace, parent=self.record.parent_id, latest=old.latest
            )
        if self.is_orphan(old):
            raise CheckpointNotFoundError(
                f"checkpoint {self.record.parent_id!r} of thread {place.thread_id!r}, namespace {place.namespace!r}, "
                "whose values the one to be saved shares, was deleted: begin at one that is listed"
            )
        new = old.with_checkpoint(self.record.checkpoint["id"], follows_latest=self.is_fenced)
        runs: list[Write] = []
        if self.record.run_id and old.run != self.record.run_id:
            runs = run_writes(documents, [self.record.run_id], place.thread_id, found)
            new = new.with_run(self.record.run_id)
        # The list of namespaces was written before the head.
        spaces = [] if place.head_key in found else namespace_writes(documents, place, found)
        chunks = chunk_writes(documents, place, old, new)
        moved = Write(place.head_key, documents.dump(new.to_document()), guard_of(found, place.head_key))
        return [*runs, *self.body, *chunks, *spaces, moved]

    def is_orphan(self, head: Head) -> bool:
        """Whether the checkpoint shares values with a parent that is not listed; a fence has looked by itself."""
        parent_id = self.record.parent_id
        if self.is_fenced or not self.shared or parent_id in (None, self.record.checkpoint["id"], head.latest):
            return False
        return parent_id not in self.known.union(head.ids)

    def is_stale(self, head: Head) -> bool:
        is_repeat = self.record.checkpoint["id"] in head.ids
        return self.is_fenced and not is_repeat and head.latest != (self.record.parent_id or "")


def _body(documents: Documents, place: Place, record: CheckpointRecord, values: Mapping[str, Any]) -> list[Write]:
    blobs = [
        Write(place.value_key(name, record.stored[name]), documents.codec.dump(value, what=f"channel {name!r}"))
        for name, value in values.items()
    ]
    key = place.checkpoint_key(record.checkpoint["id"])
    return [*blobs, Write(key, documents.dump(record.to_document()))]
