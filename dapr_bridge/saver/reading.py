"""Read checkpoints as LangGraph wants them, and values by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from langgraph.checkpoint.base import CheckpointTuple

from dapr_bridge.errors import StateStoreError
from dapr_bridge.saver import keys
from dapr_bridge.saver.documents import ALL, Bare, Documents, Glimpse, Place
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.records import INPUT_TASK, CheckpointRecord, SavedWrite, TaskWrites

Load = Callable[[bytes, str], Any]
"""Deserializes a value, which the text names in an error."""

BY_HAND = frozenset({"update", "fork"})
"""Sources of checkpoints that a person has put, with `update_state`."""


def read_checkpoint(
    documents: Documents, place: Place, checkpoint_id: str | None, glimpse: Glimpse = ALL
) -> Steps[CheckpointTuple | None]:
    """Read one checkpoint; the latest when no id is given.

    Raises:
        StateStoreError: the latest one lacks values.
    """
    if checkpoint_id:
        bare = yield from documents.read_addressed(place, checkpoint_id, glimpse)
        found = yield from _tuples(documents, place, [checkpoint_id], bare, glimpse)
        return found[0] if found else None
    latest, bare = yield from documents.read_latest(place, glimpse)
    found = yield from _tuples(documents, place, [latest], bare, glimpse)
    if not found and latest in bare[0]:
        where = f"checkpoint {latest!r} of thread {place.thread_id!r}, namespace {place.namespace!r}"
        raise StateStoreError(f"{where}, lacks values: it is being deleted, or they were lost; read it again")
    return found[0] if found else None


def read_latest_without_values(documents: Documents, place: Place) -> Steps[CheckpointTuple | None]:
    """Read the latest checkpoint and who has written what on it, however large the values are, and of whatever types.

    The values of its channels are left out, and each write has None for its own.
    """
    latest, (records, pending) = yield from documents.read_latest(place)
    bare = {each: record.without(record.stored) for each, record in records.items()}
    found = yield from _tuples(documents, place, [latest], (bare, pending), ALL, load=_leave_out)
    return found[0] if found else None


def read_checkpoints(documents: Documents, place: Place, ids: Sequence[str]) -> Steps[list[CheckpointTuple]]:
    """Read checkpoints with their values and pending writes: two bulk reads for any number of them."""
    bare = yield from documents.read_records_and_writes(place, ids)
    return (yield from _tuples(documents, place, ids, bare, ALL))


def _leave_out(data: bytes, what: str) -> None: ...


def _tuples(
    documents: Documents,
    place: Place,
    ids: Sequence[str],
    bare: Bare,
    glimpse: Glimpse,
    *,
    load: Load | None = None,
) -> Steps[list[CheckpointTuple]]:
    all_of, pending = bare
    records = {each: record.without(glimpse.without) for each, record in all_of.items()}
    value_keys = [key for record in records.values() for key in place.value_keys(record)]
    apart_keys = {(each, task): place.apart_key(each, task) for each in records for task in pending[each].apart}
    values, found = yield from documents.read_immutable(value_keys, *apart_keys.values())
    tasks = {each: dict(pending[each].here) for each in records}
    for (checkpoint_id, task_id), key in apart_keys.items():
        writes = documents.task_writes(found.get(key))
        if writes:
            tasks[checkpoint_id][task_id] = writes
    # Values are deleted before the checkpoint that names them.
    whole = [each for each in ids if each in records and values.keys() >= {*place.value_keys(records[each])}]
    make = partial(_tuple, place=place, values=values, load=load or documents.codec.load, run_id=glimpse.tuples_of)
    return [make(records[each], tasks[each]) for each in whole]


def has_input_of(documents: Documents, place: Place, checkpoint_id: str, run_id: str) -> Steps[bool]:
    """Tell whether the input of a run stands among the writes on a checkpoint."""
    pending_key, apart_key = place.pending_key(checkpoint_id), place.apart_key(checkpoint_id, INPUT_TASK)
    found = yield from documents.store.read([pending_key, apart_key])
    pending = documents.pending(found.get(pending_key))
    writes = pending.here.get(INPUT_TASK) or documents.task_writes(found.get(apart_key))
    return writes is not None and run_id in writes.runs


def asked_by(documents: Documents, place: Place, checkpoint_id: str, run_id: str) -> Steps[frozenset[str]]:
    """Return the tasks on a checkpoint whose last questions a run has asked."""
    pending_key = place.pending_key(checkpoint_id)
    pending = documents.pending((yield from documents.store.read([pending_key])).get(pending_key))
    apart_keys = {task_id: place.apart_key(checkpoint_id, task_id) for task_id in pending.apart}
    found = yield from documents.store.read([*apart_keys.values()])
    apart = {task_id: documents.task_writes(found.get(key)) for task_id, key in apart_keys.items()}
    tasks = {**pending.here, **apart}
    return frozenset(task_id for task_id, writes in tasks.items() if writes and run_id in writes.runs)


def is_made_by(documents: Documents, place: Place, checkpoint_id: str, run_id: str) -> Steps[bool]:
    """Tell whether a run has made a checkpoint, not counting what a person has put on top."""
    wanted: str | None = checkpoint_id
    while wanted:
        record = (yield from documents.read_records(place, [wanted])).get(wanted)
        if record is None or record.driven_by == run_id:
            return record is not None
        wanted = record.parent_id if record.metadata.get("source") in BY_HAND else None
    return False


def made_before(
    documents: Documents, place: Place, checkpoint_id: str, call: str, around: Mapping[str, str]
) -> Steps[int]:
    """Return how many checkpoints a call has made, up to this one.

    Args:
        documents: the saver's.
        place: where they are.
        checkpoint_id: the last one that counts.
        call: the call.
        around: of a subgraph's, the checkpoints of the graphs around it, by namespace.
    """
    made, wanted = 0, checkpoint_id
    while wanted:
        record = (yield from documents.read_records(place, [wanted])).get(wanted)
        if record is None or record.made_in != call or record.metadata.get("parents", {}) != around:
            break
        made, wanted = made + 1, record.parent_id or ""
    return made


def in_order(tasks: Mapping[str, TaskWrites]) -> list[tuple[str, SavedWrite]]:
    """Return the writes of tasks with their task ids, in the order in which LangGraph applies them."""
    ordered = sorted(tasks.items(), key=lambda item: (item[1].path, item[0]))
    return [(task_id, write) for task_id, writes in ordered for write in writes.in_order()]


def read_payload(documents: Documents, name: str) -> Steps[tuple[Any] | None]:
    """Read a value by its name: a tuple of one, or None when there is none."""
    key = keys.payload_key(name)
    found = yield from documents.store.read([key])
    return (documents.codec.load(found[key].data, f"the value {name!r}"),) if key in found else None


def _tuple(
    record: CheckpointRecord,
    tasks: Mapping[str, TaskWrites],
    *,
    place: Place,
    values: Mapping[str, bytes],
    load: Load,
    run_id: str | None,
) -> CheckpointTuple:
    value_keys = {name: place.value_key(name, version) for name, version in record.stored.items()}
    loaded = {name: load(values[key], f"channel {name!r}") for name, key in value_keys.items()}
    return CheckpointTuple(
        config=place.config(record.checkpoint["id"]),
        checkpoint=record.with_values(loaded),
        metadata=record.metadata,
        parent_config=place.config(record.parent_id) if record.parent_id else None,
        pending_writes=[
            (task_id, write.channel, write.value(load, keeps_tuples=run_id in tasks[task_id].runs))
            for task_id, write in in_order(tasks)
        ],
    )
