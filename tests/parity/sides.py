"""The two sides of a comparison: plain LangGraph, and the bridge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import StateSnapshot

from dapr_bridge import DaprSaver, DurableGraph
from tests.parity.shape import AnyGraph

_MODES = ("values", "updates", "custom", "messages", "tasks", "checkpoints")

Event = tuple[tuple[str, ...], str, Any]
"""The namespace, the mode and the payload."""


class Side(Protocol):
    """What a caller can do with a graph."""

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
        ...

    def stream(self, value: Any, config: RunnableConfig, *, context: Any) -> AsyncIterator[Event]:
        """Run the graph and tell what happens."""
        ...

    async def edit(self, config: RunnableConfig, values: Any, *, as_node: str | None) -> None:
        """Change the state by hand."""
        ...

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Read the state, with those of the subgraphs that wait."""
        ...

    async def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Read all states, newest first."""
        ...


class NativeSide:
    """`ainvoke` in this process, on LangGraph's own saver."""

    def __init__(self, graph: AnyGraph) -> None:
        self._graph = graph.copy({"checkpointer": InMemorySaver()})

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
        return await self._graph.ainvoke(value, config, context=context, durability="sync")

    def stream(self, value: Any, config: RunnableConfig, *, context: Any) -> AsyncIterator[Event]:
        """Run the graph and tell what happens."""
        modes: Any = {"stream_mode": list(_MODES), "subgraphs": True}
        return self._graph.astream(value, config, context=context, durability="sync", **modes)

    async def edit(self, config: RunnableConfig, values: Any, *, as_node: str | None) -> None:
        """Change the state by hand."""
        await self._graph.aupdate_state(config, values, as_node=as_node)

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Read the state, with those of the subgraphs that wait."""
        return await self._graph.aget_state(config, subgraphs=True)

    async def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Read all states, newest first."""
        return [each async for each in self._graph.aget_state_history(config)]


class BridgeSide:
    """A `DurableGraph` whose worker hosts the same graph."""

    def __init__(self, durable: DurableGraph, graph: AnyGraph, saver: DaprSaver) -> None:
        self._durable = durable
        # A thread of the bridge is an ordinary thread: plain LangGraph on its saver changes it by hand.
        self._plain = graph.copy({"checkpointer": saver})

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
        return await self._durable.ainvoke(value, config, context=context)

    def stream(self, value: Any, config: RunnableConfig, *, context: Any) -> AsyncIterator[Event]:
        """Run the graph and tell what happens."""
        durable: Any = self._durable
        return durable.astream(value, config, context=context, stream_mode=list(_MODES), subgraphs=True)

    async def edit(self, config: RunnableConfig, values: Any, *, as_node: str | None) -> None:
        """Change the state by hand."""
        await self._plain.aupdate_state(config, values, as_node=as_node)

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Read the state, with those of the subgraphs that wait."""
        return await self._durable.aget_state(config, subgraphs=True)

    async def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Read all states, newest first."""
        return [each async for each in self._durable.aget_state_history(config)]


class Listening:
    """A side that streams where it would invoke, and keeps what it hears."""

    def __init__(self, side: Side) -> None:
        self.heard: list[Event] = []
        self.edit, self.state, self.history, self.stream = side.edit, side.state, side.history, side.stream

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
        async for event in self.stream(value, config, context=context):
            self.heard.append(event)
