"""Copy a thread: every checkpoint with its values, its writes, and what its delta channels are rebuilt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dapr_bridge.saver import keys
from dapr_bridge.saver.documents import PAGE, Documents, Place, guard_of
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.records import CheckpointRecord, PendingWrites
from dapr_bridge.saver.runs import note_runs
from dapr_bridge.saver.store import Document, Write
from dapr_bridge.saver.writing import chunk_writes, namespace_writes

_VALUES_AT_ONCE = 8
"""Values may be large: few are in memory at once."""


def copy_thread(documents: Documents, source_id: str, target_id: str) -> Steps[None]:
    """Copy a thread; checkpoints that the target has beside those stay."""
    if source_id == target_id:
        return
    for namespace in (yield from documents.read_namespaces(source_id)):
        source = Place(thread_id=source_id, namespace=namespace)
        target = Place(thread_id=target_id, namespace=namespace)
        yield from _copy_namespace(documents, source, target)


def _copy_namespace(documents: Documents, source: Place, target: Place) -> Steps[None]:
    head = yield from documents.read_head(source)
    found = yield from documents.store.read([source.unlisted_key])
    unlisted = documents.unlisted(found.get(source.unlisted_key)).ids
    listed = yield from documents.read_ids_of(source, head)
    ids = [*unlisted, *reversed(listed)]
    for start in range(0, len(ids), PAGE):
        yield from _copy_checkpoints(documents, source, target, ids[start : start + PAGE])
    yield from _note_unlisted(documents, target, unlisted)
    yield from _list(documents, target, sorted(listed), head.latest)


def _copy_checkpoints(documents: Documents, source: Place, target: Place, ids: Sequence[str]) -> Steps[None]:
    records, pending = yield from documents.read_records_and_writes(source, ids)
    moves = [move for each in records for move in _moves(source, target, records[each], pending[each])]
    yield from note_runs(documents, {record.run_id for record in records.values()} - {""}, target.thread_id)
    for start in range(0, len(moves), _VALUES_AT_ONCE):
        some = dict(moves[start : start + _VALUES_AT_ONCE])
        found = yield from documents.store.read(list(some))
        yield from documents.store.write([Write(some[key], document.data) for key, document in found.items()])


def _moves(source: Place, target: Place, record: CheckpointRecord, pending: PendingWrites) -> list[tuple[str, str]]:
    """Pair the documents of one checkpoint with their copies, those that name others last."""
    checkpoint_id = record.checkpoint["id"]
    return [
        *zip(source.value_keys(record), target.value_keys(record), strict=True),
        *((source.apart_key(checkpoint_id, each), target.apart_key(checkpoint_id, each)) for each in pending.apart),
        (source.pending_key(checkpoint_id), target.pending_key(checkpoint_id)),
        (source.checkpoint_key(checkpoint_id), target.checkpoint_key(checkpoint_id)),
    ]


def _note_unlisted(documents: Documents, target: Place, ids: Sequence[str]) -> Steps[None]:
    key = target.unlisted_key

    def decide(found: Mapping[str, Document]) -> list[Write]:
        old = documents.unlisted(found.get(key))
        new = old.with_ids(ids)
        return [] if new == old else [Write(key, documents.dump(new.to_document()), guard_of(found, key))]

    if ids:
        yield from documents.store.update([key], decide)


def _list(documents: Documents, target: Place, ids: Sequence[str], latest: str) -> Steps[None]:
    """Put copied checkpoints on the target's list, as if they had been put there one after the other."""
    known = frozenset((yield from documents.read_ids(target)))

    def decide(found: Mapping[str, Document]) -> list[Write]:
        old = head = documents.head(found.get(target.head_key))
        writes = namespace_writes(documents, target, found)
        for each in ids:
            if each not in known:
                grown = head.with_checkpoint(each)
                writes += chunk_writes(documents, target, head, grown)
                head = grown
        head = replace(head, latest=max(old.latest, latest))
        return [*writes, Write(target.head_key, documents.dump(head.to_document()), guard_of(found, target.head_key))]

    if not known.issuperset(ids):
        yield from documents.store.update([target.head_key, keys.thread_key(target.thread_id)], decide)
