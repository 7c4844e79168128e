"""Marks of a generated graph's nodes at the far end, each with the task that it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig

from tests.kit.counter import leave_mark
from tests.parity.shape import AnyGraph


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A node has begun to run: of which thread, in which task, and in which worker."""

    thread_id: str
    node: str
    task_id: str
    worker: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what stands at the far end."""
        thread_id, name, worker = text.split("/")
        node, _, task_id = name.partition("@")
        return cls(thread_id=thread_id, node=node, task_id=task_id, worker=worker)

    def __str__(self) -> str:
        return f"{self.thread_id}/{self.node}@{self.task_id}/{self.worker}"


def marked(graph: AnyGraph, *, far_end: str, worker: str) -> AnyGraph:
    """Return the graph with a mark for each run of a node, left before it begins."""
    return graph.with_config(RunnableConfig(callbacks=[_Marks(far_end, worker)]))


class _Marks(BaseCallbackHandler):
    run_inline = True
    raise_error = True

    def __init__(self, far_end: str, worker: str) -> None:
        self._far_end, self._worker = far_end, worker

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **about: Any) -> None:
        """Leave the mark of a node's own run, and not of what it calls."""
        metadata = about.get("metadata") or {}
        node = metadata.get("langgraph_node")
        if node is None or about.get("name") != node:
            return
        task_id = metadata["langgraph_checkpoint_ns"].rpartition(":")[2]
        mark = Mark(thread_id=metadata["thread_id"], node=node, task_id=task_id, worker=self._worker)
        leave_mark(self._far_end, str(mark))
