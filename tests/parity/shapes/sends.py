"""`Send`: a node run several times in one step, each with an argument of its own."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from tests.parity.shape import Answer, AnyGraph, Ask, Shape, fails_times


class Tally(TypedDict, total=False):
    """Numbers that came back."""

    numbers: Annotated[list[int], operator.add]
    total: int


async def square(sent: dict[str, int]) -> Tally:
    return {"numbers": [sent["n"] ** 2]}


async def add_up(state: Tally) -> Tally:
    return {"total": sum(state["numbers"])}


def _three(_: Any) -> list[Send]:
    return [Send("square", {"n": n}) for n in (3, 1, 2)]


def _three_by(node: Any) -> AnyGraph:
    graph = StateGraph(Tally)
    graph.add_node("square", node)
    graph.add_node("add_up", add_up)
    graph.add_conditional_edges(START, _three, ["square"])
    graph.add_edge("square", "add_up")
    return graph.compile()


def sends_with_different_arguments() -> AnyGraph:
    return _three_by(square)


def sends_with_equal_arguments() -> AnyGraph:
    graph = StateGraph(Tally)
    graph.add_node("square", square)
    graph.add_conditional_edges(START, lambda _: [Send("square", {"n": 4})] * 3, ["square"])
    return graph.compile()


def sends_beside_edges() -> AnyGraph:
    async def first(_: Tally) -> Tally:
        return {"numbers": [0]}

    async def beside(state: Tally) -> Tally:
        return {"numbers": [len(state["numbers"])]}

    graph = StateGraph(Tally)
    for node in (first, square, beside, add_up):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "first")
    graph.add_edge("first", "beside")
    graph.add_conditional_edges("first", _three, ["square"])
    graph.add_edge(["square", "beside"], "add_up")
    return graph.compile()


def sends_that_send() -> AnyGraph:
    async def split(sent: dict[str, int]) -> Command[Any]:
        halves = [Send("split", {"n": sent["n"] // 2})] * 2 if sent["n"] > 1 else []
        return Command(update={"numbers": [sent["n"]]}, goto=halves)

    graph = StateGraph(Tally)
    graph.add_node("split", split)
    graph.add_conditional_edges(START, lambda _: Send("split", {"n": 4}), ["split"])
    return graph.compile()


def sends_to_two_nodes() -> AnyGraph:
    async def negate(sent: dict[str, int]) -> Tally:
        return {"numbers": [-sent["n"]]}

    graph = StateGraph(Tally)
    graph.add_node("square", square)
    graph.add_node("negate", negate)
    graph.add_conditional_edges(
        START, lambda _: [Send("negate", {"n": 1}), Send("square", {"n": 2}), Send("negate", {"n": 3})]
    )
    return graph.compile()


def one_send_of_three_fails() -> AnyGraph:
    maybe_fail = fails_times(1, ValueError("the second is broken"))

    async def fragile(sent: dict[str, int]) -> Tally:
        if sent["n"] == 1:
            maybe_fail()
        return {"numbers": [sent["n"]]}

    return _three_by(fragile)


def sends_that_ask() -> AnyGraph:
    async def ask(sent: dict[str, int]) -> Tally:
        return {"numbers": [sent["n"] if sent["n"] == 1 else interrupt(f"what of {sent['n']}?")]}

    return _three_by(ask)


_IN = [Ask({"numbers": []})]

SHAPES = (
    *(
        Shape(build=build, script=_IN)
        for build in (
            sends_with_different_arguments,
            sends_with_equal_arguments,
            sends_beside_edges,
            sends_that_send,
            sends_to_two_nodes,
        )
    ),
    Shape(build=one_send_of_three_fails, script=[*_IN, Ask(None)]),
    Shape(build=sends_that_ask, script=[*_IN, Answer([30, 20])]),
)
