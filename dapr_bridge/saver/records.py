"""The saver's documents and how they become bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener

from dapr_bridge._tuples import Path, with_tuples
from dapr_bridge.saver.serializer import ChangedError
from dapr_bridge.saver.unkept import UNSERIALIZABLE, not_allowed, not_kept

INPUT_TASK = "00000000-0000-0000-0000-000000000000"
"""LangGraph's task id for the writes of an input or Command."""

_ERROR_SOURCE = "__error_source_node__"
_CONTROL_CHANNELS = frozenset({*WRITES_IDX_MAP, _ERROR_SOURCE})


class Codec:
    """Values to bytes and back, through LangGraph's serializer.

    Args:
        serde: LangGraph's serializer.
        owner: the class whose `allowed_types` the serializer builds, for the message about one that it does not.
    """

    def __init__(self, serde: SerializerProtocol, *, owner: str = "DaprSaver") -> None:
        self._serde = serde
        self._owner = owner

    def dump(self, value: Any, *, what: str) -> bytes:
        """Serialize a value; `what` names it in the error."""
        kind, data = self.dump_typed(value, what=what)
        return kind.encode() + b"\0" + data

    def dump_typed(self, value: Any, *, what: str) -> tuple[str, bytes]:
        """Serialize a value, as `dump` does, but return its kind apart.

        Raises:
            ValueNotKeptError: the serializer cannot keep it.
        """
        _blocked.names.clear()
        try:
            return self._serde.dumps_typed(value)
        except UNSERIALIZABLE as error:
            if isinstance(error, ChangedError) and _blocked.names:
                raise not_allowed(_blocked.names, what=what, owner=self._owner) from error
            raise not_kept(value, error, self._serde, what=what, owner=self._owner) from error

    def load(self, data: bytes, what: str = "stored state") -> Any:
        """Deserialize a value; `what` names it in the error.

        Raises:
            ValueNotKeptError: it holds a type that is not allowed; the stored bytes stay as they are.
        """
        value = self.load_plain(data)
        if _blocked.names:
            raise not_allowed(_blocked.names, what=what, owner=self._owner)
        return value

    def load_plain(self, data: bytes) -> Any:
        """Deserialize a value with plain data in place of types that are not allowed."""
        kind, _, body = data.partition(b"\0")
        _blocked.names.clear()
        return self._serde.loads_typed((kind.decode(), body))


