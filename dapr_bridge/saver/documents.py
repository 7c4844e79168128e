"""A thread's documents, read and decoded: what all that the saver does to threads stands on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig

from dapr_bridge.saver import keys
from dapr_bridge.saver.cache import Decoded, DocumentCache, Expectations
from dapr_bridge.saver.effects import KeyLocks, Queues, SharedSteps, Steps
from dapr_bridge.saver.heads import CHUNK_IDS, Head, Unlisted
from dapr_bridge.saver.records import CheckpointRecord, Codec, PendingWrites, TaskWrites
from dapr_bridge.saver.store import ABSENT, Document, ReadAhead, StateStore

_MOST_EXPECTATIONS, _MOST_DECODED = 10_000, 4

PAGE = CHUNK_IDS
"""How many checkpoints one bulk read asks for."""


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

    @property
    def head_key(self) -> str:
        """Key of the head."""
        return keys.head_key(self.thread_id, self.namespace)

    @property
    def unlisted_key(self) -> str:
        """Key of what is listed no more."""
        return keys.unlisted_key(self.thread_id, self.namespace)

    def ids_keys(self, numbers: Iterable[int]) -> list[str]:
        """Keys of chunks of ids."""
        return [keys.ids_key(self.thread_id, self.namespace, number) for number in numbers]

    def checkpoint_key(self, checkpoint_id: str) -> str:
        """Key of a checkpoint."""
        return keys.checkpoint_key(self.thread_id, self.namespace, checkpoint_id)

    def value_key(self, channel: str, version: str) -> str:
        """Key of a channel's value."""
        return keys.value_key(self.thread_id, self.namespace, channel, version)

    def value_keys(self, record: CheckpointRecord) -> list[str]:
        """Keys of all channel values of a checkpoint."""
        return [self.value_key(channel, version) for channel, version in record.stored.items()]

    def pending_key(self, checkpoint_id: str) -> str:
        """Key of the writes on a checkpoint."""
        return keys.pending_key(self.thread_id, self.namespace, checkpoint_id)

    def apart_key(self, checkpoint_id: str, task_id: str) -> str:
        """Key of a task's writes that have a document of their own."""
        return keys.apart_key(self.thread_id, self.namespace, checkpoint_id, task_id)


Bare = tuple[dict[str, CheckpointRecord], dict[str, PendingWrites]]
"""Checkpoints without their values, and the writes on each, by id."""


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """What is looked at of a checkpoint.

    Attributes:
        hides: tells of a task whose writes are not.
        without: the channels whose values are not.
        tuples_of: the run in whose writes tuples are not lists, as LangGraph's own savers have them.
    """

    hides: Callable[[str], bool] = lambda _: False
    without: Collection[str] = ()
    tuples_of: str | None = None


ALL = Glimpse()


@dataclass(eq=False)
class TaskPut:
    """The writes of a task that are to be saved."""

    task_id: str
    apart_key: str
    writes: TaskWrites
    is_done: bool = False


class Memory:
    """What the steps of one saver share: locks, a cache, and expectations that spare reads.

    Attributes:
        documents: documents that never change.
        locks: by the document that is read and written under them.
        heads: heads as they were last read, or sent for when the last put ended, so that the next need not wait for
            their ETags.
        latest: ids of the latest checkpoints as they were last seen, so that they are read in one go with their heads.
        driven: the steps and ids of the checkpoints from which LangGraph goes on in runs that are driven here.
        task_puts: writes of tasks that wait to be saved, by the checkpoint that they are on.
        reads: reads of documents, shared by those who ask for the same ones at once.
        unwritten: pending writes that cannot exist, for this saver has just put their checkpoints.
        pending: what the last pending writes say that were read.
    """

    def __init__(self, cache_bytes: int) -> None:
        self.documents = DocumentCache(cache_bytes)
        self.locks = KeyLocks()
        self.reads: SharedSteps[dict[str, Document]] = SharedSteps()
        self.task_puts: Queues[TaskPut] = Queues()
        self.heads: Expectations[ReadAhead] = Expectations(_MOST_EXPECTATIONS)
        self.latest: Expectations[str] = Expectations(_MOST_EXPECTATIONS)
        self.driven: Expectations[tuple[int, str]] = Expectations(_MOST_EXPECTATIONS)
        self.unwritten: Expectations[Mapping[str, Document]] = Expectations(_MOST_EXPECTATIONS)
        self.pending = Decoded(_MOST_DECODED)


