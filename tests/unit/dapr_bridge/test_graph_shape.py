"""What a graph lacks of that which a checkpoint has to go on with, and what a fingerprint tells apart."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge._graph_shape import fingerprint, missing_in

pytestmark = pytest.mark.anyio

THREAD = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


async def say(_: Any) -> State:
    return {"words": ["x"]}


async def fail(_: Any) -> State:
    raise RuntimeError("as expected")


def graph(*edges: tuple[str | list[str], str], deferred: str = "", failing: str = "") -> StateGraph[State]:
    """A graph of these edges; a list of nodes is a join."""
    built = StateGraph(State)
    named = {each for start, end in edges for each in (*([start] if isinstance(start, str) else start), end)}
    for name in sorted(named - {START}):
        built.add_node(name, fail if name == failing else say, defer=name == deferred)
    for start, end in edges:
        built.add_edge(start, end)
    return built


async def lacking(first: Any, second: Any, *, before: list[str]) -> list[str]:
    """Run a graph up to some nodes, and tell what another lacks."""
    saver = InMemorySaver()
    running = first.compile(checkpointer=saver, interrupt_before=before)
    try:
        await running.ainvoke({"words": []}, THREAD)
    except RuntimeError:
        assert not before
    assert missing_in(running, await saver.aget_tuple(THREAD)) == []
    return missing_in(second.compile(), await saver.aget_tuple(THREAD))


CHAIN = graph((START, "a"), ("a", "b"))
JOIN = graph((START, "a"), (START, "b"), (["a", "b"], "c"))


async def test_the_next_node_of_a_chain_is_missed() -> None:
    assert await lacking(CHAIN, graph((START, "a")), before=["b"]) == ["b"]
    assert await lacking(CHAIN, graph((START, "b")), before=["b"]) == []


async def test_a_join_is_missed_when_its_node_or_its_edge_is_gone() -> None:
    assert await lacking(JOIN, graph((START, "a"), (START, "b")), before=["c"]) == ["c"]
    assert await lacking(JOIN, graph((START, "a"), (START, "b"), ("a", "c")), before=["c"]) == ["join:a+b:c"]


async def test_a_join_that_still_waits_is_missed_only_where_its_node_would_wait_for_ever() -> None:
    waiting = graph((START, "a"), (START, "b"), ("b", "b2"), (["a", "b2"], "c"))
    without_node = graph((START, "a"), (START, "b"), ("b", "b2"))
    other_join = graph((START, "a"), (START, "b"), ("b", "b2"), (["b", "b2"], "c"))

    assert await lacking(waiting, without_node, before=["b2"]) == []
    assert await lacking(waiting, other_join, before=["b2"]) == ["join:a+b2:c"]


async def test_a_join_that_has_passed_is_not_missed() -> None:
    passed = graph((START, "a"), (START, "b"), (["a", "b"], "c"), ("c", "d"))

    assert await lacking(passed, graph((START, "c"), ("c", "d")), before=["d"]) == []


async def test_a_join_behind_finished_tasks_that_are_not_applied_yet_is_missed() -> None:
    both = graph((START, "a"), (START, "b"), (START, "bad"), (["a", "b"], "c"), failing="bad")
    fewer = graph((START, "a"), (START, "b"), (START, "bad"))

    assert await lacking(both, fewer, before=[]) == ["c"]


async def test_what_a_finished_task_calls_is_missed_before_it_is_applied() -> None:
    chain = graph((START, "a"), ("a", "b"), (START, "bad"), failing="bad")

    assert await lacking(chain, graph((START, "a"), (START, "bad")), before=[]) == ["b"]


async def test_a_deferred_node_and_a_deferred_join_are_missed() -> None:
    deferred = graph((START, "a"), ("a", "b"), deferred="b")
    joined = graph((START, "a"), (START, "b"), (["a", "b"], "c"), deferred="c")

    assert await lacking(deferred, graph((START, "a")), before=["b"]) == ["b"]
    assert await lacking(joined, graph((START, "a"), (START, "b")), before=["c"]) == ["c"]


async def test_nodes_that_sends_are_for_are_missed() -> None:
    sending = graph((START, "a")).add_node("b", say)
    sending.add_conditional_edges("a", lambda _: [Send("b", {}), Send("b", {})], ["b"])

    assert await lacking(sending, graph((START, "a")), before=["b"]) == ["b"]


async def test_a_thread_without_a_checkpoint_misses_nothing() -> None:
    assert missing_in(CHAIN.compile(), None) == []


def test_the_fingerprint_tells_edges_branches_channels_and_subgraphs_apart() -> None:
    class Other(TypedDict, total=False):
        words: list[str]

    other_channel = StateGraph(Other).add_node("a", say).add_node("b", say).add_edge(START, "a").add_edge("a", "b")
    branching = graph((START, "a")).add_node("b", say).add_conditional_edges("a", lambda _: "b", ["b"])
    nested = graph((START, "a")).add_node("b", CHAIN.compile()).add_edge("a", "b")
    nested_otherwise = graph((START, "a")).add_node("b", JOIN.compile()).add_edge("a", "b")
    backwards = graph((START, "b"), ("b", "a"))
    different = [CHAIN, JOIN, other_channel, branching, nested, nested_otherwise, backwards]

    prints = [fingerprint(each.compile()) for each in different]

    assert len(set(prints)) == len(different)
    assert prints == [fingerprint(each.compile()) for each in different]
