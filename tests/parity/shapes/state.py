"""States: schemas, reducers, messages, managed values, context, config, store."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from tests.parity.shape import Answer, AnyGraph, Ask, Shape
from tests.parity.shapes.flow import Words, say


def largest(old: int, new: int) -> int:
    """Keep the larger."""
    return max(old, new)


def merge(old: dict[str, int], new: dict[str, int]) -> dict[str, int]:
    """Add up by key."""
    return {key: old.get(key, 0) + new.get(key, 0) for key in sorted({*old, *new})}


class Reduced(TypedDict, total=False):
    """A reducer of each kind."""

    added: Annotated[int, operator.add]
    most: Annotated[int, largest]
    merged: Annotated[dict[str, int], merge]
    last: str


def reducers() -> AnyGraph:
    def write(number: int):
        async def node(_: Reduced) -> Reduced:
            return {"added": number, "most": number, "merged": {"all": number, f"n{number}": 1}}

        return node

    async def finish(state: Reduced) -> Reduced:
        return {"last": f"{state['added']} {state['most']} {state['merged']}"}

    graph = StateGraph(Reduced)
    for number in (2, 3, 1):
        graph.add_node(f"w{number}", write(number))
        graph.add_edge(START, f"w{number}")
    graph.add_node("finish", finish)
    graph.add_edge(["w1", "w2", "w3"], "finish")
    return graph.compile()


def messages() -> AnyGraph:
    async def answer(state: MessagesState) -> Any:
        last = state["messages"][-1]
        return {"messages": [AIMessage(f"you said {last.content}", id=f"answer-{len(state['messages'])}")]}

    async def without_an_id(_: MessagesState) -> Any:
        return {"messages": [{"role": "assistant", "content": "by the way"}, ("human", "as you say")]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_node("without_an_id", without_an_id)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "without_an_id")
    return graph.compile()


def messages_replaced_and_removed() -> AnyGraph:
    async def replace(state: MessagesState) -> Any:
        first, second = state["messages"][:2]
        return {"messages": [HumanMessage("in other words", id=first.id), RemoveMessage(id=second.id or "")]}

    async def tools(_: MessagesState) -> Any:
        return {"messages": [ToolMessage("42", tool_call_id="c1", id="t1", artifact={"raw": [4, 2]})]}

    async def forget(state: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), state["messages"][-1]]}

    graph = StateGraph(MessagesState)
    graph.add_sequence([replace, tools, forget])
    graph.add_edge(START, "replace")
    return graph.compile()


def removal_of_a_message_that_is_not_there() -> AnyGraph:
    async def remove(_: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id="nobody")]}

    graph = StateGraph(MessagesState)
    graph.add_node("remove", remove)
    graph.add_edge(START, "remove")
    return graph.compile()


class Managed(TypedDict, total=False):
    """What LangGraph tells a node about the run."""

    seen: Annotated[list[str], operator.add]
    remaining: RemainingSteps
    is_last: IsLastStep


def managed_values() -> AnyGraph:
    async def look(state: Managed) -> Managed:
        return {"seen": [f"{state['remaining']} left, last {state['is_last']}"]}

    graph = StateGraph(Managed)
    graph.add_node("look", look)
    graph.add_node("beside", look)
    graph.add_edge(START, "look")
    graph.add_edge(START, "beside")
    graph.add_conditional_edges("look", lambda state: END if state["remaining"] < 3 else "look")
    return graph.compile()


def managed_values_at_an_interrupt() -> AnyGraph:
    async def look(state: Managed) -> Managed:
        return {"seen": [f"{state['remaining']} left, last {state['is_last']}"]}

    graph = StateGraph(Managed)
    graph.add_sequence([("a", look), ("b", look), ("c", look)])
    graph.add_edge(START, "a")
    return graph.compile(interrupt_before=["b"])


@dataclass(frozen=True)
class Caller:
    """A run's context."""

    name: str
    tags: list[str] = field(default_factory=list[str])


def context_schema() -> AnyGraph:
    async def greet(_: Words, runtime: Runtime[Caller]) -> Words:
        return {"words": [f"hello {runtime.context.name} {runtime.context.tags}"]}

    graph = StateGraph(Words, context_schema=Caller)
    graph.add_node("greet", greet)
    graph.add_node("again", greet)
    graph.add_edge(START, "greet")
    graph.add_edge("greet", "again")
    return graph.compile()


def config_of_the_caller() -> AnyGraph:
    async def look(_: Words, config: RunnableConfig) -> Words:
        chosen = config.get("configurable", {}).get("user")
        metadata = config.get("metadata", {})
        return {"words": [f"{chosen} {config.get('tags')} {metadata.get('origin')} {config.get('recursion_limit')}"]}

    graph = StateGraph(Words)
    graph.add_node("look", look)
    graph.add_edge(START, "look")
    return graph.compile()