@dataclass(frozen=True)
class Documents:
    """The documents of threads in one state store.

    Attributes:
        store: where they are.
        codec: how they become bytes.
        memory: what is shared with the other steps of the saver.
    """

    store: StateStore
    codec: Codec
    memory: Memory

    def load(self, document: Document | None) -> Any:
        """Decode a document; None when there is none."""
        return self.codec.load(document.data) if document else None

    def dump(self, value: Any) -> bytes:
        """Encode a document of the saver's own."""
        return self.codec.dump(value, what="a document of the saver")

    def head(self, document: Document | None) -> Head:
        """Decode a head."""
        return Head.from_document(self.load(document)) if document else Head()

    def unlisted(self, document: Document | None) -> Unlisted:
        """Decode what is listed no more."""
        return Unlisted.from_document(self.load(document)) if document else Unlisted()

    def pending(self, document: Document | None, glimpse: Glimpse = ALL) -> PendingWrites:
        """Decode the writes on a checkpoint."""
        if document is None:
            return PendingWrites()
        # The tasks of a fan-out read them all at once.
        said = self.memory.pending.of(document.data, self.codec.load)
        return PendingWrites.from_document(said, hides=glimpse.hides)

    def task_writes(self, document: Document | None) -> TaskWrites | None:
        """Decode the writes of one task."""
        return TaskWrites.from_document(self.load(document)) if document else None

    def read_namespaces(self, thread_id: str) -> Steps[list[str]]:
        """Return the checkpoint namespaces of a thread."""
        key = keys.thread_key(thread_id)
        found = yield from self.store.read([key])
        return self.load(found.get(key)) or []

    def read_head(self, place: Place) -> Steps[Head]:
        """Return where a namespace stands."""
        found = yield from self.store.read([place.head_key])
        return self.head(found.get(place.head_key))

    def read_ids(self, place: Place) -> Steps[list[str]]:
        """Return the id of every listed checkpoint, newest first."""
        return (yield from self.read_ids_of(place, (yield from self.read_head(place))))

    def read_ids_of(self, place: Place, head: Head) -> Steps[list[str]]:
        """Return the id of every checkpoint that a head lists, newest first."""
        chunk_keys = place.ids_keys(range(head.first, head.chunks))
        chunks = yield from self.store.read(chunk_keys)
        older = [each for key in chunk_keys for each in self.load(chunks.get(key)) or []]
        return sorted({*older, *head.ids}, reverse=True)

    def read_immutable(
        self, wanted: Sequence[str], *others: str
    ) -> Steps[tuple[dict[str, bytes], dict[str, Document]]]:
        """Read documents that never change, from the cache where they are, and others, at most one bulk read.

        Returns:
            What was found of each kind.
        """
        data = self.memory.documents.get_many(wanted)
        missing = [key for key in dict.fromkeys(wanted) if key not in data]
        asked = list(dict.fromkeys([*missing, *others]))
        found = yield from self.memory.reads.take("\n".join(asked), lambda: self.store.read(asked))
        for key in missing:
            if key in found:
                data[key] = found[key].data
                self.memory.documents.put(key, found[key].data)
        return data, {key: found[key] for key in others if key in found}

    def read_records(self, place: Place, ids: Sequence[str]) -> Steps[dict[str, CheckpointRecord]]:
        """Read checkpoints without their values and writes, a page at a time."""
        records: dict[str, CheckpointRecord] = {}
        for start in range(0, len(ids), PAGE):
            by_id = {each: place.checkpoint_key(each) for each in ids[start : start + PAGE]}
            data, _ = yield from self.read_immutable([*by_id.values()])
            records.update(self._records(by_id, data))
        return records

    def read_records_and_writes(self, place: Place, ids: Sequence[str], glimpse: Glimpse = ALL) -> Steps[Bare]:
        """Read checkpoints without their values, and the writes on each, in one bulk read."""
        return (yield from self._read_bare(place, ids, glimpse))[0]

    def read_addressed(self, place: Place, checkpoint_id: str, glimpse: Glimpse = ALL) -> Steps[Bare]:
        """Read one checkpoint as `read_records_and_writes` does, unless another process has deleted it."""
        key = place.checkpoint_key(checkpoint_id)
        bare, found = yield from self._read_bare(place, [checkpoint_id], glimpse, key)
        return bare if key in found else ({}, bare[1])

    def read_latest(self, place: Place, glimpse: Glimpse = ALL) -> Steps[tuple[str, Bare]]:
        """Read the latest checkpoint as `read_records_and_writes` does: at once, if it is the one last seen."""
        seen = self.memory.latest.look(place.head_key)
        bare, found = yield from self._read_bare(place, [seen] if seen else [], glimpse, place.head_key)
        self._note_head(place, found)
        latest = self.head(found.get(place.head_key)).latest
        if latest != (seen or ""):
            self.memory.latest.put(place.head_key, latest)
            bare = yield from self.read_records_and_writes(place, [latest] if latest else [], glimpse)
        return latest, bare

    def _note_head(self, place: Place, found: Mapping[str, Document]) -> None:
        # A subgraph's first checkpoint is listed with its thread's other namespaces, which have to be read.
        if place.head_key in found or not place.namespace:
            head = {key: document for key, document in found.items() if key == place.head_key}
            self.memory.heads.put(place.head_key, ReadAhead(found=head))

    def _read_bare(
        self, place: Place, ids: Sequence[str], glimpse: Glimpse, *others: str
    ) -> Steps[tuple[Bare, dict[str, Document]]]:
        by_id = {each: place.checkpoint_key(each) for each in ids}
        pending_keys = {each: place.pending_key(each) for each in ids}
        data, found = yield from self.read_immutable([*by_id.values()], *pending_keys.values(), *others)
        pending = {each: self.pending(found.get(key), glimpse) for each, key in pending_keys.items()}
        return (self._records(by_id, data), pending), found

    def _records(self, by_id: Mapping[str, str], data: Mapping[str, bytes]) -> dict[str, CheckpointRecord]:
        return {
            each: CheckpointRecord.from_document(self.codec.load(data[key]))
            for each, key in by_id.items()
            if key in data
        }


def guard_of(found: Mapping[str, Document], key: str) -> str:
    """Return the guard of a write that follows a read."""
    return found[key].etag if key in found else ABSENT