class _BlockedTypes(threading.local):
    """Collects the types that the serializer refuses to build, which it would replace by plain data in silence."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def note(self, event: SerdeEvent) -> None:
        if event["kind"].endswith("_blocked"):
            self.names.add(f"{event['module']}.{event['name']}")


# One listener for all values: LangGraph tells it in the thread that loads.
_blocked = _BlockedTypes()
register_serde_event_listener(_blocked.note)


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """One checkpoint without its channel values.

    Attributes:
        checkpoint: LangGraph's checkpoint, `channel_values` empty.
        metadata: its metadata.
        parent_id: the checkpoint it follows, or None.
        stored: the channels that have a value, each with the version under which it is stored.
        driven_by: the run of the bridge that made it; empty when none did. LangGraph's metadata do not show it.
        made_in: the call of that run in which it was made; empty when that is not known.
    """

    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    parent_id: str | None
    stored: Mapping[str, str]
    driven_by: str = ""
    made_in: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> CheckpointRecord:
        """Rebuild a record from `to_document`."""
        return cls(
            checkpoint=document["checkpoint"],
            metadata=document["metadata"],
            parent_id=document["parent"],
            stored=document["stored"],
            driven_by=document.get("driven_by", ""),
            made_in=document.get("made_in", ""),
        )

    @property
    def run_id(self) -> str:
        """The run that made the checkpoint, as its metadata say; empty when they do not."""
        return str(cast("Mapping[str, Any]", self.metadata).get("run_id") or "")

    @property
    def deltas(self) -> frozenset[str]:
        """The delta channels whose values are rebuilt from what is stored with ancestors."""
        counted: Mapping[str, Any] = self.metadata.get("counters_since_delta_snapshot") or {}
        # A channel without a version was never written.
        return frozenset(counted) & frozenset(self.checkpoint["channel_versions"]) - frozenset(self.stored)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        parent_id: str | None,
        *,
        driven_by: str = "",
        made_in: str = "",
    ) -> CheckpointRecord:
        """Split a checkpoint from its values."""
        versions = checkpoint["channel_versions"]
        stored = {name: str(versions[name]) for name in checkpoint["channel_values"] if name in versions}
        bare = cast("Checkpoint", {**checkpoint, "channel_values": {}})
        return cls(
            checkpoint=bare,
            metadata=metadata,
            parent_id=parent_id,
            stored=stored,
            driven_by=driven_by,
            made_in=made_in,
        )

    def to_document(self) -> dict[str, Any]:
        """Return plain data for the codec."""
        return {
            "checkpoint": self.checkpoint,
            "metadata": self.metadata,
            "parent": self.parent_id,
            "stored": dict(self.stored),
            **({"driven_by": self.driven_by} if self.driven_by else {}),
            **({"made_in": self.made_in} if self.made_in else {}),
        }

    def without(self, channels: Collection[str]) -> CheckpointRecord:
        """Return the record as if some channels had no value."""
        if not channels:
            return self
        return replace(self, stored={name: version for name, version in self.stored.items() if name not in channels})

    def with_values(self, values: Mapping[str, Any]) -> Checkpoint:
        """Return the whole checkpoint."""
        return cast("Checkpoint", {**self.checkpoint, "channel_values": dict(values)})


TuplesOf = Mapping[int, tuple[Path, ...]]
"""Where there are tuples in writes, by the indexes of those that have any."""


@dataclass(frozen=True, kw_only=True)
class SavedWrite:
    """One write of a task.

    Attributes:
        index: its place in the task's list.
        channel: the channel.
        data: the serialized value.
        tuples: where there are tuples in the value, of which the serializer makes lists: reducers tell them apart.
    """

    index: int
    channel: str
    data: bytes
    tuples: tuple[Path, ...] = ()

    def value(self, load: Callable[[bytes, str], Any], *, keeps_tuples: bool = False) -> Any:
        """Return what was written, deserialized by `load`."""
        value = load(self.data, f"the write to channel {self.channel!r}")
        return with_tuples(value, frozenset(self.tuples)) if keeps_tuples else value


@dataclass(frozen=True, kw_only=True)
class TaskWrites:
    """What one task has written on one checkpoint.

    Attributes:
        path: LangGraph's task path, by which writes are ordered.
        output: writes to channels; the first complete list wins as a whole, so two attempts are never mixed.
        control: LangGraph's own marks (error, interrupt, resume, ...); the last of each wins.
        runs: of an input's writes, the runs that they came with; of a question, the run that has asked it last; of an
            output with tuples, the run in which it was written.
    """

    path: str
    output: tuple[SavedWrite, ...] = ()
    control: tuple[SavedWrite, ...] = ()
    runs: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TaskWrites:
        """Rebuild the writes from `to_document`."""
        tuples = {index: tuple(map(tuple, paths)) for index, paths in document.get("tuples", ())}
        return cls(
            path=document["path"],
            output=_saved(document["output"], tuples),
            control=_saved(document["control"], {}),
            runs=tuple(document.get("runs", ())),
        )

    def to_document(self) -> dict[str, Any]:
        """Return plain data for the codec."""
        kept = {"path": self.path, "output": _plain(self.output), "control": _plain(self.control)}
        tuples = [[write.index, write.tuples] for write in self.output if write.tuples]
        return {**kept, **({"tuples": tuples} if tuples else {}), **({"runs": list(self.runs)} if self.runs else {})}

    def merged_with(self, later: TaskWrites, *, is_input: bool) -> TaskWrites:
        """Add what another call saved for the same task.

        Args:
            later: the new writes.
            is_input: whether they are an input's, whose list LangGraph saves again and again as it grows.
        """
        output = _first_of_each(self.output, later.output) if is_input else self.output or later.output
        return TaskWrites(
            path=self.path or later.path,
            output=output,
            control=_last_of_each(self.control, later.control),
            runs=tuple(dict.fromkeys([*self.runs, *later.runs])) if is_input else later.runs or self.runs,
        )

    @property
    def size(self) -> int:
        """Bytes of the serialized values."""
        return sum(len(write.data) for write in (*self.output, *self.control))

    def in_order(self) -> list[SavedWrite]:
        """Return all writes in the order in which LangGraph applies them."""
        return sorted((*self.control, *self.output), key=lambda write: write.index)


@dataclass(frozen=True, kw_only=True)
class PendingWrites:
    """The writes on one checkpoint.

    Most are small and few: they stand here together, so that saving them and finding them costs one document.

    Attributes:
        here: writes by task.
        apart: tasks whose writes have a document of their own.
    """

    here: Mapping[str, TaskWrites] = field(default_factory=dict[str, TaskWrites])
    apart: tuple[str, ...] = ()

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, hides: Callable[[str], bool] = lambda _: False
    ) -> PendingWrites:
        """Rebuild pending writes from `to_document`, but for those of tasks that `hides` names."""
        rows = {task_id: each for task_id, each in document["here"].items() if not hides(task_id)}
        here = {task_id: TaskWrites.from_document(each) for task_id, each in rows.items()}
        return cls(here=here, apart=tuple(each for each in document["apart"] if not hides(each)))

    def to_document(self) -> dict[str, Any]:
        """Return plain data for the codec."""
        return {"here": {task_id: each.to_document() for task_id, each in self.here.items()}, "apart": list(self.apart)}

    def with_task(self, task_id: str, writes: TaskWrites) -> PendingWrites:
        """Put a task's writes here."""
        return replace(self, here={**self.here, task_id: writes})

    def with_task_apart(self, task_id: str) -> PendingWrites:
        """Note that a task's writes are in a document of their own."""
        here = {each: writes for each, writes in self.here.items() if each != task_id}
        return PendingWrites(here=here, apart=tuple(dict.fromkeys([*self.apart, task_id])))


