"""`DaprSaver`: a LangGraph checkpointer on any Dapr state store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from dapr_bridge._contexts import Closing
from dapr_bridge._names import CALL_METADATA, RUN_METADATA
from dapr_bridge.errors import ValueNotFoundError
from dapr_bridge.reference import Reference
from dapr_bridge.saver import copying, delta, keeping, reading, removal, tasks, writing
from dapr_bridge.saver.documents import ALL, Documents, Memory, Place
from dapr_bridge.saver.effects import Steps, arun, run
from dapr_bridge.saver.lease import Leases
from dapr_bridge.saver.listing import Search
from dapr_bridge.saver.records import Codec
from dapr_bridge.saver.serializer import OwnTypesSerializer
from dapr_bridge.saver.sidecar import Patience
from dapr_bridge.saver.standing import Standing, read_standing
from dapr_bridge.saver.store import StateStore
from dapr_bridge.saver.views import Viewed

_CACHE_BYTES = 32 << 20

_CHECKPOINTS_AROUND = "checkpoint_map"
"""Where a subgraph's config has the checkpoints of the graphs around it; its checkpoints have them as `parents`."""


class DaprSaver(Viewed, BaseCheckpointSaver[str], Closing):
    """A checkpointer whose documents live in a Dapr state store.

    Each superstep writes the checkpoint, the channel values that changed, and the head; values of any size are kept.
    Usable from any thread and any event loop, through LangGraph's synchronous and asynchronous methods alike.

    Args:
        store: name of a Dapr state store component that supports ETags and transactions.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
        serde: LangGraph's serializer; by default one that builds no types but LangGraph's, LangChain's and Python's
            own, and those in `allowed_types`.
        allowed_types: classes that may occur in the state beside those; an object of theirs that `cls(**fields)` would
            not make equal is refused.
        patience: how long to wait for a sidecar that is away.
        cache_bytes: size of the cache of documents that never change.
    """

    def __init__(
        self,
        store: str,
        *,
        address: str | None = None,
        serde: SerializerProtocol | None = None,
        allowed_types: Iterable[type] = (),
        patience: Patience | None = None,
        cache_bytes: int = _CACHE_BYTES,
    ) -> None:
        super().__init__(serde=serde or OwnTypesSerializer(allowed_types))
        self.store = StateStore(store, address=address, patience=patience or Patience())
        self._memory = Memory(cache_bytes)

    @property
    def leases(self) -> Leases:
        """Leases in the same state store, such as one for each task, that two workers do not pay for it twice."""
        return Leases(self.store)

    @property
    def _documents(self) -> Documents:
        # Made anew each time: LangGraph swaps the serializer on shallow copies of a saver.
        return Documents(self.store, Codec(self.serde), self._memory)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a version above `current`; its random part keeps two branches of a thread apart."""
        number = int(current.split(".")[0]) if isinstance(current, str) else current or 0
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311 - a tie-breaker, not a secret

    # ----- LangGraph's synchronous methods ------------------------------------------------------------------------

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` addresses, or the thread's latest."""
        return run(self._get_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """List a thread's checkpoints, newest first."""
        search = Search(config, filter, before, limit)
        for place in run(self._places(search)):
            for page in search.pages(run(self._documents.read_ids(place))):
                yield from search.matching(run(reading.read_checkpoints(self._documents, place, page)))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        return run(self._put(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote on a checkpoint."""
        run(self._put_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes."""
        run(removal.delete_thread(self._documents, str(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints and writes of runs, in whichever threads they are.

        What later checkpoints' delta channels are rebuilt from stays, and is listed no more.
        """
        run(removal.delete_for_runs(self._documents, run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread's checkpoints and writes to another thread, beside those that it has."""
        run(copying.copy_thread(self._documents, str(source_thread_id), str(target_thread_id)))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all checkpoints of threads (`"delete"`), or all but the latest of each namespace (`"keep_latest"`).

        What the latest one's delta channels are rebuilt from stays, and is listed no more.
        """
        run(removal.prune(self._documents, map(str, thread_ids), strategy))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what delta channels are rebuilt from at a checkpoint."""
        return run(delta.read_history(self._documents, _place(config), get_checkpoint_id(config), channels))

    # ----- LangGraph's asynchronous methods -----------------------------------------------------------------------

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` addresses, or the thread's latest."""
        return await arun(self._get_tuple(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List a thread's checkpoints, newest first."""
        search = Search(config, filter, before, limit)
        for place in await arun(self._places(search)):
            for page in search.pages(await arun(self._documents.read_ids(place))):
                for found in search.matching(await arun(reading.read_checkpoints(self._documents, place, page))):
                    yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        return await arun(self._put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote on a checkpoint."""
        await arun(self._put_writes(config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes."""
        await arun(removal.delete_thread(self._documents, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints and writes of runs, as `delete_for_runs` does."""
        await arun(removal.delete_for_runs(self._documents, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread's checkpoints and writes to another thread, as `copy_thread` does."""
        await arun(copying.copy_thread(self._documents, str(source_thread_id), str(target_thread_id)))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete checkpoints of threads, as `prune` does."""
        await arun(removal.prune(self._documents, map(str, thread_ids), strategy))

    async def akeep_last(self, thread_id: str, count: int) -> None:
        """Delete all of a thread but its last checkpoints, as a worker does with `keep_checkpoints`.

        What their delta channels are rebuilt from stays, and is listed no more. A thread with writes that wait to be
        applied, such as one that has asked something, stays as it is.
        """
        if count < 1:
            raise ValueError(f"a thread keeps at least 1 checkpoint, not {count}; delete_thread deletes all")
        await arun(keeping.keep_last(self._documents, str(thread_id), count))

    async def astanding(self, thread_id: str) -> Standing:
        """Return where a thread stands, without the values of its channels and of the writes on them."""
        return await arun(read_standing(self._documents, str(thread_id)))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what delta channels are rebuilt from at a checkpoint."""
        return await arun(delta.read_history(self._documents, _place(config), get_checkpoint_id(config), channels))

    # ----- values by reference ------------------------------------------------------------------------------------

    async def aput_value(self, name: str, value: Any) -> Reference:
        """Save a value that a workflow is to carry by reference.

        The first value saved under a name stays: an activity that is delivered twice saves the same value under the
        same name, such as `f"{instance_id}/input"`.
        """
        await arun(writing.put_payload(self._documents, name, value))
        return Reference(name=name)

    async def aget_value(self, reference: Reference) -> Any:
        """Return a value that `aput_value` saved.

        Raises:
            ValueNotFoundError: nothing is stored under that reference.
        """
        found = await arun(reading.read_payload(self._documents, reference.name))
        if found is None:
            raise ValueNotFoundError(f"state store {self.store.name!r} holds no value {reference.name!r}")
        return found[0]

    async def ahas_input_of(self, run_id: str, head: CheckpointTuple | None) -> bool:
        """Tell whether what a `Command` of a driven run writes stands on a checkpoint already."""
        return head is not None and await arun(reading.has_input_of(self._documents, *_address(head), run_id))

    async def aasked_by(self, run_id: str, head: CheckpointTuple) -> frozenset[str]:
        """Return the tasks on a checkpoint whose last questions a driven run has asked."""
        return await arun(reading.asked_by(self._documents, *_address(head), run_id))

    async def anamespaces(self, thread_id: str) -> Sequence[str]:
        """Return the checkpoint namespaces of a thread: that of its graph, and those of subgraphs."""
        return await arun(self._documents.read_namespaces(thread_id))

    async def ais_made_by(self, run_id: str, head: CheckpointTuple | None) -> bool:
        """Tell whether a driven run has made a checkpoint, or the one on which a person has put changes."""
        return head is not None and await arun(reading.is_made_by(self._documents, *_address(head), run_id))

    def made_before(self, head: CheckpointTuple | None, config: RunnableConfig) -> int:
        """Return how many checkpoints a driven run's call has made up to this one, in earlier deliveries.

        In a namespace of a subgraph, those in the superstep around it: in the next one its limits begin anew.

        Args:
            head: the last checkpoint that counts, of the thread and namespace where it was read.
            config: LangGraph's for the call.
        """
        return run(self._made_before(head, config))

    async def amade_before(self, head: CheckpointTuple | None, config: RunnableConfig) -> int:
        """Return how many checkpoints a call has made, as `made_before` does."""
        return await arun(self._made_before(head, config))

    def driven_from(self, thread_id: str, namespace: str, *, step: int) -> str:
        """Return the checkpoint after which a driven run's superstep of this number runs here; empty when not known."""
        place = Place(thread_id=thread_id, namespace=namespace)
        last_step, checkpoint_id = self._memory.driven.look(place.head_key) or (None, "")
        return checkpoint_id if last_step == step - 1 else ""

    # ----- opening and closing ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection to the sidecar."""
        self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ----- steps --------------------------------------------------------------------------------------------------

    def _get_tuple(self, config: RunnableConfig) -> Steps[CheckpointTuple | None]:
        place = _place(config)
        # Tasks of a run may have run in other processes; to LangGraph it is as if all were here.
        run_id = config.get("metadata", {}).get(RUN_METADATA) if self._is_fenced else None
        glimpse = replace(ALL if place.namespace else self._glimpse, tuples_of=run_id)
        found = yield from reading.read_checkpoint(self._documents, place, get_checkpoint_id(config), glimpse)
        if found:
            self._note_driven(place, found.checkpoint["id"], found.metadata)
        return found

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        place = _place(config)
        kept = get_checkpoint_metadata(config, metadata)
        # LangGraph begins the first superstep while the checkpoint before it is on its way.
        self._note_driven(place, checkpoint["id"], metadata)
        record, values = writing.split_checkpoint(checkpoint, kept, get_checkpoint_id(config), new_versions)
        yield from writing.put_checkpoint(self._documents, place, record, values, is_fenced=self._is_fenced)
        return place.config(checkpoint["id"])

    def _note_driven(self, place: Place, checkpoint_id: str, metadata: CheckpointMetadata) -> None:
        # A person may read and change a thread meanwhile, at any of its checkpoints.
        if self._is_fenced:
            self._memory.driven.put(place.head_key, (metadata.get("step", -2), checkpoint_id))

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        checkpoint_id = config.get("configurable", {})["checkpoint_id"]
        run_id = config.get("metadata", {}).get(RUN_METADATA)
        yield from tasks.put_writes(
            self._documents, _place(config), checkpoint_id, task_id, task_path, writes, run_id=run_id
        )

    def _made_before(self, head: CheckpointTuple | None, config: RunnableConfig) -> Steps[int]:
        call = config.get("metadata", {}).get(CALL_METADATA)
        if not call or head is None:
            return 0
        around: Mapping[str, str] = config.get("configurable", {}).get(_CHECKPOINTS_AROUND, {})
        return (yield from reading.made_before(self._documents, *_address(head), call, around))

    def _places(self, search: Search) -> Steps[Sequence[Place]]:
        if search.namespace is not None:
            return [Place(thread_id=search.thread_id, namespace=search.namespace)]
        spaces = yield from self._documents.read_namespaces(search.thread_id)
        return [Place(thread_id=search.thread_id, namespace=space) for space in spaces]


def _address(head: CheckpointTuple) -> tuple[Place, str]:
    return _place(head.config), head.checkpoint["id"]


def _place(config: RunnableConfig) -> Place:
    configurable = config.get("configurable", {})
    return Place(thread_id=str(configurable["thread_id"]), namespace=configurable.get("checkpoint_ns", ""))
