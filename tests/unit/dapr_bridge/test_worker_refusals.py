"""What a worker refuses when a graph is registered, and what it says."""

from __future__ import annotations

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
