"""The graph that is killed: a chain, three Sends, a subgraph, two questions side by side, an end.

Each run of a node makes up a stamp and writes it into two channels, so that writes of two runs in one task would show
as two stamps; and it leaves a mark at the far end, so that a run which need not have been shows there.
"""

from __future__ import annotations

import asyncio
import operator
import uuid
from typing import Annotated, Any, TypedDict

from langgraph.config import get_config
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt

from tests.kit.counter import leave_mark

QUESTIONS = ("inner?", "outer?")
"""What the graph asks, both at once: from within the subgraph, and beside it."""

DRAINS = "drains"
"""In a run's config: which of the three Sends has the run drained."""

_BULK = 20_000
"""More than what the saver keeps with the writes of other tasks: such a task has a document of its own."""


class State(TypedDict, total=False):
    """What the nodes have written: a name and a stamp, `gather#1f3a`, once in each channel."""

    left: Annotated[list[str], operator.add]
    right: Annotated[list[str], operator.add]
    bulk: Annotated[list[str], operator.add]
    inner_left: list[str]
    inner_right: list[str]


class Inner(TypedDict, total=False):
    """The same of the subgraph."""

    inner_left: Annotated[list[str], operator.add]
    inner_right: Annotated[list[str], operator.add]


def build_graph(far_end: str, worker: str) -> Any:
    """Build it for a worker of this name; `far_end` is the URL where nodes leave their marks."""
    nodes = _Nodes(far_end, worker)
    graph = StateGraph(State)
    graph.add_node("open", nodes.open)
    graph.add_node("work", nodes.work)
    graph.add_node("gather", nodes.gather)
    graph.add_node("inner", _build_inner(nodes))
    graph.add_node("ask", nodes.ask)
    graph.add_node("close", nodes.close)
    graph.add_edge(START, "open")
    graph.add_conditional_edges("open", lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "gather")
    graph.add_edge("gather", "inner")
    graph.add_edge("gather", "ask")
    graph.add_edge(["inner", "ask"], "close")
    return graph.compile()


def _build_inner(nodes: _Nodes) -> Any:
    graph = StateGraph(Inner)
    graph.add_node("inner_open", nodes.inner_open)
    graph.add_node("inner_ask", nodes.inner_ask)
    graph.add_node("inner_close", nodes.inner_close)
    graph.add_edge(START, "inner_open")
    graph.add_edge("inner_open", "inner_ask")
    graph.add_edge("inner_ask", "inner_close")
    return graph.compile()


class _Nodes:
    """The nodes; each leaves its mark before it writes, as one that pays for a model call."""

    def __init__(self, far_end: str, worker: str) -> None:
        self._far_end, self._worker = far_end, worker

    async def open(self, _: State) -> State:
        stamped = await self._run("open")
        return {"left": stamped, "right": stamped}

    async def work(self, sent: dict[str, int], runtime: Runtime) -> State:
        stamped = await self._run(f"work-{sent['number']}")
        if runtime.control and get_config()["configurable"].get(DRAINS) == sent["number"]:
            runtime.control.request_drain("a node has asked for it")
        bulk = [stamped[0] + " " * _BULK] if sent["number"] == 1 else []
        return {"left": stamped, "right": stamped, "bulk": bulk}

    async def gather(self, _: State) -> State:
        stamped = await self._run("gather")
        return {"left": stamped, "right": stamped}

    async def ask(self, _: State) -> State:
        answer = interrupt(QUESTIONS[1])
        stamped = await self._run(f"ask-{answer}")
        return {"left": stamped, "right": stamped}

    async def close(self, _: State) -> State:
        stamped = await self._run("close")
        return {"left": stamped, "right": stamped}

    async def inner_open(self, _: Inner) -> Inner:
        stamped = await self._run("inner_open")
        return {"inner_left": stamped, "inner_right": stamped}

    async def inner_ask(self, _: Inner) -> Inner:
        answer = interrupt(QUESTIONS[0])
        stamped = await self._run(f"inner_ask-{answer}")
        return {"inner_left": stamped, "inner_right": stamped}

    async def inner_close(self, _: Inner) -> Inner:
        stamped = await self._run("inner_close")
        return {"inner_left": stamped, "inner_right": stamped}

    async def _run(self, name: str) -> list[str]:
        thread_id = get_config()["configurable"]["thread_id"]
        await asyncio.to_thread(leave_mark, self._far_end, f"{thread_id}/{name}/{self._worker}")
        return [f"{name}#{uuid.uuid4().hex[:12]}"]
