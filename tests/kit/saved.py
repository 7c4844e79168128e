"""All that is saved of a thread, to see whether anything has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig

from dapr_bridge import DaprSaver


async def all_saved(saver: DaprSaver, thread_id: str) -> Sequence[tuple[str, str, Any]]:
    """Return namespace, id and writes of each of a thread's checkpoints, those of subgraphs too."""
    config = cast("RunnableConfig", {"configurable": {"thread_id": thread_id}})
    found = [(each.config.get("configurable", {}), each.pending_writes) async for each in saver.alist(config)]
    return [(address["checkpoint_ns"], address["checkpoint_id"], writes) for address, writes in found]
