"""Keep the last checkpoints of a thread whose run has ended, and of its subgraphs what these can be gone on from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dapr_bridge.saver import keys
from dapr_bridge.saver.documents import Documents, Place, guard_of
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.heads import Head
from dapr_bridge.saver.reading import BY_HAND
from dapr_bridge.saver.records import CheckpointRecord
from dapr_bridge.saver.removal import Records, delete_namespace, read_places, sweep, unlist
from dapr_bridge.saver.runs import forget_runs
from dapr_bridge.saver.store import Document, Write

_OF_A_TASK = ":"
"""LangGraph puts it between a node and its task's id in the namespace of a subgraph that remembers nothing."""


def keep_last(documents: Documents, thread_id: str, count: int) -> Steps[None]:
    """Delete all of a thread but its last checkpoints; a thread with writes that wait to be applied stays as it is.

    Cut short anywhere, it is finished when it is done again.
    """
    root = Place(thread_id=thread_id, namespace="")
    choice = yield from _choose(documents, root, count)
    if choice is None:
        return
    places = yield from read_places(documents, thread_id)
    lasting = [place for place in places if not _is_of_a_task(place)]
    # The graph's own go first: a subgraph's stay until nobody can come upon what they stand on.
    gone = yield from unlist(documents, lasting, choice.to_go)
    yield from forget_runs(documents, gone, thread_id)
    yield from sweep(documents, lasting)
    of_tasks = [place for place in places if _is_of_a_task(place)]
    if of_tasks:
        listed = yield from documents.read_ids(root)
        yield from _drop(documents, thread_id, (yield from _left_behind(documents, of_tasks, listed)))


@dataclass(frozen=True)
class _Choice:
    """The checkpoints of the root graph that are kept, and those that are to go; newer ones are neither."""

    kept: frozenset[str]
    doomed: frozenset[str]

    def to_go(self, place: Place, records: Records, head: Head) -> Collection[str]:
        if not place.namespace:
            return self.doomed
        # A run that begins at one of the root's goes on from the subgraph's last one before that.
        before = (max((each for each in records if each < one), default="") for one in self.kept)
        return records.keys() - {head.latest, *before}


def _choose(documents: Documents, root: Place, count: int) -> Steps[_Choice | None]:
    latest, (records, pending) = yield from documents.read_latest(root)
    if latest not in records or pending[latest].here or pending[latest].apart:
        return None
    found = yield from documents.store.read([root.head_key, root.unlisted_key])
    ids = yield from documents.read_ids_of(root, documents.head(found.get(root.head_key)))
    others = [each for each in ids if each != latest]
    below = yield from _below_changes_by_hand(documents, root, records[latest])
    kept = frozenset({latest, *others[: count - 1], *below})
    doomed = frozenset(ids) - kept
    # What is off the list may not have been deleted yet.
    return _Choice(kept, doomed) if doomed or root.unlisted_key in found else None


def _below_changes_by_hand(documents: Documents, root: Place, record: CheckpointRecord) -> Steps[list[str]]:
    """Return what a person's changes stand on, up to the checkpoint by which a run is known that is delivered again."""
    below: list[str] = []
    while record.metadata.get("source") in BY_HAND and record.parent_id:
        below.append(record.parent_id)
        parent = (yield from documents.read_records(root, [record.parent_id])).get(record.parent_id)
        if parent is None:
            break
        record = parent
    return below


def _is_of_a_task(place: Place) -> bool:
    return _OF_A_TASK in place.namespace


def _left_behind(documents: Documents, places: Sequence[Place], listed: Collection[str]) -> Steps[list[Place]]:
    """Find the namespaces of tasks whose checkpoint of the root graph is listed no more."""
    found = yield from documents.store.read([place.head_key for place in places])
    latest = {place: documents.head(found.get(place.head_key)).latest for place in places}
    by_place = {place: place.checkpoint_key(each) for place, each in latest.items() if each}
    data, _ = yield from documents.read_immutable([*by_place.values()])
    records = {
        place: CheckpointRecord.from_document(documents.codec.load(data[key]))
        for place, key in by_place.items()
        if key in data
    }
    return [place for place in places if place not in records or not _stands_on(records[place], listed)]


def _stands_on(record: CheckpointRecord, listed: Collection[str]) -> bool:
    parents: Mapping[str, Any] = record.metadata.get("parents") or {}
    return "" not in parents or parents[""] in listed


def _drop(documents: Documents, thread_id: str, places: Sequence[Place]) -> Steps[None]:
    for place in places:
        yield from delete_namespace(documents, place, forgets_runs=False)
    key, dropped = keys.thread_key(thread_id), {place.namespace for place in places}

    def decide(found: Mapping[str, Document]) -> list[Write]:
        spaces = documents.load(found.get(key)) or []
        left = [each for each in spaces if each not in dropped]
        return [] if left == spaces else [Write(key, documents.dump(left), guard_of(found, key))]

    if dropped:
        yield from documents.store.update([key], decide)
