"""Delete threads, runs and old checkpoints.

Checkpoints are taken off the list first and deleted then, so that nothing listed lacks its documents. What is on its
way out is noted, so that a removal that was cut short is finished by any later one of the same thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Literal

from dapr_bridge.saver import keys
from dapr_bridge.saver.documents import PAGE, Documents, Place, guard_of
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.heads import Head, Unlisted
from dapr_bridge.saver.records import CheckpointRecord
from dapr_bridge.saver.runs import forget_runs, read_threads
from dapr_bridge.saver.store import Document, Write

Strategy = Literal["keep_latest", "delete"]

Records = Mapping[str, CheckpointRecord]

Choose = Callable[[Place, Records, Head], Collection[str]]
"""Picks, of the checkpoints that the head of a place lists, those that are to go."""


def delete_thread(documents: Documents, thread_id: str) -> Steps[None]:
    """Delete all of a thread."""
    for place in (yield from read_places(documents, thread_id)):
        yield from delete_namespace(documents, place)
    yield from documents.store.delete([keys.thread_key(thread_id), keys.claim_key(thread_id)])


def delete_for_runs(documents: Documents, run_ids: Sequence[str]) -> Steps[None]:
    """Delete the checkpoints that runs have made, wherever; what other checkpoints are rebuilt from stays, unlisted."""

    def of_these_runs(_: Place, records: Records, __: Head) -> list[str]:
        return [each for each, record in records.items() if record.run_id in run_ids]

    for thread_id in (yield from read_threads(documents, run_ids)):
        places = yield from read_places(documents, thread_id)
        yield from unlist(documents, places, of_these_runs)
        yield from sweep(documents, places)
        # Last: by this the thread is found again when the removal is cut short.
        yield from forget_runs(documents, run_ids, thread_id)


def prune(documents: Documents, thread_ids: Iterable[str], strategy: str) -> Steps[None]:
    """Delete threads, or all of each namespace but the latest checkpoint and what that is rebuilt from."""
    if strategy not in ("keep_latest", "delete"):
        raise ValueError(f"strategy {strategy!r} is unknown; there are 'keep_latest' and 'delete'")
    for thread_id in thread_ids:
        if strategy == "delete":
            yield from delete_thread(documents, thread_id)
            continue
        places = yield from read_places(documents, thread_id)
        gone = yield from unlist(documents, places, _all_but_the_latest)
        # Before their checkpoints are deleted, for these tell whose they are.
        yield from forget_runs(documents, gone, thread_id)
        yield from sweep(documents, places)


def read_places(documents: Documents, thread_id: str) -> Steps[list[Place]]:
    """Return the namespaces of a thread."""
    spaces = yield from documents.read_namespaces(thread_id)
    return [Place(thread_id=thread_id, namespace=space) for space in spaces]


def _all_but_the_latest(_: Place, records: Records, head: Head) -> list[str]:
    return [each for each in records if each != head.latest]


def unlist(documents: Documents, places: Iterable[Place], choose: Choose) -> Steps[frozenset[str]]:
    """Take checkpoints off the lists of a thread's places; returns the runs that have none listed there any more."""
    gone: set[str] = set()
    kept: set[str] = set()
    for place in places:
        with documents.memory.locks.hold(place.head_key) as turn:
            yield turn.ready
            listed, off = yield from _choose_and_unlist(documents, place, choose)
        kept.update(record.run_id for record in listed)
        gone.update(record.run_id for record in off)
    return frozenset(gone - kept - {""})


def _choose_and_unlist(
    documents: Documents, place: Place, choose: Choose
) -> Steps[tuple[list[CheckpointRecord], list[CheckpointRecord]]]:
    """Take checkpoints off a list; returns those that remain listed, and those that do not."""
    head = yield from documents.read_head(place)
    ids = yield from documents.read_ids_of(place, head)
    records = yield from documents.read_records(place, ids)
    # An id without a checkpoint is what two removals at once have left.
    doomed = {*choose(place, records, head), *(each for each in ids if each not in records)}
    listed = yield from _take_off(documents, place, doomed)
    found = yield from documents.store.read([place.unlisted_key])
    off = documents.unlisted(found.get(place.unlisted_key)).ids
    records |= yield from documents.read_records(place, [each for each in (*listed, *off) if each not in records])
    return [records[each] for each in listed if each in records], [records[each] for each in off if each in records]


def _take_off(documents: Documents, place: Place, doomed: Collection[str]) -> Steps[list[str]]:
    """Take checkpoints off the list; returns the ids that remain listed."""
    while True:
        head = yield from documents.read_head(place)
        listed = yield from documents.read_ids_of(place, head)
        if not any(each in doomed for each in listed):
            return listed
        # A put may move ids to a chunk that is not looked at here; then there is another round.
        numbers = range(head.first, head.chunks)
        by_number = dict(zip(numbers, place.ids_keys(numbers), strict=True))
        unlisting = _Unlisting(documents, place, doomed, by_number)
        yield from documents.store.update([place.head_key, place.unlisted_key, *by_number.values()], unlisting.decide)


