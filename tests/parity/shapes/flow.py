"""Edges: what runs after what, and side by side with what."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph

from tests.parity.shape import AnyGraph, Ask, Shape


class Words(TypedDict, total=False):
    """What the graphs here gather."""

    words: Annotated[list[str], operator.add]
    count: int


def say(word: str):
    """Return a node that adds a word."""

    async def speak(_: Words) -> Words:
        return {"words": [word]}

    return speak


def talk(*nodes: str) -> StateGraph[Words]:
    """Return a graph of nodes that say their names, without edges."""
    graph = StateGraph(Words)
    for node in nodes:
        graph.add_node(node, say(node))
    return graph


def chain() -> AnyGraph:
    graph = talk("a", "b", "c")
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", "c")
    return graph.compile()


def sequence_of_synchronous_nodes() -> AnyGraph:
    def one(state: Words) -> Words:
        return {"words": ["one"], "count": len(state["words"])}

    def two(state: Words) -> Words:
        return {"words": [f"two after {state['count']}"]}

    graph = StateGraph(Words)
    graph.add_sequence([one, two])
    graph.add_edge(START, "one")
    return graph.compile()


def loop() -> AnyGraph:
    async def count(state: Words) -> Words:
        return {"words": [str(state.get("count", 0))], "count": state.get("count", 0) + 1}

    graph = StateGraph(Words)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: END if state["count"] > 4 else "count")
    return graph.compile()


def joins_of_uneven_length() -> AnyGraph:
    graph = talk("a", "long1", "long2", "long3", "short", "waits for both", "runs at each")
    graph.add_edge(START, "a")
    for first, second in (("a", "long1"), ("long1", "long2"), ("long2", "long3"), ("a", "short")):
        graph.add_edge(first, second)
    graph.add_edge(["long3", "short"], "waits for both")
    graph.add_edge("short", "runs at each")
    graph.add_edge("long3", "runs at each")
    return graph.compile()


def join_in_a_loop() -> AnyGraph:
    async def count(state: Words) -> Words:
        return {"count": state.get("count", 0) + 1, "words": ["round"]}

    graph = talk("left", "right")
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    graph.add_edge("count", "left")
    graph.add_edge("count", "right")
    graph.add_node("join", say("join"))
    graph.add_edge(["left", "right"], "join")
    graph.add_conditional_edges("join", lambda state: END if state["count"] > 1 else "count")
    return graph.compile()


def two_edges_from_start() -> AnyGraph:
    graph = talk("a", "b", "c")
    graph.add_edge(START, "a")
    graph.add_edge(START, "b")
    graph.add_edge("b", "c")
    return graph.compile()


def conditional_start() -> AnyGraph:
    graph = talk("greet", "leave", "always")
    graph.add_conditional_edges(START, lambda state: "greet" if "hello" in state["words"] else ["leave", "always"])
    return graph.compile()


def path_map() -> AnyGraph:
    graph = talk("a", "big", "small")
    graph.add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: len(state["words"]) > 2, {True: "big", False: "small"})
    return graph.compile()


def several_branches_of_one_node() -> AnyGraph:
    def one(_: Words) -> str:
        return "c"

    def both(_: Words) -> list[str]:
        return ["d", "c"]

    graph = talk("a", "b", "c", "d")
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_conditional_edges("a", one, ["c", "d"])
    graph.add_conditional_edges("a", both, ["c", "d"])
    return graph.compile()


def deferred_node() -> AnyGraph:
    graph = talk("a", "b", "b2", "c")
    graph.add_node("last", say("last"), defer=True)
    graph.add_edge(START, "a")
    for first, second in (("a", "b"), ("a", "c"), ("b", "b2"), ("b2", "last"), ("c", "last")):
        graph.add_edge(first, second)
    return graph.compile()


def fan_out_and_in() -> AnyGraph:
    middle = [f"m{number}" for number in range(5)]
    graph = talk("a", *middle, "z")
    graph.add_edge(START, "a")
    for node in middle:
        graph.add_edge("a", node)
        graph.add_edge(node, "z")
    return graph.compile()


def runs_of_one_thread() -> AnyGraph:
    return chain()


def recursion_limit() -> AnyGraph:
    graph = talk("a", "b")
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", "a")
    return graph.compile()


def step_that_meets_the_limit() -> AnyGraph:
    return chain()


def no_input() -> AnyGraph:
    return chain()


_IN = Ask({"words": ["in"]})

SHAPES = (
    *(
        Shape(build=build, script=[_IN])
        for build in (
            chain,
            sequence_of_synchronous_nodes,
            loop,
            joins_of_uneven_length,
            join_in_a_loop,
            two_edges_from_start,
            several_branches_of_one_node,
            deferred_node,
            fan_out_and_in,
        )
    ),
    Shape(build=conditional_start, script=[Ask({"words": ["hello"]}), Ask({"words": ["bye"]})]),
    Shape(build=path_map, script=[_IN, Ask({"words": ["more"]})]),
    Shape(build=runs_of_one_thread, script=[_IN, Ask({"words": ["again"]}), Ask(None), Ask({})]),
    Shape(
        build=recursion_limit,
        script=[Ask({"words": ["in"]}, config={"recursion_limit": 5}), Ask(None, config={"recursion_limit": 2})],
    ),
    Shape(build=step_that_meets_the_limit, script=[Ask({"words": ["in"]}, config={"recursion_limit": 3})]),
    Shape(build=no_input, script=[Ask(None), _IN]),
)
