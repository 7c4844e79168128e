"""The graphs' inputs, results and memories, kept in Dapr state by the bridge."""

from typing import Any

from langgraph.store.base import BaseStore

from dapr_bridge import DaprSaver
from desk.errors import DeskError
from desk.steps import ReferenceRecord
from graph.memory import SolvedTicket, tickets_namespace


class BridgeGraphData:
    """Graph data behind the saver that the graphs themselves run on."""

    def __init__(self, saver: DaprSaver) -> None:
        self._saver = saver

    async def keep(self, name: str, value: dict[str, Any]) -> ReferenceRecord:
        """Store an input under a name; the first value under a name stays."""
        return (await self._saver.aput_value(name, value)).to_json()

    async def final_values(self, thread_id: str) -> dict[str, Any]:
        """Return the state in which a thread's run ended."""
        latest = await self._saver.aget_tuple({"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}})
        if latest is None:
            raise DeskError(f"thread {thread_id!r} has no checkpoint in the execution store")
        return latest.checkpoint["channel_values"]


class StoredMemory:
    """The memory that the expert reads through LangGraph's `runtime.store`."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    async def remember(self, customer_id: str, solved: SolvedTicket) -> None:
        """Store a solved ticket; storing it again changes nothing."""
        await self._store.aput(tickets_namespace(customer_id), solved["ticket_id"], {**solved})