@dataclass(frozen=True)
class _Unlisting:
    """Some checkpoints on their way off the list."""

    documents: Documents
    place: Place
    doomed: Collection[str]
    chunk_keys: Mapping[int, str]

    def decide(self, found: Mapping[str, Document]) -> list[Write]:
        place, dump = self.place, self.documents.dump
        head_key, unlisted_key = place.head_key, place.unlisted_key
        if head_key not in found:
            return []
        head = self.documents.head(found[head_key])
        old = {number: self.documents.load(found.get(key)) or [] for number, key in self.chunk_keys.items()}
        new = {number: [each for each in ids if each not in self.doomed] for number, ids in old.items()}
        filled = next(dropwhile(lambda number: not new[number], new), max(new, default=-1) + 1)
        first = max(head.first, filled)
        others = [each for ids in new.values() for each in ids]
        unlisted = self.documents.unlisted(found.get(unlisted_key)).with_ids(self.doomed)
        chunks = [
            Write(key, dump(new[number]), guard_of(found, key))
            for number, key in self.chunk_keys.items()
            if number >= first and new[number] != old[number]
        ]
        moved = head.without(self.doomed, others=others, first=first)
        # What is doomed is noted before it is off the list, and off the list when the head is written, last.
        noted = Write(unlisted_key, dump(unlisted.to_document()), guard_of(found, unlisted_key))
        return [noted, *chunks, Write(head_key, dump(moved.to_document()), guard_of(found, head_key))]


def sweep(documents: Documents, places: Iterable[Place]) -> Steps[None]:
    """Delete what is off the lists of places and of no use to what is on them."""
    for place in places:
        with documents.memory.locks.hold(place.head_key) as turn:
            yield turn.ready
            yield from _sweep_place(documents, place)


def _sweep_place(documents: Documents, place: Place) -> Steps[None]:
    """Delete what is off the list and of no use to what is on it."""
    head = yield from documents.read_head(place)
    kept = yield from documents.read_records(place, (yield from documents.read_ids_of(place, head)))
    found = yield from documents.store.read([place.unlisted_key])
    unlisted = documents.unlisted(found.get(place.unlisted_key))
    off = [each for each in unlisted.ids if each not in kept]
    records = yield from documents.read_records(place, off)
    needed = _needed(place, {**records, **kept}, kept)
    in_use = {*needed.values, *(key for record in kept.values() for key in place.value_keys(record))}
    for start in range(0, len(off), PAGE):
        some = off[start : start + PAGE]
        yield from _delete_checkpoints(documents, place, some, records, spared_ids=needed.ids, spared_values=in_use)
    yield from documents.store.delete(place.ids_keys(range(unlisted.cleared, head.first)))
    done = frozenset(unlisted.ids) - needed.ids

    def decide(found: Mapping[str, Document]) -> list[Write]:
        key = place.unlisted_key
        old = documents.unlisted(found.get(key))
        new = Unlisted(ids=tuple(each for each in old.ids if each not in done), cleared=max(old.cleared, head.first))
        return [] if new == old else [Write(key, documents.dump(new.to_document()), guard_of(found, key))]

    yield from documents.store.update([place.unlisted_key], decide)


@dataclass(frozen=True, kw_only=True)
class _Needed:
    """Checkpoints that are not listed and yet needed, and the values of theirs that are."""

    ids: frozenset[str]
    values: frozenset[str]


def _needed(place: Place, records: Records, kept: Records) -> _Needed:
    """Find what the delta channels of the kept checkpoints are rebuilt from: ancestors up to one with a value."""
    ids: set[str] = set()
    values: set[str] = set()
    for record in kept.values():
        missing, ancestor = set(record.deltas), records.get(record.parent_id or "")
        while missing and ancestor is not None:
            ids.add(ancestor.checkpoint["id"])
            stored = missing & set(ancestor.stored)
            values.update(place.value_key(channel, ancestor.stored[channel]) for channel in stored)
            missing -= stored
            ancestor = records.get(ancestor.parent_id or "")
    return _Needed(ids=frozenset(ids) - frozenset(kept), values=frozenset(values))


def delete_namespace(documents: Documents, place: Place, *, forgets_runs: bool = True) -> Steps[None]:
    """Delete all of a namespace, its head last.

    Args:
        documents: the documents of threads.
        place: the namespace.
        forgets_runs: whether its runs have no checkpoints elsewhere in the thread.
    """
    head = yield from documents.read_head(place)
    found = yield from documents.store.read([place.unlisted_key])
    unlisted = documents.unlisted(found.get(place.unlisted_key))
    ids = [*(yield from documents.read_ids_of(place, head)), *unlisted.ids]
    for start in range(0, len(ids), PAGE):
        some = ids[start : start + PAGE]
        records = yield from documents.read_records(place, some)
        if forgets_runs:
            yield from forget_runs(documents, {record.run_id for record in records.values()} - {""}, place.thread_id)
        yield from _delete_checkpoints(documents, place, some, records)
    # One more chunk than the head knows: a put that was cut short may have written it.
    chunks = place.ids_keys(range(unlisted.cleared, head.chunks + 1))
    yield from documents.store.delete([*chunks, place.unlisted_key, place.head_key])


def _delete_checkpoints(
    documents: Documents,
    place: Place,
    ids: Sequence[str],
    records: Records,
    *,
    spared_ids: Collection[str] = (),
    spared_values: Collection[str] = (),
) -> Steps[None]:
    """Delete checkpoints with their values and writes, each checkpoint's own document last, for it names the others."""
    _, pending = yield from documents.read_records_and_writes(place, [each for each in ids if each not in spared_ids])
    doomed: list[str] = []
    for each in ids:
        values = place.value_keys(records[each]) if each in records else []
        doomed += [key for key in values if key not in spared_values]
        if each not in spared_ids:
            doomed += [place.apart_key(each, task_id) for task_id in pending[each].apart]
            doomed += [place.pending_key(each), place.checkpoint_key(each)]
    yield from documents.store.delete(doomed)
    documents.memory.documents.discard(doomed)
