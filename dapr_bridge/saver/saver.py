"""`DaprSaver`: a LangGraph checkpointer on any Dapr state store."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge._contexts import Closing
from dapr_bridge.errors import StateStoreError
from dapr_bridge.reference import Reference
from dapr_bridge.saver.documents import Memory, Place, ThreadDocuments, split_checkpoint
from dapr_bridge.saver.effects import Steps, arun, run
from dapr_bridge.saver.records import Codec
from dapr_bridge.saver.sidecar import Patience
from dapr_bridge.saver.store import StateStore

_PAGE = 64
_CACHE_BYTES = 32 << 20


class DaprSaver(BaseCheckpointSaver[str], Closing):
    """A checkpointer whose documents live in a Dapr state store.

    Each superstep writes the checkpoint, the channel values that changed, and the head; values of any size are kept.
    Usable from any thread and any event loop, through LangGraph's synchronous and asynchronous methods alike.

    Args:
        store: name of a Dapr state store component that supports ETags and transactions.
        address: the sidecar's gRPC address, `host:port`; Dapr's own settings when not given.
        serde: LangGraph's serializer; by default one that builds no types but LangGraph's, LangChain's and Python's
            own, and those in `allowed_types`.
        allowed_types: classes that may occur in the state beside those.
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
        super().__init__(serde=serde or JsonPlusSerializer(allowed_msgpack_modules=tuple(allowed_types) or None))
        self.store = StateStore(store, address=address, patience=patience or Patience())
        self._memory = Memory(cache_bytes)

    @property
    def _documents(self) -> ThreadDocuments:
        # Made anew each time: LangGraph swaps the serializer on shallow copies of a saver.
        return ThreadDocuments(self.store, Codec(self.serde), self._memory)

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
        search = _Search(config, filter, before, limit)
        for place in run(self._places(search)):
            for page in search.pages(run(self._documents.id_chunks(place))):
                yield from search.matching(run(self._documents.checkpoints(place, page)))

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
        run(self._documents.delete_thread(str(thread_id)))

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
        search = _Search(config, filter, before, limit)
        for place in await arun(self._places(search)):
            for page in search.pages(await arun(self._documents.id_chunks(place))):
                for found in search.matching(await arun(self._documents.checkpoints(place, page))):
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
        await arun(self._documents.delete_thread(str(thread_id)))

    # ----- values by reference ------------------------------------------------------------------------------------

    async def aput_value(self, name: str, value: Any) -> Reference:
        """Save a value that a workflow is to carry by reference.

        The first value saved under a name stays: an activity that is delivered twice saves the same value under the
        same name, such as `f"{instance_id}/input"`.
        """
        await arun(self._documents.put_payload(name, value))
        return Reference(name=name)

    async def aget_value(self, reference: Reference) -> Any:
        """Return a value that `aput_value` saved.

        Raises:
            StateStoreError: nothing is stored under that reference.
        """
        found = await arun(self._documents.get_payload(reference.name))
        if found is None:
            raise StateStoreError(f"state store {self.store.name!r} holds no value {reference.name!r}")
        return found[0]

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
        checkpoint_id = get_checkpoint_id(config) or (yield from self._documents.latest_id(place))
        if checkpoint_id is None:
            return None
        found = yield from self._documents.checkpoints(place, [checkpoint_id])
        return found[0] if found else None

    def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Steps[RunnableConfig]:
        place = _place(config)
        kept = get_checkpoint_metadata(config, metadata)
        record, values = split_checkpoint(checkpoint, kept, get_checkpoint_id(config), new_versions)
        yield from self._documents.put_checkpoint(place, record, values)
        return place.config(checkpoint["id"])

    def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Steps[None]:
        checkpoint_id = config.get("configurable", {})["checkpoint_id"]
        yield from self._documents.put_writes(_place(config), checkpoint_id, task_id, task_path, writes)

    def _places(self, search: _Search) -> Steps[Sequence[Place]]:
        if search.namespace is not None:
            return [Place(thread_id=search.thread_id, namespace=search.namespace)]
        spaces = yield from self._documents.namespaces(search.thread_id)
        return [Place(thread_id=search.thread_id, namespace=space) for space in spaces]


class _Search:
    """What a listing asks for."""

    def __init__(
        self,
        config: RunnableConfig | None,
        metadata: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        if config is None:
            raise NotImplementedError("DaprSaver lists the checkpoints of one thread: pass its thread_id in the config")
        configurable = config.get("configurable", {})
        self.thread_id = str(configurable["thread_id"])
        self.namespace: str | None = configurable.get("checkpoint_ns")
        self._only = get_checkpoint_id(config)
        self._before = get_checkpoint_id(before) if before else None
        self._metadata = metadata or {}
        self._left = limit

    def pages(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """Cut the ids that can match into pages, until the limit is reached."""
        wanted = [each for each in ids if self._wants(each)]
        for start in range(0, len(wanted), _PAGE):
            if self._left is None:
                yield wanted[start : start + _PAGE]
            elif self._left > 0:
                # With no filter, more than the limit need not be read.
                size = _PAGE if self._metadata else min(_PAGE, self._left)
                yield wanted[start : start + size]

    def matching(self, tuples: Iterable[CheckpointTuple]) -> Iterator[CheckpointTuple]:
        """Pick the checkpoints whose metadata match, counting them against the limit."""
        for found in tuples:
            metadata: Any = found.metadata
            if any(metadata.get(name) != value for name, value in self._metadata.items()):
                continue
            if self._left is not None:
                if self._left <= 0:
                    return
                self._left -= 1
            yield found

    def _wants(self, checkpoint_id: str) -> bool:
        is_addressed = self._only is None or checkpoint_id == self._only
        return is_addressed and (self._before is None or checkpoint_id < self._before)


def _place(config: RunnableConfig) -> Place:
    configurable = config.get("configurable", {})
    return Place(thread_id=str(configurable["thread_id"]), namespace=configurable.get("checkpoint_ns", ""))
