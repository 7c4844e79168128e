"""Graphs within graphs."""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from tests.parity.shape import Answer, AnyGraph, Ask, GoOn, Shape, fails_times
from tests.parity.shapes.flow import Words, say, talk


class Apart(TypedDict, total=False):
    """A state that shares nothing with the parent's."""

    text: str
    length: int


def _inner(*, checkpointer: bool | None = None) -> AnyGraph:
    inner = talk("in1", "in2")
    inner.add_edge(START, "in1")
    inner.add_edge("in1", "in2")
    return inner.compile(checkpointer=checkpointer)


def _asking(*, checkpointer: bool | None = None) -> AnyGraph:
    async def ask(state: Words) -> Words:
        return {"words": [f"answer {interrupt('within?')} after {len(state['words'])}"]}

    inner = talk("in1", "in2")
    inner.add_node("ask", ask)
    inner.add_edge(START, "in1")
    inner.add_edge("in1", "ask")
    inner.add_edge("ask", "in2")
    return inner.compile(checkpointer=checkpointer)


def around(inner: Any) -> StateGraph[Words]:
    """`before`, then a graph or a node, then `after`."""
    graph = talk("before", "after")
    graph.add_node("inner", inner)
    graph.add_edge(START, "before")
    graph.add_edge("before", "inner")
    graph.add_edge("inner", "after")
    return graph


def subgraph_as_a_node() -> AnyGraph:
    return around(_inner()).compile()


def subgraph_without_checkpoints() -> AnyGraph:
    return around(_inner(checkpointer=False)).compile()


def nested_subgraphs() -> AnyGraph:
    middle = talk("m1")
    middle.add_node("deep", _inner())
    middle.add_edge(START, "m1")
    middle.add_edge("m1", "deep")
    return around(middle.compile()).compile()


def subgraph_called_from_a_node() -> AnyGraph:
    async def measure(state: Apart) -> Apart:
        return {"length": len(state["text"])}

    apart = StateGraph(Apart)
    apart.add_node("measure", measure)
    apart.add_edge(START, "measure")
    measuring = apart.compile()

    async def call(state: Words, config: RunnableConfig) -> Words:
        measured = await measuring.ainvoke({"text": " ".join(state["words"])}, config)
        return {"count": measured["length"]}

    return around(call).compile()


def subgraph_with_its_own_memory() -> AnyGraph:
    return around(_inner(checkpointer=True)).compile()


def subgraph_with_its_own_memory_that_asks() -> AnyGraph:
    return around(_asking(checkpointer=True)).compile()


def interrupt_in_a_subgraph() -> AnyGraph:
    return around(_asking()).compile()


def interrupt_two_subgraphs_deep() -> AnyGraph:
    middle = talk("m1", "m2")
    middle.add_node("deep", _asking())
    middle.add_edge(START, "m1")
    middle.add_edge("m1", "deep")
    middle.add_edge("deep", "m2")
    return around(middle.compile()).compile()


def subgraphs_side_by_side() -> AnyGraph:
    graph = talk("join")
    graph.add_node("left", _asking())
    graph.add_node("right", _asking())
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "join")
    return graph.compile()


def sends_to_a_subgraph() -> AnyGraph:
    graph = talk("join")
    graph.add_node("inner", _inner())
    graph.add_conditional_edges(START, lambda _: [Send("inner", {"words": [str(n)]}) for n in range(3)], ["inner"])
    graph.add_edge("inner", "join")
    return graph.compile()


def sends_to_a_subgraph_that_asks() -> AnyGraph:
    graph = talk("join")
    graph.add_node("inner", _asking())
    graph.add_conditional_edges(START, lambda _: [Send("inner", {"words": [str(n)]}) for n in range(2)], ["inner"])
    graph.add_edge("inner", "join")
    return graph.compile()


def failure_in_a_subgraph() -> AnyGraph:
    maybe_fail = fails_times(1, KeyError("deep down"))

    async def fragile(_: Words) -> Words:
        maybe_fail()
        return {"words": ["mended"]}

    inner = talk("in1")
    inner.add_node("fragile", fragile)
    inner.add_edge(START, "in1")
    inner.add_edge("in1", "fragile")
    return around(inner.compile()).compile()


def breakpoint_in_a_subgraph() -> AnyGraph:
    inner = talk("in1", "in2")
    inner.add_edge(START, "in1")
    inner.add_edge("in1", "in2")
    return around(inner.compile(interrupt_before=["in2"])).compile()


def breakpoint_in_a_subgraph_after_an_answer() -> AnyGraph:
    return around(_stopping_after_an_answer()).compile()


def breakpoint_in_a_subgraph_beside_a_question() -> AnyGraph:
    async def ask(_: Words) -> Words:
        return {"words": [interrupt("yonder?")]}

    graph = talk("join")
    graph.add_node("left", _stopping_after_an_answer())
    graph.add_node("right", ask)
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "join")
    return graph.compile()


def breakpoint_beside_a_subgraph_with_its_own_memory() -> AnyGraph:
    graph = talk("again", "beside")
    graph.add_node("inner", _inner(checkpointer=True))
    graph.add_edge(START, "inner")
    graph.add_conditional_edges("inner", lambda state: END if "again" in state["words"] else "again", ["again", END])
    graph.add_edge("again", "inner")
    graph.add_edge("again", "beside")
    return graph.compile(interrupt_before=["beside"])


def _stopping_after_an_answer() -> AnyGraph:
    async def ask(_: Words) -> Words:
        return {"words": [interrupt("within?")]}

    inner = talk("in2")
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    inner.add_edge("ask", "in2")
    return inner.compile(interrupt_after=["ask"])


def recursion_limit_in_a_subgraph() -> AnyGraph:
    inner = StateGraph(Words)
    inner.add_node("round", say("round"))
    inner.add_edge(START, "round")
    inner.add_edge("round", "round")
    return around(inner.compile()).compile()


_IN = Ask({"words": ["in"]})
_AGAIN = Ask({"words": ["again"]})

SHAPES = (
    *(
        Shape(build=build, script=[_IN, _AGAIN])
        for build in (
            subgraph_as_a_node,
            subgraph_without_checkpoints,
            nested_subgraphs,
            subgraph_called_from_a_node,
            subgraph_with_its_own_memory,
            sends_to_a_subgraph,
        )
    ),
    *(
        Shape(build=build, script=[_IN, Answer(["yes"]), _AGAIN, Answer(["no"])])
        for build in (
            subgraph_with_its_own_memory_that_asks,
            interrupt_in_a_subgraph,
            interrupt_two_subgraphs_deep,
        )
    ),
    Shape(build=subgraphs_side_by_side, script=[_IN, Answer(["one", "two"])]),
    Shape(build=sends_to_a_subgraph_that_asks, script=[_IN, Answer(["one"]), Answer(["two"])]),
    Shape(build=failure_in_a_subgraph, script=[_IN, Ask(None)]),
    Shape(build=breakpoint_in_a_subgraph, script=[_IN, Ask(None)]),
    Shape(build=breakpoint_in_a_subgraph_after_an_answer, script=[_IN, Answer(["yes"]), Ask(None)]),
    Shape(build=breakpoint_in_a_subgraph_beside_a_question, script=[_IN, Answer(["yes"]), GoOn(), Ask(None)]),
    Shape(build=breakpoint_beside_a_subgraph_with_its_own_memory, script=[_IN, Ask(None), _AGAIN, Ask(None)]),
    Shape(build=recursion_limit_in_a_subgraph, script=[Ask({"words": ["in"]}, config={"recursion_limit": 6})]),
)
