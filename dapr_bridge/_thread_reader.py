"""Reading and mending the threads of a graph, wherever its runs go on."""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph
from langchain_core.utils.pydantic import TypeBaseModel
from langgraph.checkpoint.base import get_checkpoint_id
from langgraph.pregel import Pregel
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import StateSnapshot, StateUpdate

from dapr_bridge._langgraph import bound_with
from dapr_bridge.errors import CallRefusedError
from dapr_bridge.saver import DaprSaver


class ThreadReader(PregelProtocol[Any, Any, Any, Any], ABC):
    """The part of LangGraph's protocol that runs nothing: it works on the saver, through a graph of this process."""

    def __init__(
        self,
        graph: Pregel[Any, Any, Any, Any] | str,
        *,
        name: str,
        saver: DaprSaver,
        config: RunnableConfig | None,
    ) -> None:
        # LangChain's own, which may be None elsewhere.
        self.name: str | None = name
        self._hosted_name = name
        self.config = config
        # LangGraph's copies do not know the types that `v2` builds.
        self._original = None if isinstance(graph, str) else graph
        self._graph = None if isinstance(graph, str) else graph.copy({"checkpointer": saver})
        self._saver = saver

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a thread's state: its values, what runs next, and the results of the tasks that are done."""
        return await self._local("aget_state").aget_state(self._merged(config), subgraphs=subgraphs)

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """Return a thread's state, as `aget_state` does."""
        return self._local("get_state").get_state(self._merged(config), subgraphs=subgraphs)

    def aget_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """Return a thread's states, newest first."""
        local = self._local("aget_state_history")
        return local.aget_state_history(self._merged(config), filter=filter, before=before, limit=limit)

    def get_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """Return a thread's states, as `aget_state_history` does."""
        local = self._local("get_state_history")
        return local.get_state_history(self._merged(config), filter=filter, before=before, limit=limit)

    async def aupdate_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """Change a thread's state by hand, as if a node had written it.

        Raises:
            CallRefusedError: the config names a checkpoint that is not there, or kept no more.
        """
        local, merged = self._local("aupdate_state"), await self._checked(config)
        return await local.aupdate_state(merged, values, as_node, task_id)

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """Change a thread's state, as `aupdate_state` does."""
        local, merged = self._local("update_state"), self._checked_sync(config)
        return local.update_state(merged, values, as_node, task_id)

    async def abulk_update_state(
        self,
        config: RunnableConfig,
        updates: Sequence[Sequence[StateUpdate]],  # LangGraph's name is `supersteps`; the protocol's is this
    ) -> RunnableConfig:
        """Apply several changes, superstep by superstep."""
        return await self._local("abulk_update_state").abulk_update_state(await self._checked(config), updates)

    def bulk_update_state(self, config: RunnableConfig, updates: Sequence[Sequence[StateUpdate]]) -> RunnableConfig:
        """Apply several changes, as `abulk_update_state` does."""
        return self._local("bulk_update_state").bulk_update_state(self._checked_sync(config), updates)

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """Return the graph's drawing."""
        return self._local("get_graph").get_graph(config, xray=xray)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """Return the graph's drawing."""
        return await self._local("aget_graph").aget_graph(config, xray=xray)

    # Of a graph of which only the name is known, LangChain is told that it takes and gives anything.

    @property
    def InputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The type of the graph's input."""
        return self._graph.InputType if self._graph else Any

    @property
    def OutputType(self) -> Any:  # noqa: N802 - LangChain's name
        """The type of the graph's output."""
        return self._graph.OutputType if self._graph else Any

    def get_input_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return a model of the graph's input."""
        return self._graph.get_input_schema(config) if self._graph else super().get_input_schema(config)

    def get_output_schema(self, config: RunnableConfig | None = None) -> TypeBaseModel:
        """Return a model of the graph's output."""
        return self._graph.get_output_schema(config) if self._graph else super().get_output_schema(config)

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """Return a JSON schema of the graph's input."""
        return self._graph.get_input_jsonschema(config) if self._graph else super().get_input_jsonschema(config)

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """Return a JSON schema of the graph's output."""
        return self._graph.get_output_jsonschema(config) if self._graph else super().get_output_jsonschema(config)

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """Return a JSON schema of the graph's static context, if it has one."""
        return self._graph.get_context_jsonschema() if self._graph else None

    def _merged(self, config: RunnableConfig | None) -> RunnableConfig:
        return bound_with(self.config, config)

    async def _checked(self, config: RunnableConfig) -> RunnableConfig:
        """Return the config of a change, which LangGraph would make to an empty state if its checkpoint were gone."""
        merged = self._merged(config)
        if get_checkpoint_id(merged) and await self._saver.aget_tuple(merged) is None:
            raise _gone(merged)
        return merged

    def _checked_sync(self, config: RunnableConfig) -> RunnableConfig:
        merged = self._merged(config)
        if get_checkpoint_id(merged) and self._saver.get_tuple(merged) is None:
            raise _gone(merged)
        return merged

    def _local(self, what: str) -> Pregel[Any, Any, Any, Any]:
        if self._graph is None:
            raise CallRefusedError(
                f"{what} needs the compiled graph, whose channels say how to read a thread: "
                f"DurableGraph(graph, name={self._hosted_name!r}, ...)"
            )
        return self._graph


def _gone(config: RunnableConfig) -> CallRefusedError:
    return CallRefusedError(
        f"checkpoint {get_checkpoint_id(config)!r} is not there, or kept no more: begin at one that is listed"
    )
