"""Runs whose caller drains them with LangGraph's `RunControl`, through the state store, in both units."""

from __future__ import annotations

import asyncio
import operator
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl, Runtime

from dapr_bridge import DaprSaver, DurableGraph
from dapr_bridge._draining import DrainMarks
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.late_worker import LateWorker
from tests.kit.sidecars import sqlite_sidecar

pytestmark = pytest.mark.anyio

Graph = CompiledStateGraph[Any, Any, Any, Any]
Host = Callable[..., DurableGraph]

_LONGEST_WAIT = 30


class State(TypedDict, total=False):
    """Words, in the order in which LangGraph applies them."""

    words: Annotated[list[str], operator.add]


def say(word: str) -> Callable[[State], State]:
    return lambda _: {"words": [word]}


def until_drained(control: RunControl) -> Callable[..., Any]:
    """Return a node that has its caller drain the run, and ends when it sees that for itself."""

    async def wait(_: State, runtime: Runtime) -> State:
        control.request_drain("shift ends")
        async with asyncio.timeout(_LONGEST_WAIT):
            while not (runtime.control and runtime.control.drain_requested):
                await asyncio.sleep(0.01)
        return {"words": ["waited"]}

    return wait


def chain(control: RunControl) -> Graph:
    graph = StateGraph(State).add_node("wait", until_drained(control)).add_node("after", say("after"))
    return graph.add_edge(START, "wait").add_edge("wait", "after").compile()


def fan_out(control: RunControl) -> Graph:
    graph = StateGraph(State).add_node("wait", until_drained(control)).add_node("beside", say("beside"))
    graph.add_node("after", say("after"))
    return graph.add_edge(START, "wait").add_edge(START, "beside").add_edge(["wait", "beside"], "after").compile()


def last(control: RunControl) -> Graph:
    return StateGraph(State).add_node("wait", until_drained(control)).add_edge(START, "wait").compile()


@pytest.fixture(scope="module")
def sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A daprd with a SQLite store and a pub/sub."""
    folder: Path = tmp_path_factory.mktemp("drains")
    with sqlite_sidecar("drains", control_plane=control_plane, folder=folder, store="drains", streams=True) as daprd:
        yield daprd


@pytest.fixture(scope="module")
def saver(sidecar: Sidecar) -> Iterator[DaprSaver]:
    """The saver of the threads."""
    with DaprSaver("drains", address=sidecar.address) as opened:
        yield opened


@pytest.fixture(scope="module", params=["run", "task"])
def host(sidecar: Sidecar, saver: DaprSaver, request: pytest.FixtureRequest) -> Iterator[Host]:
    """Hosts a graph on a worker, and returns it as its clients see it."""
    with LateWorker(unit=request.param, address=sidecar.address) as worker:

        def hosted(graph: Graph) -> DurableGraph:
            return DurableGraph(graph, name=worker.host(graph, saver=saver), saver=saver, address=sidecar.address)

        yield hosted


@asynccontextmanager
async def on_a_thread(durable: DurableGraph) -> AsyncIterator[dict[str, Any]]:
    async with durable:
        yield {"configurable": {"thread_id": str(uuid.uuid4())}}


@pytest.mark.parametrize("build", [chain, fan_out])
async def test_a_drained_run_stops_at_the_end_of_its_superstep_and_goes_on(
    build: Callable[[RunControl], Graph], host: Host
) -> None:
    control = RunControl()
    durable = host(build(control))
    async with on_a_thread(durable) as thread:
        with pytest.raises(GraphDrained, match="shift ends"):
            await durable.ainvoke({"words": ["in"]}, thread, control=control)
        stopped = await durable.aget_state(thread)
        output = await durable.ainvoke(None, thread)

    assert stopped.next == ("after",)
    assert output == {"words": [*stopped.values["words"], "after"]}
    assert "waited" in stopped.values["words"]


async def test_a_stream_tells_all_until_the_run_is_drained(host: Host) -> None:
    control = RunControl()
    durable = host(chain(control))
    async with on_a_thread(durable) as thread:
        events = durable.astream({"words": ["in"]}, thread, control=control, stream_mode="updates")
        seen = [await anext(events)]
        with pytest.raises(GraphDrained, match="shift ends"):
            await anext(events)

    assert seen == [{"wait": {"words": ["waited"]}}]


async def test_a_run_that_is_drained_in_its_last_superstep_ends_and_leaves_no_mark(
    host: Host, saver: DaprSaver
) -> None:
    control = RunControl()
    durable = host(last(control))
    async with on_a_thread(durable) as thread:
        run_id = f"run-{uuid.uuid4()}"
        output = await durable.ainvoke({"words": ["in"]}, thread, control=control, run_id=run_id)

    assert output == {"words": ["in", "waited"]}
    assert not await DrainMarks(saver.store).exists(run_id)


async def test_a_run_whose_control_is_drained_beforehand_keeps_its_input(host: Host) -> None:
    graph = StateGraph(State).add_node("say", say("said")).add_edge(START, "say").compile()
    durable, control = host(graph), RunControl()
    control.request_drain("no time")
    async with on_a_thread(durable) as thread:
        with pytest.raises(GraphDrained, match="no time"):
            await durable.ainvoke({"words": ["in"]}, thread, control=control)
        output = await durable.ainvoke(None, thread)

    assert output == {"words": ["in", "said"]}


async def test_a_graph_in_a_node_is_drained_with_the_graph_around_it(host: Host) -> None:
    control = RunControl()
    inner = host(chain(control))
    outer = host(StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile())
    async with inner, on_a_thread(outer) as thread:
        with pytest.raises(GraphDrained, match="shift ends"):
            await outer.ainvoke({"words": ["in"]}, thread, control=control)
        stopped = await outer.aget_state(thread)
        output = await outer.ainvoke(None, thread)

    assert stopped.next == ("inner",)
    assert output["words"][-3:] == ["in", "waited", "after"]
