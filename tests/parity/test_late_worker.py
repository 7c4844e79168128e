"""Graphs that are added to a worker while it runs, on which the comparison of generated graphs stands."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.untracked_value import UntrackedValue
from langgraph.graph import START, StateGraph

from dapr_bridge import DurableGraph, GraphFailedError, GraphRefusedError
from tests.parity.hosting import LateHost
from tests.parity.shape import AnyGraph
from tests.parity.shapes.flow import chain, loop

pytestmark = pytest.mark.anyio


async def run(graph: AnyGraph, value: Any, late: LateHost) -> Any:
    name = late.worker.host(graph, saver=late.saver)
    thread = RunnableConfig(configurable={"thread_id": str(uuid.uuid4())})
    async with DurableGraph(graph, name=name, saver=late.saver, address=late.address) as durable:
        return await durable.ainvoke(value, thread)


async def test_two_graphs_that_were_added_late_are_both_served(late: LateHost) -> None:
    assert await run(chain(), {"words": ["in"]}, late) == {"words": ["in", "a", "b", "c"]}
    assert (await run(loop(), {"words": ["in"]}, late))["count"] == 5


class Passing(TypedDict, total=False):
    """A state with a value that is never saved."""

    handle: Annotated[Any, UntrackedValue]


async def test_an_output_that_cannot_be_kept_is_an_error_that_says_so(late: LateHost) -> None:
    async def open_handle(_: Passing) -> Passing:
        return {"handle": (each for each in "ab")}

    graph = StateGraph(Passing)
    graph.add_node("open_handle", open_handle)
    graph.add_edge(START, "open_handle")

    if late.unit == "task":
        with pytest.raises(GraphRefusedError, match="'handle' is an UntrackedValue"):
            await run(graph.compile(), {}, late)
        return
    with pytest.raises(GraphFailedError, match=r"the output, at \['handle'\], holds a generator") as caught:
        await run(graph.compile(), {}, late)

    assert caught.value.error_type == "ValueNotKeptError"
