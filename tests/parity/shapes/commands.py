"""`Command`: as what a node returns, and as what a caller sends."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from tests.parity.shape import Answer, AnyGraph, Ask, Shape
from tests.parity.shapes.flow import Words, say, talk


def command_goto() -> AnyGraph:
    async def choose(state: Words) -> Command[Literal["odd", "even"]]:
        return Command(goto="odd" if len(state["words"]) % 2 else "even")

    graph = talk("odd", "even")
    graph.add_node("choose", choose)
    graph.add_edge(START, "choose")
    return graph.compile()


def command_goto_several() -> AnyGraph:
    async def choose(_: Words) -> Command[Literal["odd", "even"]]:
        return Command(goto=["even", "odd"], update={"words": ["both"]})

    graph = talk("odd", "even", "beside")
    graph.add_node("choose", choose)
    graph.add_edge(START, "choose")
    graph.add_edge("choose", "beside")
    return graph.compile()


def command_update() -> AnyGraph:
    async def write(_: Words) -> Command[Any]:
        return Command(update={"words": ["updated"], "count": 7})

    graph = talk("after")
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    graph.add_edge("write", "after")
    return graph.compile()


def list_of_commands() -> AnyGraph:
    async def write(_: Words) -> list[Any]:
        return [Command(update={"words": ["one"]}), {"words": ["two"]}, Command(goto="a")]

    graph = talk("a")
    graph.add_node("write", write)
    graph.add_edge(START, "write")
    return graph.compile()


def command_to_the_parent() -> AnyGraph:
    async def leave(_: Words) -> Command[Any]:
        return Command(graph=Command.PARENT, goto="after", update={"words": ["from within"]})

    inner = talk("never")
    inner.add_node("leave", leave)
    inner.add_edge(START, "leave")
    inner.add_edge("leave", "never")
    graph = talk("after", "skipped")
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "inner")
    return graph.compile()


def command_to_the_parent_with_sends() -> AnyGraph:
    async def leave(_: Words) -> Command[Any]:
        return Command(graph=Command.PARENT, goto=[Send("after", {"words": ["x"]}), "plain"])

    async def after(sent: Words) -> Words:
        return {"words": [f"after {sent['words']}"]}

    inner = StateGraph(Words)
    inner.add_node("leave", leave)
    inner.add_edge(START, "leave")
    graph = talk("plain")
    graph.add_node("after", after)
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "inner")
    return graph.compile()


def command_to_a_node_that_is_not_there() -> AnyGraph:
    async def lost(_: Words) -> Command[Any]:
        return Command(goto="nowhere", update={"words": ["lost"]})

    graph = StateGraph(Words)
    graph.add_node("lost", lost)
    graph.add_edge(START, "lost")
    return graph.compile()


def caller_goes_to_a_node() -> AnyGraph:
    graph = talk("a", "b", "c")
    graph.add_edge(START, "a")
    graph.add_edge("b", "c")
    return graph.compile()


def caller_updates() -> AnyGraph:
    graph = StateGraph(Words)
    graph.add_node("a", say("a"), destinations=("b",))
    graph.add_node("b", say("b"))
    graph.add_edge(START, "a")
    graph.add_edge("a", "b")
    return graph.compile(interrupt_before=["b"])


def caller_updates_a_channel_twice() -> AnyGraph:
    return caller_updates()


def caller_sends() -> AnyGraph:
    return caller_goes_to_a_node()


def caller_goes_on_beside_a_question() -> AnyGraph:
    async def ask(_: Words) -> Words:
        return {"words": [f"answered {interrupt('what now?')}"]}

    graph = talk("a", "b", "c")
    graph.add_node("ask", ask)
    graph.add_edge(START, "a")
    graph.add_edge("a", "ask")
    graph.add_edge("b", "c")
    return graph.compile()


def caller_goes_everywhere_beside_a_question() -> AnyGraph:
    return caller_goes_on_beside_a_question()


_IN = Ask({"words": ["in"]})
_BESIDE: Command[Any] = Command(goto=["b", Send("c", {"words": []})], update={"words": ["by hand"]})

SHAPES = (
    *(
        Shape(build=build, script=[_IN])
        for build in (
            command_goto_several,
            command_update,
            list_of_commands,
            command_to_the_parent,
            command_to_the_parent_with_sends,
            command_to_a_node_that_is_not_there,
        )
    ),
    Shape(build=command_goto, script=[_IN, Ask({"words": ["x"]})]),
    Shape(build=caller_goes_to_a_node, script=[_IN, Ask(Command(goto="b", update={"words": ["by hand"]}))]),
    Shape(build=caller_updates, script=[_IN, Ask(Command(update={"words": ["by hand"], "count": 3}))]),
    Shape(build=caller_goes_on_beside_a_question, script=[_IN, Ask(Command(goto="b")), Answer(["yes"])]),
    Shape(build=caller_goes_everywhere_beside_a_question, script=[_IN, Ask(_BESIDE), Ask(None), Answer(["yes"])]),
    Shape(
        build=caller_updates_a_channel_twice,
        script=[_IN, Ask(Command(update=[("words", ["one"]), ("words", ["two"])]))],
    ),
    Shape(build=caller_sends, script=[_IN, Ask(Command(goto=[Send("b", {"words": []}), Send("c", {})]))]),
)