class Public(TypedDict):
    """What goes in."""

    question: str


class Answered(TypedDict):
    """What comes out."""

    answer: str


class Whole(Public, Answered):
    """The whole state."""

    notes: Annotated[list[str], operator.add]


class Private(TypedDict):
    """What one node tells another."""

    secret: str


def schemas_for_input_output_and_in_between() -> AnyGraph:
    async def think(state: Public) -> Private:
        return {"secret": f"about {state['question']}"}

    async def speak(state: Private) -> Whole:
        return {"question": "?", "answer": state["secret"], "notes": ["spoken"]}

    graph = StateGraph(Whole, input_schema=Public, output_schema=Answered)
    graph.add_node("think", think)
    graph.add_node("speak", speak)
    graph.add_edge(START, "think")
    graph.add_edge("think", "speak")
    return graph.compile()


def tell(old: list[str], new: list[str] | tuple[str, ...]) -> list[str]:
    """Gather what is said: a tuple is one thing of several words, as a message may be; a list is several."""
    return [*old, " ".join(new)] if isinstance(new, tuple) else [*old, *new]


class Said(TypedDict, total=False):
    """What is said."""

    said: Annotated[list[str], tell]


def tuples_that_a_reducer_tells_from_lists() -> AnyGraph:
    def write(name: str):
        async def node(_: Said) -> dict[str, tuple[str, ...]]:
            return {"said": (name, "says")}

        return node

    async def finish(state: Said) -> Said:
        return {"said": [f"{len(state.get('said', []))} in all"]}

    graph = StateGraph(Said)
    for name in ("a", "b"):
        graph.add_node(name, write(name))
        graph.add_edge(START, name)
    graph.add_node("finish", finish)
    graph.add_edge(["a", "b"], "finish")
    return graph.compile()


def tuples_that_a_reducer_hears_of_before_and_after_a_question() -> AnyGraph:
    async def write(_: Said) -> dict[str, tuple[str, ...]]:
        return {"said": ("written", "before")}

    async def ask(_: Said) -> dict[str, tuple[str, ...]]:
        return {"said": ("and", interrupt("what?"))}

    graph = StateGraph(Said)
    for name, node in (("write", write), ("ask", ask)):
        graph.add_node(name, node)
        graph.add_edge(START, name)
    return graph.compile()


class Model(BaseModel):
    """A state that pydantic checks."""

    number: int = 0
    words: Annotated[list[str], operator.add] = []
    note: str | None = None


def pydantic_state() -> AnyGraph:
    async def double(state: Model) -> dict[str, Any]:
        return {"number": state.number * 2, "words": [type(state).__name__]}

    graph = StateGraph(Model)
    graph.add_node("double", double)
    graph.add_edge(START, "double")
    return graph.compile()


@dataclass
class Record:
    """A state that is a dataclass."""

    number: int = 0
    words: Annotated[list[str], operator.add] = field(default_factory=list[str])


def dataclass_state() -> AnyGraph:
    async def double(state: Record) -> dict[str, Any]:
        return {"number": state.number * 2, "words": [type(state).__name__]}

    graph = StateGraph(Record)
    graph.add_node("double", double)
    graph.add_edge(START, "double")
    return graph.compile()


class Colour(StrEnum):
    """A word of a few."""

    RED = "red"


class Things(TypedDict, total=False):
    """Values of many types."""

    things: Annotated[list[Any], operator.add]


def values_of_many_types() -> AnyGraph:
    async def gather(state: Things) -> Things:
        first: Caller = state["things"][0]
        return {"things": [first.name, Colour.RED, {1, 2}, datetime(2026, 11, 24, tzinfo=UTC), b"raw", Decimal("1.5")]}

    async def look(state: Things) -> Things:
        return {"things": [type(each).__name__ for each in state["things"]]}

    graph = StateGraph(Things)
    graph.add_node("gather", gather)
    graph.add_node("look", look)
    graph.add_edge(START, "gather")
    graph.add_edge("gather", "look")
    return graph.compile()


class Chat(TypedDict, total=False):
    """Messages beside other things."""

    messages: Annotated[list[AnyMessage], add_messages]
    note: str | None


def values_that_are_nothing() -> AnyGraph:
    async def clear(_: Chat) -> Chat:
        return {"note": None, "messages": []}

    async def idle(_: Chat) -> None:
        return None

    graph = StateGraph(Chat)
    graph.add_node("clear", clear)
    graph.add_node("idle", idle)
    graph.add_edge(START, "clear")
    graph.add_edge("clear", "idle")
    return graph.compile()


