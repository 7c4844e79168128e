"""What a listing of checkpoints asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, get_checkpoint_id

from dapr_bridge.saver.documents import PAGE


class Search:
    """A thread, perhaps a namespace of it, and what is wanted of the checkpoints there."""

    def __init__(
        self,
        config: RunnableConfig | None,
        metadata: Mapping[str, Any] | None,
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
        start = 0
        while start < len(wanted) and (self._left is None or self._left > 0):
            # With no filter, more than the limit need not be read.
            size = PAGE if self._left is None or self._metadata else min(PAGE, self._left)
            yield wanted[start : start + size]
            start += size

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