def make_task_writes(
    writes: Iterable[tuple[str, bytes]],
    path: str,
    *,
    run_id: str | None = None,
    is_of_run: bool = True,
    tuples: TuplesOf | None = None,
) -> TaskWrites:
    """Number serialized writes as LangGraph's savers do and part output from control.

    Args:
        writes: channels and serialized values.
        path: LangGraph's task path.
        run_id: the run that they come with.
        is_of_run: whether that is noted though there are no tuples.
        tuples: where there are tuples in an output's values, by their places.
    """
    rows = [(WRITES_IDX_MAP.get(channel, position), channel, data) for position, (channel, data) in enumerate(writes)]
    saved = _saved(rows, tuples or {})
    output = tuple(write for write in saved if write.channel not in _CONTROL_CHANNELS)
    control = tuple(write for write in saved if write.channel in _CONTROL_CHANNELS)
    runs = (run_id,) if run_id and (is_of_run or any(write.tuples for write in output)) else ()
    return TaskWrites(path=path, output=output, control=_last_of_each((), control), runs=runs)


def _first_of_each(old: Sequence[SavedWrite], new: Sequence[SavedWrite]) -> tuple[SavedWrite, ...]:
    return tuple({write.index: write for write in (*new, *old)}.values())


def _last_of_each(old: Sequence[SavedWrite], new: Sequence[SavedWrite]) -> tuple[SavedWrite, ...]:
    return tuple({(write.index, write.channel): write for write in (*old, *new)}.values())


def _plain(writes: Iterable[SavedWrite]) -> list[list[Any]]:
    return [[write.index, write.channel, write.data] for write in writes]


def _saved(rows: Iterable[Sequence[Any]], tuples: TuplesOf) -> tuple[SavedWrite, ...]:
    # Control writes are not numbered by their places, or hold texts.
    return tuple(
        SavedWrite(index=index, channel=channel, data=data, tuples=tuples.get(index, ()))
        for index, channel, data in rows
    )
