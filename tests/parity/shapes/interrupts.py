"""Questions to a person, and breakpoints."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from tests.parity.shape import Answer, AnyGraph, Ask, Edit, Shape
from tests.parity.shapes.flow import Words, chain, say, talk


def ask_for(what: Any):
    """Return a node that asks once."""

    async def ask(_: Words) -> Words:
        return {"words": [f"{what}: {interrupt(what)}"]}

    return ask


def interrupt_of_a_graph_whose_output_is_a_list() -> AnyGraph:
    async def ask(_: list[str]) -> list[str]:
        return [interrupt("a word?")]

    graph = StateGraph(Annotated[list[str], operator.add])
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    return graph.compile()


def one_interrupt() -> AnyGraph:
    graph = talk("before", "after")
    graph.add_node("ask", ask_for({"question": "go on?", "choices": ["yes", "no"]}))
    graph.add_edge(START, "before")
    graph.add_edge("before", "ask")
    graph.add_edge("ask", "after")
    return graph.compile()


def interrupts_one_after_the_other() -> AnyGraph:
    async def ask(_: Words) -> Words:
        return {"words": [interrupt("first?"), interrupt("second?"), interrupt("third?")]}

    graph = talk("after")
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "after")
    return graph.compile()


def interrupts_in_several_nodes() -> AnyGraph:
    graph = talk("beside", "join")
    for node in ("left", "middle", "right"):
        graph.add_node(node, ask_for(node))
    for node in ("left", "middle", "right", "beside"):
        graph.add_edge(START, node)
    graph.add_edge(["left", "middle", "right", "beside"], "join")
    return graph.compile()


def interrupts_answered_one_by_one() -> AnyGraph:
    return interrupts_in_several_nodes()


def interrupt_answered_without_its_id() -> AnyGraph:
    return one_interrupt()


def interrupts_one_after_the_other_answered_without_ids() -> AnyGraph:
    return interrupts_one_after_the_other()


def interrupts_answered_without_ids() -> AnyGraph:
    return interrupts_in_several_nodes()


def interrupt_passed_over() -> AnyGraph:
    return one_interrupt()


def interrupt_left_for_a_new_input() -> AnyGraph:
    return one_interrupt()


def interrupt_until_the_answer_is_good() -> AnyGraph:
    async def ask(_: Words) -> Words:
        question = "a number?"
        while True:
            answer = interrupt(question)
            if isinstance(answer, int):
                return {"count": answer}
            question = f"{answer!r} is no number; a number?"

    graph = talk("after")
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "after")
    return graph.compile()


def answer_with_an_update_and_a_goto() -> AnyGraph:
    graph = talk("aside")
    graph.add_node("ask", ask_for("go on?"))
    graph.add_edge(START, "ask")
    return graph.compile()


def answer_with_a_send_in_place_of_those_that_wait() -> AnyGraph:
    graph = talk("work")
    graph.add_node("ask", ask_for("go on?"))
    graph.add_conditional_edges(START, lambda state: [Send("work", state), Send("ask", state)], ["work", "ask"])
    return graph.compile()


def state_edited_at_an_interrupt() -> AnyGraph:
    return one_interrupt()


def answer_to_nothing() -> AnyGraph:
    return chain()


def answer_to_an_unknown_question() -> AnyGraph:
    return one_interrupt()


def interrupt_beside_a_failure() -> AnyGraph:
    async def broken(_: Words) -> Words:
        raise RuntimeError("broken")

    graph = StateGraph(Words)
    graph.add_node("ask", ask_for("yes?"))
    graph.add_node("broken", broken)
    graph.add_edge(START, "ask")
    graph.add_edge(START, "broken")
    return graph.compile()


def _abc() -> StateGraph[Words]:
    graph = talk("a", "b", "c")
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    graph.add_edge("b", "c")
    return graph


def breakpoint_before_a_node() -> AnyGraph:
    return _abc().compile(interrupt_before=["b"])


def breakpoint_after_a_node() -> AnyGraph:
    return _abc().compile(interrupt_after=["a", "c"])


def breakpoints_everywhere() -> AnyGraph:
    return _abc().compile(interrupt_before="*", interrupt_after="*")


def breakpoint_before_one_of_two() -> AnyGraph:
    graph = talk("a", "b", "join")
    graph.add_edge(START, "a")
    graph.add_edge(START, "b")
    graph.add_edge(["a", "b"], "join")
    return graph.compile(interrupt_before=["b"])


def breakpoint_before_a_question() -> AnyGraph:
    graph = talk("a")
    graph.add_node("ask", ask_for("well?"))
    graph.add_node("z", say("z"))
    graph.add_edge(START, "a")
    graph.add_edge("a", "ask")
    graph.add_edge("ask", "z")
    return graph.compile(interrupt_before=["ask"], interrupt_after=["ask"])


def state_edited_at_a_breakpoint() -> AnyGraph:
    return _abc().compile(interrupt_before=["c"])


_IN = Ask({"words": ["in"]})
_ON = Ask(None)

SHAPES = (
    Shape(build=interrupt_of_a_graph_whose_output_is_a_list, script=[Ask(["in"]), Answer(["yes"])]),
    Shape(build=one_interrupt, script=[_IN, Answer(["yes"])]),
    Shape(build=interrupts_one_after_the_other, script=[_IN, Answer(["1"]), Answer(["2"]), Answer(["3"])]),
    Shape(build=interrupts_in_several_nodes, script=[_IN, Answer(["l", "m", "r"])]),
    Shape(build=interrupts_answered_one_by_one, script=[_IN, Answer(["l"]), Answer(["m"]), Answer(["r"])]),
    Shape(build=interrupt_answered_without_its_id, script=[_IN, Ask(Command(resume="yes"))]),
    Shape(
        build=interrupts_one_after_the_other_answered_without_ids,
        script=[_IN, *(Ask(Command(resume=answer)) for answer in ("1", "2", "3"))],
    ),
    Shape(build=interrupts_answered_without_ids, script=[_IN, Ask(Command(resume="yes"))]),
    Shape(build=interrupt_passed_over, script=[_IN, _ON, _ON, Answer(["yes"])]),
    Shape(build=interrupt_left_for_a_new_input, script=[_IN, Ask({"words": ["again"]}), Answer(["yes"])]),
    Shape(build=interrupt_until_the_answer_is_good, script=[_IN, Answer(["x"]), Answer(["y"]), Answer([7])]),
    Shape(
        build=answer_with_an_update_and_a_goto,
        script=[_IN, Ask(Command(resume="yes", update={"words": ["noted"]}, goto="aside"))],
    ),
    Shape(
        build=answer_with_a_send_in_place_of_those_that_wait,
        script=[_IN, Ask(Command(resume="yes", goto=[Send("ask", {"words": ["new"]})]))],
    ),
    Shape(build=state_edited_at_an_interrupt, script=[_IN, Edit({"words": ["edited"]}), Answer(["yes"])]),
    Shape(build=answer_to_nothing, script=[_IN, Ask(Command(resume="yes"))]),
    Shape(build=answer_to_an_unknown_question, script=[_IN, Ask(Command(resume={"0" * 32: "yes"}))]),
    Shape(build=interrupt_beside_a_failure, script=[_IN]),
    Shape(build=breakpoint_before_a_node, script=[_IN, _ON]),
    Shape(build=breakpoint_after_a_node, script=[_IN, _ON, _ON]),
    Shape(build=breakpoints_everywhere, script=[_IN, *[_ON] * 7]),
    Shape(build=breakpoint_before_one_of_two, script=[_IN, _ON]),
    Shape(build=breakpoint_before_a_question, script=[_IN, _ON, Answer(["so"]), _ON]),
    Shape(
        build=state_edited_at_a_breakpoint,
        script=[_IN, Edit({"words": ["edited"]}), Edit({"words": ["as a"]}, as_node="a"), _ON, _ON],
    ),
)
