"""Subgraphs whose state a person edits while they wait."""

from __future__ import annotations

from langgraph.graph import START
from langgraph.types import Command

from tests.parity.shape import Answer, AnyGraph, Ask, Edit, Shape
from tests.parity.shapes.flow import say, talk
from tests.parity.shapes.interrupts import ask_for
from tests.parity.shapes.subgraphs import around, interrupt_in_a_subgraph, interrupt_two_subgraphs_deep


def edited_and_answered() -> AnyGraph:
    return interrupt_in_a_subgraph()


def edited_and_answered_by_the_old_id() -> AnyGraph:
    return interrupt_in_a_subgraph()


def edited_back_to_its_begin() -> AnyGraph:
    return interrupt_in_a_subgraph()


def edited_past_its_question() -> AnyGraph:
    return interrupt_in_a_subgraph()


def edited_in_the_innermost() -> AnyGraph:
    return interrupt_two_subgraphs_deep()


def edited_around_the_innermost() -> AnyGraph:
    return interrupt_two_subgraphs_deep()


def edited_and_asking_twice() -> AnyGraph:
    inner = talk("in1")
    inner.add_node("ask", ask_for("within?"))
    inner.add_node("more", ask_for("and then?"))
    inner.add_edge(START, "in1")
    inner.add_edge("in1", "ask")
    inner.add_edge("ask", "more")
    return around(inner.compile()).compile()


def edited_beside_one_that_is_done() -> AnyGraph:
    graph = talk("join")
    graph.add_node("inner", interrupt_in_a_subgraph())
    graph.add_node("beside", say("beside"))
    graph.add_edge(START, "inner")
    graph.add_edge(START, "beside")
    graph.add_edge(["inner", "beside"], "join")
    return graph.compile()


_IN = Ask({"words": ["in"]})
_YES = Ask(Command(resume="yes"))
_EDITED = {"words": ["edited"]}

SHAPES = (
    Shape(build=edited_and_answered, script=[_IN, Edit(_EDITED, as_node="in1", within=["inner"]), _YES, _YES]),
    Shape(
        build=edited_and_answered_by_the_old_id,
        script=[_IN, Edit(_EDITED, as_node="in1", within=["inner"]), Answer(["yes"]), Answer(["again"])],
    ),
    Shape(build=edited_back_to_its_begin, script=[_IN, Edit(_EDITED, as_node="__start__", within=["inner"]), _YES]),
    Shape(build=edited_past_its_question, script=[_IN, Edit(_EDITED, as_node="ask", within=["inner"]), _YES]),
    Shape(
        build=edited_in_the_innermost,
        script=[_IN, Edit(_EDITED, as_node="in1", within=["inner", "deep"]), _YES],
    ),
    Shape(build=edited_around_the_innermost, script=[_IN, Edit(_EDITED, as_node="m1", within=["inner"]), _YES]),
    Shape(build=edited_and_asking_twice, script=[_IN, Edit(_EDITED, as_node="in1", within=["inner"]), _YES, _YES]),
    Shape(
        build=edited_beside_one_that_is_done,
        script=[_IN, Edit(_EDITED, as_node="before", within=["inner"]), _YES, _YES],
    ),
)
