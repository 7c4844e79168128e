"""A saver as LangGraph sees it through a window: everything passes, but for what a view changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from dapr_bridge._langgraph import heard_alone
from dapr_bridge.errors import StateStoreError, SubgraphNotSavedError

Writes = Sequence[tuple[str, Any]]


class Glimpsing(Protocol):
    """A saver that can leave out some of what there is on the checkpoints of the root graph."""

    def glimpsing(self, *, hides: Callable[[str], bool], without: Collection[str]) -> BaseCheckpointSaver[Any]:
        """Return a view that reads no writes of tasks that `hides` names, and no values of channels `without`."""
        ...


def glimpse(
    saver: BaseCheckpointSaver[Any], *, hides: Callable[[str], bool], without: Collection[str]
) -> BaseCheckpointSaver[Any]:
    """Return a view of a saver that leaves out what is not looked at, where the saver can do that."""
    # Not by `isinstance`, which looks at all of a protocol each time: each task of a fan-out comes here.
    return cast("Glimpsing", saver).glimpsing(hides=hides, without=without) if hasattr(saver, "glimpsing") else saver


class NestedReads(Protocol):
    """Reads the checkpoints of subgraphs as their loops begin."""

    def read(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
        """Read one."""
        ...

    async def aread(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
        """Read one."""
        ...


@contextmanager
def _ending_the_attempt() -> Generator[None]:
    try:
        yield
    except StateStoreError as error:
        raise SubgraphNotSavedError(str(error)) from error


@dataclass
class _Last:
    """What was saved last of the root graph."""

    put: CheckpointTuple | None = None
    written_on: str = ""


class SaverView(BaseCheckpointSaver[Any]):
    """Passes everything on to a saver; what concerns the root graph goes through the methods at the end.

    Args:
        inner: the saver.
        nested: what reads the checkpoints of subgraphs, when it is not the saver itself.

    Attributes:
        before_nested: what is waited for before a subgraph's checkpoint is saved, if anything is.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], *, nested: NestedReads | None = None) -> None:
        super().__init__(serde=inner.serde)
        self._inner, self._nested = inner, nested
        # Shared with the copies of this view that LangGraph makes.
        self._in_hand: list[CheckpointTuple | None] = []
        self._last = _Last()
        self.before_nested: Callable[[], Awaitable[None]] | None = None

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> Self:
        """Return the same view of a saver that may build more types; LangGraph asks for it with a graph's own."""
        clone = copy(self)
        clone._inner = self._inner.with_allowlist(extra_allowlist)
        clone.serde = clone._inner.serde
        return clone

    @property
    def config_specs(self) -> list[Any]:
        """The saver's own."""
        return self._inner.config_specs

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return what the saver would."""
        return self._inner.get_next_version(current, channel)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint."""
        if _is_root(config):
            found = self._inner.get_tuple(config)
            return self.shown(found) if found else None
        with _ending_the_attempt():
            return self._nested.read(self._inner, config) if self._nested else self._inner.get_tuple(config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint."""
        if _is_root(config):
            heard_alone(config)
        if self._in_hand and _is_latest_of_root(config):
            return self._in_hand.pop()
        if _is_root(config):
            found = await self._inner.aget_tuple(config)
            return self.shown(found) if found else None
        with _ending_the_attempt():
            read = self._nested.aread(self._inner, config) if self._nested else self._inner.aget_tuple(config)
            return await read

    def hand_out(self, found: CheckpointTuple | None) -> None:
        """Answer the next asynchronous read of the latest checkpoint with what was read here just before."""
        self._in_hand[:] = [found]

    def hand_out_last(self) -> None:
        """Do so with the checkpoint that was put here last, if nothing was written on it since."""
        put = self._last.put
        self._in_hand[:] = [put] if put and put.checkpoint["id"] != self._last.written_on else []

    def take_back(self) -> None:
        """Hand out no more what nobody has read."""
        self._in_hand.clear()

    def list(self, config: RunnableConfig | None, **search: Any) -> Iterator[CheckpointTuple]:
        """List what the saver holds."""
        return self._inner.list(config, **search)

    def alist(self, config: RunnableConfig | None, **search: Any) -> AsyncIterator[CheckpointTuple]:
        """List what the saver holds."""
        return self._inner.alist(config, **search)

    def get_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Any:
        """Return what the saver would."""
        return self._inner.get_delta_channel_history(config=config, channels=channels)

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Any:
        """Return what the saver would."""
        return await self._inner.aget_delta_channel_history(config=config, channels=channels)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        if not _is_root(config):
            with _ending_the_attempt():
                return self._inner.put(config, checkpoint, metadata, new_versions)
        if self.swallows_checkpoints:
            return _addressed(config, checkpoint)
        self._note_put(config, checkpoint, metadata)
        return self._inner.put(config, checkpoint, metadata, new_versions)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint."""
        if not _is_root(config):
            if self.before_nested:
                await self.before_nested()
            with _ending_the_attempt():
                return await self._inner.aput(config, checkpoint, metadata, new_versions)
        if self.swallows_checkpoints:
            return _addressed(config, checkpoint)
        self._note_put(config, checkpoint, metadata)
        return await self._inner.aput(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: RunnableConfig, writes: Writes, task_id: str, task_path: str = "") -> None:
        """Save what a task wrote."""
        kept, owner = self.kept(writes, task_id) if _is_root(config) else (writes, task_id)
        if kept:
            self._note_writes(config)
            self._inner.put_writes(config, kept, owner, task_path)

    async def aput_writes(self, config: RunnableConfig, writes: Writes, task_id: str, task_path: str = "") -> None:
        """Save what a task wrote."""
        kept, owner = self.kept(writes, task_id) if _is_root(config) else (writes, task_id)
        if kept:
            self._note_writes(config)
            await self._inner.aput_writes(config, kept, owner, task_path)

    def _note_put(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> None:
        self._last.put = CheckpointTuple(_addressed(config, checkpoint), checkpoint, metadata, None, [])

    def _note_writes(self, config: RunnableConfig) -> None:
        if _is_root(config):
            self._last.written_on = config.get("configurable", {})["checkpoint_id"]

    # ----- what a view changes ------------------------------------------------------------------------------------

    swallows_checkpoints = False
    """Whether the root graph's checkpoints are left for somebody else to save."""

    def shown(self, found: CheckpointTuple) -> CheckpointTuple:
        """Return what LangGraph is to see of a checkpoint of the root graph."""
        return found

    def kept(self, writes: Writes, task_id: str) -> tuple[Writes, str]:
        """Return what is to be saved of a task's writes in the root graph, and under which task id."""
        return writes, task_id


def _is_root(config: RunnableConfig) -> bool:
    return not config.get("configurable", {}).get("checkpoint_ns")


def _is_latest_of_root(config: RunnableConfig) -> bool:
    return _is_root(config) and not config.get("configurable", {}).get("checkpoint_id")


def _addressed(config: RunnableConfig, checkpoint: Checkpoint) -> RunnableConfig:
    return {"configurable": {**config.get("configurable", {}), "checkpoint_id": checkpoint["id"]}}
