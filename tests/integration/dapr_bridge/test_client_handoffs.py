"""A `DurableGraph` in a node of another graph commands that graph, as a subgraph may."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import ParentCommand
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, GraphFailedError, GraphWorker, Unit
from dapr_bridge._run_values import RunValues
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.sidecars import sqlite_sidecar
from tests.parity.hosting import UNITS, collect_event_loops

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

_LONG = "x" * 20_000


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


def leaving(update: Any, *, beside: int = 0) -> Any:
    """A graph that leaves to the node `after` of the graph around it, at once or with others beside."""

    async def leave(_: State) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="after", update=update)

    async def stay(_: State) -> State:
        return {"words": ["stayed"]}

    graph = StateGraph(State)
    graph.add_node("leave", leave)
    graph.add_edge(START, "leave")
    for number in range(beside):
        graph.add_node(f"stay-{number}", stay)
        graph.add_edge(START, f"stay-{number}")
    return graph.compile()


_PAIRS = [("words", ["one"]), ("words", [("two", 2)])]


def build_graphs() -> dict[str, Any]:
    return {
        "short": leaving({"words": ["short"]}),
        "long": leaving({"words": [_LONG]}),
        "beside": leaving({"words": ["beside"]}, beside=2),
        "pairs": leaving(_PAIRS),
        "pairs-beside": leaving(_PAIRS, beside=2),
    }


def build_unkept() -> dict[str, Any]:
    return {"unkept": leaving({"words": [object()]}), "unkept-beside": leaving({"words": [object()]}, beside=2)}


def around(inside: Any) -> Any:
    """A graph with a node that is or calls another graph, and one to which that goes."""

    async def after(state: State) -> State:
        return {"words": [f"after {len(state.get('words', []))}"]}

    graph = StateGraph(State)
    graph.add_node("inside", inside, destinations=("after",))
    graph.add_node("after", after)
    graph.add_edge(START, "inside")
    return graph.compile(checkpointer=InMemorySaver())


def as_it_is(graph: Any) -> Any:
    return graph


def called(graph: Any) -> Any:
    async def call(state: State, config: RunnableConfig) -> Any:
        return await graph.ainvoke(state, config)

    return call


def watched(graph: Any) -> Any:
    async def watch(state: State, config: RunnableConfig) -> None:
        async for _ in graph.astream(state, config):
            pass

    return watch


@pytest.fixture(scope="module")
def sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with a SQLite store."""
    folder = tmp_path_factory.mktemp("handoffs")
    with sqlite_sidecar("handoffs", control_plane=control_plane, folder=folder, streams=True) as running:
        yield running
    collect_event_loops()


@asynccontextmanager
async def hosted(sidecar: Sidecar, name: str, unit: Unit) -> AsyncIterator[DurableGraph]:
    graphs = {**build_graphs(), **build_unkept()}
    with DaprSaver("execution-state", address=sidecar.address) as saver:
        worker = GraphWorker(graphs=graphs, saver=saver, unit=unit, address=sidecar.address)
        client = DurableGraph(graphs[name], name=name, saver=saver, address=sidecar.address)
        async with worker, client as durable:
            yield durable


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", list(build_graphs()))
@pytest.mark.parametrize("how", [as_it_is, called, watched])
async def test_it_goes_where_a_subgraph_would(
    sidecar: Sidecar, how: Callable[[Any], Any], name: str, unit: Unit
) -> None:
    native = await around(how(build_graphs()[name])).ainvoke({"words": ["in"]}, on_thread("native"))
    async with hosted(sidecar, name, unit) as durable:
        output = await around(how(durable)).ainvoke({"words": ["in"]}, on_thread(f"{how.__name__} {name} {unit}"))

    assert output == native
    assert output["words"][-1] == f"after {len(native['words']) - 1}"


@pytest.mark.parametrize("unit", UNITS)
async def test_by_itself_it_fails_as_it_does_in_langgraph(sidecar: Sidecar, unit: Unit) -> None:
    async with hosted(sidecar, "beside", unit) as durable:
        with pytest.raises(GraphFailedError) as failed:
            await durable.ainvoke({"words": ["in"]}, on_thread(f"alone {unit}"))
    with pytest.raises(ParentCommand) as native:
        await build_graphs()["beside"].ainvoke({"words": ["in"]})

    assert (failed.value.error_type, failed.value.message) == ("ParentCommand", str(native.value))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", list(build_unkept()))
async def test_what_it_commands_and_cannot_be_kept_fails_it_by_name(sidecar: Sidecar, name: str, unit: Unit) -> None:
    async with hosted(sidecar, name, unit) as durable:
        with pytest.raises(GraphFailedError, match="a Command holds a Command that LangGraph's serializer") as failed:
            await around(durable).ainvoke({"words": ["in"]}, on_thread(f"{name} {unit}"))

    assert failed.value.error_type == "ValueNotKeptError"


async def test_what_a_task_on_a_worker_of_an_older_release_has_commanded_leaves_it_too(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def save_alone(self: RunValues, value: Any, name: str, *, what: str) -> Any:
        return await self.saver.aput_value(name, value)

    monkeypatch.setattr(RunValues, "save_given", save_alone)
    async with hosted(sidecar, "beside", "task") as durable:
        output = await around(durable).ainvoke({"words": ["in"]}, on_thread("of an older release"))

    assert output == {"words": ["in", "beside", "after 2"]}
