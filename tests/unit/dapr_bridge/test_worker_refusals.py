"""What a worker refuses when a graph is registered, and what it says."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from dapr_bridge import DaprSaver, GraphNotFoundError, GraphRefusedError, GraphWorker


class State(TypedDict, total=False):
    """One channel."""

    word: str


def graph(node: Any = lambda _: {"word": "x"}) -> StateGraph[State]:
    built = StateGraph(State)
    built.add_node("node", node)
    built.add_edge(START, "node")
    return built


def keeping(keeps: Any) -> GraphWorker:
    saver = DaprSaver("store", address="127.0.0.1:1")
    return GraphWorker(graphs={"triage": graph().compile()}, saver=saver, address="127.0.0.1:1", keep_checkpoints=keeps)


def in_unit(unit: Any) -> GraphWorker:
    saver = DaprSaver("store", address="127.0.0.1:1")
    return GraphWorker(graphs={"triage": graph().compile()}, saver=saver, address="127.0.0.1:1", unit=unit)


def worker(**graphs: Any) -> GraphWorker:
    return GraphWorker(graphs=graphs, saver=DaprSaver("store", address="127.0.0.1:1"), address="127.0.0.1:1")


def test_a_graph_with_a_checkpointer_of_its_own_is_refused() -> None:
    with pytest.raises(GraphRefusedError, match=r"'chat' is compiled with checkpointer=.*compile it without"):
        worker(chat=graph().compile(checkpointer=InMemorySaver()))


def test_a_name_that_cannot_be_an_activity_is_refused() -> None:
    with pytest.raises(GraphRefusedError, match=r"graph name 'a\.b'"):
        worker(**{"a.b": graph().compile()})


def test_an_unknown_graph_is_answered_with_those_there_are() -> None:
    with pytest.raises(GraphNotFoundError, match="no graph 'expret' on this worker; it has 'expert', 'triage'"):
        worker(triage=graph().compile(), expert=graph().compile()).graph("expret")


def test_the_fingerprint_changes_with_the_shape_and_not_with_the_process() -> None:
    longer = graph().add_node("more", lambda _: {}).add_edge("node", "more").compile()

    prints = worker(one=graph().compile(), same=graph().compile(), longer=longer).fingerprints()

    assert prints["one"] == prints["same"] != prints["longer"]


@pytest.mark.parametrize("unit", ["tasks", "", None, {"triage": "tasks"}])
def test_a_unit_that_there_is_not_is_refused(unit: Any) -> None:
    with pytest.raises(GraphRefusedError, match=r"'triage': unit=.* is unknown; there are 'run' and 'task'"):
        in_unit(unit)


def test_a_unit_for_a_graph_that_is_not_there_is_refused() -> None:
    with pytest.raises(GraphRefusedError, match="unit names graph 'triaeg'; this worker has 'triage'"):
        in_unit({"triaeg": "task"})


@pytest.mark.parametrize(("unit", "meant"), [("task", "task"), ({"triage": "task"}, "task"), ({}, "run")])
def test_a_graph_is_in_its_unit_or_in_run(unit: Any, meant: str) -> None:
    assert in_unit(unit).unit("triage") == meant


@pytest.mark.parametrize("keeps", [0, -1, True, 2.5, "last", None])
def test_to_keep_what_is_no_number_of_checkpoints_is_refused(keeps: Any) -> None:
    for given in (keeps, {"triage": keeps}):
        with pytest.raises(GraphRefusedError, match=r"'triage': keep_checkpoints=.* is neither 'all' nor a number"):
            keeping(given)


def test_to_keep_checkpoints_of_a_graph_that_is_not_there_is_refused() -> None:
    with pytest.raises(GraphRefusedError, match="keep_checkpoints names graph 'triaeg'; this worker has 'triage'"):
        keeping({"triaeg": 1})


@pytest.mark.parametrize("keeps", [1, "all", {"triage": 20}, {}])
def test_a_worker_may_keep_a_number_of_checkpoints_or_all(keeps: Any) -> None:
    assert keeping(keeps).graph("triage")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"graphs": {"triage": graph()}}, r"graph 'triage' is a StateGraph that is not compiled: call \.compile\(\)"),
        ({"graphs": {"triage": asyncio.sleep}}, "graph 'triage' is a function: give a compiled graph"),
        ({"graphs": [graph().compile()]}, r"graphs=\[.*\]: give them by name"),
        ({"saver": "execution-state"}, r"saver='execution-state': give a DaprSaver"),
        ({"store": "execution-state"}, r"store='execution-state': give a store of LangGraph's, such as DaprStore"),
        ({"lease": 5}, r"lease=5: give a time above zero, such as timedelta\(seconds=30\)"),
        ({"lease": timedelta(0)}, r"lease=datetime\.timedelta\(0\): give a time above zero"),
    ],
)
def test_what_is_of_another_kind_is_refused_at_once(given: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {"graphs": {"triage": graph().compile()}, "saver": DaprSaver("store", address="127.0.0.1:1")}

    with pytest.raises(GraphRefusedError, match=message):
        GraphWorker(**(fine | given), address="127.0.0.1:1")
