"""Time travel: an earlier state, gone on from."""

from __future__ import annotations

from langgraph.graph import START

from tests.parity.shape import Answer, AnyGraph, Ask, Edit, Shape
from tests.parity.shapes.flow import chain, talk
from tests.parity.shapes.interrupts import one_interrupt


def replay_from_an_earlier_state() -> AnyGraph:
    return chain()


def replay_of_a_loop() -> AnyGraph:
    graph = talk("a", "b")
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_conditional_edges("b", lambda state: "a" if len(state["words"]) < 6 else "__end__")
    return graph.compile()


def fork_of_an_earlier_state() -> AnyGraph:
    return chain()


def replay_from_before_an_answer() -> AnyGraph:
    return one_interrupt()


def fork_from_before_an_answer() -> AnyGraph:
    return one_interrupt()


def new_input_at_an_earlier_state() -> AnyGraph:
    return chain()


_IN = Ask({"words": ["in"]})

SHAPES = (
    Shape(build=replay_from_an_earlier_state, script=[_IN, Ask(None, at=2), Ask(None, at=0)]),
    Shape(build=replay_of_a_loop, script=[_IN, Ask(None, at=3)]),
    Shape(build=fork_of_an_earlier_state, script=[_IN, Edit({"words": ["forked"]}, at=1), Ask(None)]),
    Shape(build=replay_from_before_an_answer, script=[_IN, Answer(["yes"]), Ask(None, at=2)]),
    Shape(build=fork_from_before_an_answer, script=[_IN, Answer(["yes"]), Edit(None, at=2), Answer(["no"])]),
    Shape(build=new_input_at_an_earlier_state, script=[_IN, Ask({"words": ["other"]}, at=2)]),
)
