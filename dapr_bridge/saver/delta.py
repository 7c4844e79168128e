"""What delta channels are rebuilt from: the writes along a checkpoint's ancestors, back to a stored value.

A parent is known only from its child, yet ancestors are not read one by one: those of a thread without forks are its
listed checkpoints in order, so a page of these is read at once and walked in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.base import DeltaChannelHistory, PendingWrite

from dapr_bridge.saver.documents import PAGE, Documents, Place
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.reading import in_order
from dapr_bridge.saver.records import CheckpointRecord, PendingWrites, TaskWrites


def read_history(
    documents: Documents, place: Place, checkpoint_id: str | None, channels: Sequence[str]
) -> Steps[Mapping[str, DeltaChannelHistory]]:
    """Collect what each channel is rebuilt from at a checkpoint, the latest when no id is given."""
    if not channels:
        return {}
    asked = [place.checkpoint_key(checkpoint_id)] if checkpoint_id else []
    _, found = yield from documents.read_immutable(asked, place.head_key, place.unlisted_key)
    head, unlisted = documents.head(found.get(place.head_key)), documents.unlisted(found.get(place.unlisted_key))
    wanted = checkpoint_id or head.latest
    records = yield from documents.read_records(place, [wanted] if wanted else [])
    if wanted not in records:
        return {channel: DeltaChannelHistory(writes=[]) for channel in channels}
    listed = yield from documents.read_ids_of(place, head)
    walk = _Walk(documents, place, channels, records[wanted], sorted({*listed, *unlisted.ids}))
    yield from walk.read()
    return walk.histories()


@dataclass
class _Walk:
    """A way up a checkpoint's ancestors.

    Attributes:
        target: where it begins.
        listed: ids of the checkpoints that are or were listed, in order.
        records: the ancestors that were read.
        pending: the writes on each checkpoint that was asked for.
        steps: the ancestors, each with the channels whose writes count there.
        seeds: where each channel's way ended: the key of its value.
        values: what was read of these.
        apart: the writes that have documents of their own, by checkpoint and task.
        absent: keys of values that a checkpoint names and that are not stored.
    """

    documents: Documents
    place: Place
    channels: Sequence[str]
    target: CheckpointRecord
    listed: Sequence[str]
    records: dict[str, CheckpointRecord] = field(default_factory=dict[str, CheckpointRecord])
    pending: dict[str, PendingWrites] = field(default_factory=dict[str, PendingWrites])
    steps: list[tuple[str, frozenset[str]]] = field(default_factory=list[tuple[str, frozenset[str]]])
    seeds: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, bytes] = field(default_factory=dict[str, bytes])
    apart: dict[tuple[str, str], TaskWrites] = field(default_factory=dict[tuple[str, str], TaskWrites])
    absent: set[str] = field(default_factory=set[str])

    def read(self) -> Steps[None]:
        """Read what the histories are made of."""
        while True:
            # An ancestor that was asked for and is not there was deleted: the way ends there.
            while (missing := self._climb()) is not None and missing not in self.pending:
                yield from self._read_page(missing)
            yield from self._read_values()
            lost = set(self.seeds.values()) - set(self.values)
            if not lost:
                return
            self.absent |= lost

    def histories(self) -> dict[str, DeltaChannelHistory]:
        """Return what each channel is rebuilt from, oldest writes first."""
        writes: dict[str, list[PendingWrite]] = {channel: [] for channel in self.channels}
        for checkpoint_id, channels in reversed(self.steps):
            for task_id, channel, value in self._writes_on(checkpoint_id, channels):
                writes[channel].append((task_id, channel, value))
        found = {channel: DeltaChannelHistory(writes=writes[channel]) for channel in self.channels}
        for channel, key in self.seeds.items():
            found[channel]["seed"] = self.documents.codec.load(self.values[key], f"channel {channel!r}")
        return found

    def _climb(self) -> str | None:
        """Walk as far as what was read reaches; returns the id of an ancestor that was not found, or None."""
        self.steps, self.seeds = [], {}
        left, ancestor_id = set(self.channels), self.target.parent_id
        while left and ancestor_id:
            record = self.records.get(ancestor_id)
            if record is None:
                return ancestor_id
            self.steps.append((ancestor_id, frozenset(left)))
            keys = {each: self.place.value_key(each, record.stored[each]) for each in left & set(record.stored)}
            self.seeds |= {channel: key for channel, key in keys.items() if key not in self.absent}
            left -= set(self.seeds)
            ancestor_id = record.parent_id
        return None

    def _read_page(self, first: str) -> Steps[None]:
        """Read a page of checkpoints with the writes on them, from `first` back in time."""
        end = bisect_right(self.listed, first)
        page = {first, *self.listed[max(0, end - self._page_size()) : end]}
        ids = sorted(page - set(self.pending))
        records, pending = yield from self.documents.read_records_and_writes(self.place, ids)
        self.records |= records
        self.pending |= pending

    def _page_size(self) -> int:
        """How many ancestors are needed, by the first page, as the checkpoint itself counts them."""
        counters: Mapping[str, Sequence[int]] = self.target.metadata.get("counters_since_delta_snapshot") or {}
        is_first = not self.pending
        steps = max((counters[channel][1] for channel in self.channels if channel in counters), default=PAGE)
        return min(steps, PAGE) if is_first else PAGE

    def _read_values(self) -> Steps[None]:
        """Read the values at which the ways ended, and the large writes on them, in one bulk read."""
        apart = {
            (each, task_id): self.place.apart_key(each, task_id)
            for each, _ in self.steps
            for task_id in self.pending[each].apart
            if (each, task_id) not in self.apart
        }
        missing = [key for key in self.seeds.values() if key not in self.values]
        values, found = yield from self.documents.read_immutable(missing, *apart.values())
        self.values |= values
        for spot, key in apart.items():
            writes = self.documents.task_writes(found.get(key))
            if writes:
                self.apart[spot] = writes

    def _writes_on(self, checkpoint_id: str, channels: Collection[str]) -> list[tuple[str, str, Any]]:
        pending, load = self.pending[checkpoint_id], self.documents.codec.load
        apart = {task: self.apart[checkpoint_id, task] for task in pending.apart if (checkpoint_id, task) in self.apart}
        return [
            (task_id, write.channel, write.value(load))
            for task_id, write in in_order({**pending.here, **apart})
            if write.channel in channels
        ]
