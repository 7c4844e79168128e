"""Deliver the calls of a graph's runs by hand, again too, at places that are hard to hit with a kill."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._fan_out import FanOut
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._langgraph import listening
from dapr_bridge._names import CALL_METADATA, RUN_METADATA
from dapr_bridge._payloads import encode_inline
from dapr_bridge._redelivery import name_of_call
from dapr_bridge._wire import RunOutcome, RunRequest

Graph = CompiledStateGraph[Any, Any, Any, Any]


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


class Rig:
    """The runs of a graph on one thread."""

    def __init__(self, saver: DaprSaver, unit: Unit, *, built: Graph, thread_id: str) -> None:
        self.graph = built.copy({"checkpointer": saver})
        self._saver = saver
        self._thread_id = f"{thread_id}-{unit}"
        self._runs = GraphRuns(graph=self.graph, saver=saver, unit=unit)

    def config(self, run_id: str, call_id: str = "") -> RunnableConfig:
        metadata = {RUN_METADATA: run_id, CALL_METADATA: name_of_call(call_id, "")}
        return {"configurable": {"thread_id": self._thread_id}, "metadata": metadata}

    async def deliver(
        self,
        run_id: str,
        value: Any,
        *,
        call_id: str = "",
        stood_at: Collection[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> RunOutcome:
        request = RunRequest(
            graph="asks",
            thread_id=self._thread_id,
            run_id=run_id,
            asked_at="",
            input=encode_inline(value, self._saver.serde, what="the input"),
            config=config or {},
        )
        return await self._runs.advance(request, run_id, 1, call_id=call_id, stood_at=stood_at)

    async def cut_off(
        self, run_id: str, call_id: str, value: Any, *, up_to: int, config: RunnableConfig | None = None
    ) -> None:
        """Deliver a call, and be cut off when there are so many words."""
        control = FanOut(lambda announced: len(announced["values"].get("words", ())) >= up_to)
        heard = listening(self.config(run_id, call_id), control.stream)
        with pytest.raises(GraphDrained):
            await self.graph.ainvoke(value, {**heard, **(config or {})}, control=control, durability="sync")
