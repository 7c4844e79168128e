"""The two sides of a comparison: plain LangGraph, and the bridge."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import StateSnapshot

from dapr_bridge import DaprSaver, DurableGraph
from tests.parity.shape import AnyGraph


class Side(Protocol):
    """What a caller can do with a graph."""

    async def invoke(self, value: Any, config: RunnableConfig, *, context: Any) -> Any:
        """Run the graph up to its end or a question."""
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
        return await self._durable.ainvoke(value, config, **({} if context is None else {"context": context}))

    async def edit(self, config: RunnableConfig, values: Any, *, as_node: str | None) -> None:
        """Change the state by hand."""
        await self._plain.aupdate_state(config, values, as_node=as_node)

    async def state(self, config: RunnableConfig) -> StateSnapshot:
        """Read the state, with those of the subgraphs that wait."""
        return await self._durable.aget_state(config, subgraphs=True)

    async def history(self, config: RunnableConfig) -> list[StateSnapshot]:
        """Read all states, newest first."""
        return [each async for each in self._durable.aget_state_history(config)]