def tuples_in_a_context_and_in_answers() -> AnyGraph:
    async def tell(_: Words, runtime: Runtime[dict[str, Any]]) -> Words:
        return {"words": [f"in {runtime.context}"]}

    def write(name: str):
        async def node(_: Words) -> Words:
            return {"words": [f"{name} {interrupt(name)!r}"]}

        return node

    graph = StateGraph(Words, context_schema=dict)
    graph.add_node("tell", tell)
    graph.add_edge(START, "tell")
    for name in ("a", "b"):
        graph.add_node(name, write(name))
        graph.add_edge("tell", name)
    return graph.compile()


def large_values() -> AnyGraph:
    graph = StateGraph(Words)
    graph.add_node("large", say("x" * 200_000))
    graph.add_node("small", say("small"))
    graph.add_edge(START, "large")
    graph.add_edge("large", "small")
    return graph.compile()


class Place(TypedDict, total=False):
    """A place, and what is there."""

    at: tuple[int, int]
    found: str
    said: Any


def tuples_that_travel() -> AnyGraph:
    async def look(state: Place) -> Place:
        return {"found": {(1, 2): "a well"}[state["at"]]}

    async def ask(state: Place) -> Place:
        return {"said": (interrupt((state["found"], ("and", "now?"))), state["at"])}

    graph = StateGraph(Place).add_node("look", look).add_node("ask", ask)
    return graph.add_edge(START, "look").add_edge("look", "ask").compile()


_IN = Ask({"words": ["in"]})

SHAPES = (
    Shape(build=reducers, script=[Ask({"added": 10, "last": "none"}), Ask({"most": 99})]),
    Shape(
        build=tuples_in_a_context_and_in_answers,
        script=[
            Ask({"words": []}, context={"pair": (1, 2)}),
            Answer([("to", "a"), ["to", ("b",)]]),
        ],
    ),
    Shape(
        build=tuples_that_a_reducer_tells_from_lists,
        script=[
            Ask({"said": ("in", "put")}),
            Ask(Command(update={"said": ("by", "hand")}, goto=["a", "b"])),
        ],
    ),
    Shape(
        build=tuples_that_a_reducer_hears_of_before_and_after_a_question,
        script=[Ask({"said": []}), Answer(["after"])],
    ),
    Shape(
        build=messages,
        script=[
            Ask({"messages": [HumanMessage("hello", id="h1")]}),
            Ask({"messages": [("user", "and again")]}),
            # One message; a list of the same would be two.
            Ask({"messages": ("user", "once more")}),
        ],
    ),
    Shape(
        build=messages_replaced_and_removed,
        script=[Ask({"messages": [HumanMessage("one", id="h1"), AIMessage("two", id="a1")]})],
    ),
    Shape(build=removal_of_a_message_that_is_not_there, script=[Ask({"messages": [HumanMessage("one", id="h1")]})]),
    Shape(build=managed_values, script=[Ask({"seen": []}, config={"recursion_limit": 6})]),
    Shape(
        build=managed_values_at_an_interrupt,
        script=[Ask({"seen": []}, config={"recursion_limit": 5}), Ask(None, config={"recursion_limit": 5})],
    ),
    Shape(
        build=context_schema,
        script=[
            Ask({"words": []}, context=Caller(name="Ada", tags=["x"])),
            Ask({"words": []}, context={"name": "Bob"}),
        ],
        types=[Caller],
    ),
    Shape(
        build=config_of_the_caller,
        script=[
            Ask(
                {"words": []},
                config={
                    "configurable": {"user": "ada"},
                    "tags": ["t1"],
                    "metadata": {"origin": "test"},
                    "recursion_limit": 11,
                },
            )
        ],
    ),
    Shape(build=schemas_for_input_output_and_in_between, script=[Ask({"question": "why?"})]),
    Shape(
        build=pydantic_state,
        script=[
            Ask({"number": 4, "note": "kept"}),
            Ask(Model(number=5)),
            Ask(Command(update=Model(number=6), goto="double")),
            Ask(Model(note=None)),
            Ask({"number": "no number"}),
        ],
        types=[Model],
    ),
    # What a stream tells is built by its client, which knows of the graph's own types only when they are allowed.
    Shape(build=dataclass_state, script=[Ask({"number": 4}), Ask({"number": 5, "words": ["in"]})], types=[Record]),
    Shape(build=values_of_many_types, script=[Ask({"things": [Caller(name="Ada")]})], types=[Caller, Colour]),
    Shape(build=values_that_are_nothing, script=[Ask({"note": "something"})]),
    Shape(build=large_values, script=[_IN]),
    Shape(build=tuples_that_travel, script=[Ask({"at": (1, 2)}), Answer([("go", ("on",))])]),
)
