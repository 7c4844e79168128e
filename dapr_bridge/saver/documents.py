"""What the saver does to a thread's documents, as steps: the layout of `keys` put to work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple

from dapr_bridge.saver import keys
from dapr_bridge.saver.cache import DocumentCache, Expectations
from dapr_bridge.saver.effects import Awaited, KeyLocks, Steps
from dapr_bridge.saver.records import (
    CHUNK_IDS,
    INPUT_TASK,
    CheckpointRecord,
    Codec,
    Head,
    PendingWrites,
    TaskWrites,
    make_task_writes,
)
from dapr_bridge.saver.store import ABSENT, Document, StateStore, Write

_MOST_EXPECTATIONS = 10_000

# Each task that saves its writes rewrites those that stand with them.
_MOST_TOGETHER = 16 * 1024


@dataclass(frozen=True, kw_only=True)
class Place:
    """A namespace of a thread."""

    thread_id: str
    namespace: str

    def config(self, checkpoint_id: str) -> RunnableConfig:
        """Return the config that addresses one checkpoint here."""
        return {
            "configurable": {
                "thread_id": self.thread_id,
                "checkpoint_ns": self.namespace,
                "checkpoint_id": checkpoint_id,
            }
        }


class Memory:
    """What the steps of one saver share: locks, a cache, and expectations that spare reads.

    Attributes:
        documents: documents that never change.
        locks: by the document that is read and written under them.
        heads: reads of heads that were sent for when the last put ended, so that the next need not wait for its ETag.
        unwritten: pending writes that cannot exist, for this saver has just put their checkpoints.
    """

    def __init__(self, cache_bytes: int) -> None:
        self.documents = DocumentCache(cache_bytes)
        self.locks = KeyLocks()
        self.heads: Expectations[Awaited] = Expectations(_MOST_EXPECTATIONS)
        self.unwritten: Expectations[Mapping[str, Document]] = Expectations(_MOST_EXPECTATIONS)


class ThreadDocuments:
    """Reads and writes the documents of threads in one state store."""

    def __init__(self, store: StateStore, codec: Codec, memory: Memory) -> None:
        self._store, self._codec, self._memory = store, codec, memory
        self._cache, self._locks = memory.documents, memory.locks

    def put_checkpoint(self, place: Place, record: CheckpointRecord, values: Mapping[str, Any]) -> Steps[None]:
        """Save a checkpoint and the channel values that are new in it; the head moves last."""
        checkpoint_id = record.checkpoint["id"]
        thread, space = place.thread_id, place.namespace
        body = self._checkpoint_writes(place, record, values)
        head_key, thread_key = keys.head_key(thread, space), keys.thread_key(thread)

        def decide(found: Mapping[str, Document]) -> list[Write]:
            head = self._head(found.get(head_key))
            moved = Write(
                head_key, self._dump(head.with_checkpoint(checkpoint_id).to_document()), _guard(found, head_key)
            )
            full = [self._chunk_write(place, head)] if head.is_full and checkpoint_id not in head.ids else []
            # The list of namespaces was written before the head.
            spaces = [] if head_key in found else self._namespace_writes(place, found)
            return [*body, *full, *spaces, moved]

        with self._locks.hold(head_key) as turn:
            yield turn.ready
            sent_for = self._memory.heads.take(head_key)
            expected = (yield from self._store.finish_read(head_key, sent_for)) if sent_for else None
            yield from self._store.update([head_key, thread_key], decide, expected=expected or None)
            self._memory.heads.put(head_key, self._store.start_read(head_key))
        self._memory.unwritten.put(keys.pending_key(thread, space, checkpoint_id), {})
        for write in body:
            self._cache.put(write.key, write.data or b"")

    def put_writes(
        self, place: Place, checkpoint_id: str, task_id: str, path: str, writes: Sequence[tuple[str, Any]]
    ) -> Steps[None]:
        """Save what a task wrote; its first complete output wins, as one unit."""
        new = make_task_writes(
            [(channel, self._codec.dump(value, what=f"the write to channel {channel!r}")) for channel, value in writes],
            path,
        )
        apart_key = keys.apart_key(place.thread_id, place.namespace, checkpoint_id, task_id)
        pending_key = keys.pending_key(place.thread_id, place.namespace, checkpoint_id)

        def decide(found: Mapping[str, Document]) -> list[Write]:
            pending = self._pending(found.get(pending_key))
            # A document apart that is not noted is what an attempt left that was cut short, or is not done yet.
            old = pending.here.get(task_id) or self._task_writes(found.get(apart_key))
            merged = old.merged_with(new, is_input=task_id == INPUT_TASK) if old else new
            is_known = task_id in pending.here or task_id in pending.apart
            if merged == old and is_known:
                return []
            together = len(found[pending_key].data) if pending_key in found else 0
            if apart_key not in found and together + merged.size <= _MOST_TOGETHER:
                return [self._pending_write(pending_key, pending.with_task(task_id, merged), found)]
            saves = (
                [Write(apart_key, self._dump(merged.to_document()), _guard(found, apart_key))] if merged != old else []
            )
            if task_id not in pending.apart:
                saves.append(self._pending_write(pending_key, pending.with_task_apart(task_id), found))
            return saves

        with self._locks.hold(pending_key) as turn:
            yield turn.ready
            expected = self._memory.unwritten.take(pending_key)
            yield from self._store.update([apart_key, pending_key], decide, expected=expected)

    def latest_id(self, place: Place) -> Steps[str | None]:
        """Return the id of a namespace's latest checkpoint, or None."""
        key = keys.head_key(place.thread_id, place.namespace)
        found = yield from self._store.read([key])
        return self._head(found.get(key)).latest or None

    def checkpoints(self, place: Place, ids: Sequence[str]) -> Steps[list[CheckpointTuple]]:
        """Read checkpoints with their values and pending writes: two bulk reads for any number of them."""
        records, pending = yield from self._records(place, ids)
        value_keys = {
            (name, version): keys.value_key(place.thread_id, place.namespace, name, version)
            for record in records.values()
            for name, version in record.stored.items()
        }
        apart_keys = {
            (checkpoint_id, task_id): keys.apart_key(place.thread_id, place.namespace, checkpoint_id, task_id)
            for checkpoint_id in records
            for task_id in pending[checkpoint_id].apart
        }
        values = self._cache.get_many(value_keys.values())
        missing = [key for key in value_keys.values() if key not in values]
        found = yield from self._store.read([*missing, *apart_keys.values()])
        for key in missing:
            if key in found:
                values[key] = found[key].data
                self._cache.put(key, found[key].data)
        tasks = {each: dict(pending[each].here) for each in records}
        for (checkpoint_id, task_id), key in apart_keys.items():
            writes = self._task_writes(found.get(key))
            if writes:
                tasks[checkpoint_id][task_id] = writes
        return [self._tuple(place, records[each], values, tasks[each]) for each in ids if each in records]

    def namespaces(self, thread_id: str) -> Steps[list[str]]:
        """Return the checkpoint namespaces of a thread."""
        key = keys.thread_key(thread_id)
        found = yield from self._store.read([key])
        return self._load(found.get(key)) or []

    def id_chunks(self, place: Place) -> Steps[list[str]]:
        """Return every checkpoint id of a namespace, newest first."""
        key = keys.head_key(place.thread_id, place.namespace)
        found = yield from self._store.read([key])
        head = self._head(found.get(key))
        chunk_keys = [keys.ids_key(place.thread_id, place.namespace, number) for number in range(head.chunks)]
        chunks = yield from self._store.read(chunk_keys)
        older = [each for chunk_key in chunk_keys for each in self._load(chunks.get(chunk_key)) or []]
        return sorted({*older, *head.ids}, reverse=True)

    def delete_thread(self, thread_id: str) -> Steps[None]:
        """Delete all of a thread; a deletion that was cut short can be repeated."""
        for namespace in (yield from self.namespaces(thread_id)):
            yield from self._delete_namespace(Place(thread_id=thread_id, namespace=namespace))
        yield from self._store.delete([keys.thread_key(thread_id), keys.claim_key(thread_id)])

    def put_payload(self, name: str, value: Any) -> Steps[None]:
        """Save a value under a name, once: the same name is the same value."""
        key = keys.payload_key(name)
        data = self._codec.dump(value, what=f"the value {name!r}")
        # Most often nobody has saved it before: it is written at once, and read only when that fails.
        yield from self._store.update(
            [key], lambda found: [] if key in found else [Write(key, data, ABSENT)], expected={}
        )

    def get_payload(self, name: str) -> Steps[tuple[Any] | None]:
        """Read a value by its name: a tuple of one, or None when there is none."""
        key = keys.payload_key(name)
        found = yield from self._store.read([key])
        return (self._load(found[key]),) if key in found else None

    def _delete_namespace(self, place: Place) -> Steps[None]:
        ids = yield from self.id_chunks(place)
        for start in range(0, len(ids), CHUNK_IDS):
            some = ids[start : start + CHUNK_IDS]
            records, pending = yield from self._records(place, some)
            doomed = list(self._keys_of(place, some, records, pending))
            yield from self._store.delete(doomed)
            self._cache.discard(doomed)
        chunks = [keys.ids_key(place.thread_id, place.namespace, n) for n in range(len(ids) // CHUNK_IDS + 1)]
        yield from self._store.delete([*chunks, keys.head_key(place.thread_id, place.namespace)])

    def _keys_of(
        self,
        place: Place,
        ids: Sequence[str],
        records: Mapping[str, CheckpointRecord],
        pending: Mapping[str, PendingWrites],
    ) -> Iterator[str]:
        thread, space = place.thread_id, place.namespace
        for each in ids:
            for name, version in records[each].stored.items() if each in records else ():
                yield keys.value_key(thread, space, name, version)
            for task_id in pending[each].apart:
                yield keys.apart_key(thread, space, each, task_id)
            yield keys.pending_key(thread, space, each)
            yield keys.checkpoint_key(thread, space, each)

    def _records(
        self, place: Place, ids: Sequence[str]
    ) -> Steps[tuple[dict[str, CheckpointRecord], dict[str, PendingWrites]]]:
        """Read the records of checkpoints and the writes on each."""
        record_keys = {each: keys.checkpoint_key(place.thread_id, place.namespace, each) for each in ids}
        pending_keys = {each: keys.pending_key(place.thread_id, place.namespace, each) for each in ids}
        data = self._cache.get_many(record_keys.values())
        missing = [key for key in record_keys.values() if key not in data]
        found = yield from self._store.read([*missing, *pending_keys.values()])
        for key in missing:
            if key in found:
                data[key] = found[key].data
                self._cache.put(key, found[key].data)
        records = {
            each: CheckpointRecord.from_document(self._codec.load(data[key]))
            for each, key in record_keys.items()
            if key in data
        }
        return records, {each: self._pending(found.get(key)) for each, key in pending_keys.items()}

    def _tuple(
        self,
        place: Place,
        record: CheckpointRecord,
        values: Mapping[str, bytes],
        tasks: Mapping[str, TaskWrites],
    ) -> CheckpointTuple:
        in_order = sorted(tasks.items(), key=lambda item: (item[1].path, item[0]))
        return CheckpointTuple(
            config=place.config(record.checkpoint["id"]),
            checkpoint=self._whole(place, record, values),
            metadata=record.metadata,
            parent_config=place.config(record.parent_id) if record.parent_id else None,
            pending_writes=[
                (task_id, write.channel, self._codec.load(write.data))
                for task_id, writes in in_order
                for write in writes.in_order()
            ],
        )

    def _whole(self, place: Place, record: CheckpointRecord, values: Mapping[str, bytes]) -> Checkpoint:
        stored = {
            name: keys.value_key(place.thread_id, place.namespace, name, version)
            for name, version in record.stored.items()
        }
        return record.with_values(
            {name: self._codec.load(values[key]) for name, key in stored.items() if key in values}
        )

    def _checkpoint_writes(self, place: Place, record: CheckpointRecord, values: Mapping[str, Any]) -> list[Write]:
        thread, space = place.thread_id, place.namespace
        blobs = [
            Write(
                keys.value_key(thread, space, name, record.stored[name]),
                self._codec.dump(value, what=f"channel {name!r}"),
            )
            for name, value in values.items()
        ]
        key = keys.checkpoint_key(thread, space, record.checkpoint["id"])
        return [*blobs, Write(key, self._dump(record.to_document()))]

    def _chunk_write(self, place: Place, head: Head) -> Write:
        key = keys.ids_key(place.thread_id, place.namespace, head.chunks)
        return Write(key, self._dump(list(head.ids)))

    def _namespace_writes(self, place: Place, found: Mapping[str, Document]) -> list[Write]:
        key = keys.thread_key(place.thread_id)
        known = self._load(found.get(key)) or []
        if place.namespace in known:
            return []
        return [Write(key, self._dump([*known, place.namespace]), _guard(found, key))]

    def _head(self, document: Document | None) -> Head:
        return Head.from_document(self._codec.load(document.data)) if document else Head()

    def _task_writes(self, document: Document | None) -> TaskWrites | None:
        return TaskWrites.from_document(self._codec.load(document.data)) if document else None

    def _pending(self, document: Document | None) -> PendingWrites:
        return PendingWrites.from_document(self._codec.load(document.data)) if document else PendingWrites()

    def _pending_write(self, key: str, pending: PendingWrites, found: Mapping[str, Document]) -> Write:
        return Write(key, self._dump(pending.to_document()), _guard(found, key))

    def _load(self, document: Document | None) -> Any:
        return self._codec.load(document.data) if document else None

    def _dump(self, value: Any) -> bytes:
        return self._codec.dump(value, what="a document of the saver")


def split_checkpoint(
    checkpoint: Checkpoint, metadata: CheckpointMetadata, parent_id: str | None, changed: Mapping[str, Any]
) -> tuple[CheckpointRecord, dict[str, Any]]:
    """Part a checkpoint into its record and the values that are new in it."""
    record = CheckpointRecord.from_checkpoint(checkpoint, metadata, parent_id)
    values = {
        name: value for name, value in checkpoint["channel_values"].items() if name in changed and name in record.stored
    }
    return record, values


def _guard(found: Mapping[str, Document], key: str) -> str:
    return found[key].etag if key in found else ABSENT
