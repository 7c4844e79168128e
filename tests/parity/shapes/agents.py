"""Agents: a model that calls tools, several at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

from langchain.agents import AgentState, create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain.tools import ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, create_react_agent
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command
from langgraph.warnings import LangGraphDeprecatedSinceV10
from pydantic import BaseModel

from tests.parity.shape import Answer, AnyGraph, Ask, Shape
from tests.parity.shapes.agent_models import ToldModel, approve, measure, reverse, says


class Verdict(BaseModel):
    """What an agent is to end with."""

    word: str


class NoteState(AgentState[Any]):
    """A state with keys of one's own."""

    notes: NotRequired[Annotated[list[str], lambda left, right: [*left, *right]]]
    topic: NotRequired[str]


@dataclass(frozen=True)
class Reader:
    """Who is asked for."""

    name: str
    likes: list[str] = field(default_factory=list[str])


@tool
async def note(word: str, runtime: ToolRuntime[None, NoteState]) -> Command[Any]:
    """Note a word under the topic."""
    said = ToolMessage(f"noted {word}", tool_call_id=runtime.tool_call_id or "", id=f"note-{word}")
    return Command(update={"notes": [f"{runtime.state.get('topic')}: {word}"], "messages": [said]})


@tool
async def look_round(word: str, runtime: ToolRuntime[Reader, NoteState]) -> str:
    """Tell what a tool sees of its run."""
    runtime.stream_writer({"looks": word})
    item = await runtime.store.aget(("words",), word) if runtime.store else None
    seen = [len(runtime.state["messages"]), runtime.state.get("topic"), runtime.context, item and item.value]
    return f"{word}: {seen}"


@tool
async def look_by_injection(
    word: str,
    state: Annotated[dict[str, Any], InjectedState],
    store: Annotated[BaseStore, InjectedStore()],
    call_id: Annotated[str, InjectedToolCallId],
) -> str:
    """Tell what the older annotations give."""
    item = await store.aget(("words",), word)
    return f"{word}: {[len(state['messages']), item and item.value, call_id]}"


@tool(return_direct=True)
async def last_word(word: str) -> str:
    """Say the last word."""
    return f"the last word is {word}"


def _store() -> InMemoryStore:
    store = InMemoryStore()
    store.put(("words",), "red", {"is": "a colour"})
    return store


def agent_with_parallel_tools() -> AnyGraph:
    return create_agent(ToldModel(), [measure, reverse], system_prompt="You are told what to do.", name="teller")


def agent_without_tools() -> AnyGraph:
    return create_agent(ToldModel(), system_prompt="You count.")


def agent_whose_tool_fails() -> AnyGraph:
    return create_agent(ToldModel(), [measure, reverse])


def agent_that_calls_a_tool_wrongly() -> AnyGraph:
    return create_agent(ToldModel(), [measure, note], state_schema=NoteState)


def agent_whose_tools_ask() -> AnyGraph:
    return create_agent(ToldModel(), [approve, measure])


def agent_with_a_breakpoint() -> AnyGraph:
    return create_agent(ToldModel(), [measure], interrupt_before=["tools"])


def agent_with_a_structured_answer() -> AnyGraph:
    return create_agent(ToldModel(), [measure], response_format=ToolStrategy(Verdict))


def agent_with_keys_of_its_own() -> AnyGraph:
    return create_agent(ToldModel(), [note], state_schema=NoteState)


def agent_whose_tools_look_round() -> AnyGraph:
    return create_agent(
        ToldModel(), [look_round, look_by_injection], state_schema=NoteState, context_schema=Reader, store=_store()
    )


def agent_with_a_last_word() -> AnyGraph:
    return create_agent(ToldModel(), [measure, last_word])


def agents_tools_alone() -> AnyGraph:
    model = ToldModel().bind_tools([measure, reverse])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([measure, reverse], handle_tool_errors="no: {error}"))
    graph.add_edge(START, "model")
    graph.add_edge("model", "tools")
    return graph.compile()


def _react(tools: Sequence[BaseTool], **options: Any) -> AnyGraph:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        return create_react_agent(ToldModel(), list(tools), **options)


def react_agent_whose_tools_ask() -> AnyGraph:
    return _react([measure, approve])


def react_agent_with_all_tools_in_one_task() -> AnyGraph:
    return _react([measure, reverse], version="v1")


_WORDS = "measure one, reverse two, measure three; reverse four"

SHAPES = (
    Shape(build=agent_with_parallel_tools, script=[says(_WORDS), says("reverse five")]),
    Shape(build=agent_without_tools, script=[says("one"), says("two")]),
    Shape(build=agent_whose_tool_fails, script=[says("measure one, reverse broken"), Ask(None), says("measure two")]),
    Shape(build=agent_that_calls_a_tool_wrongly, script=[says("unknown one, note one, measure, measure two")]),
    Shape(build=agent_whose_tools_ask, script=[says("approve red, measure red, approve blue"), Answer(["yes", "no"])]),
    Shape(build=agent_with_a_breakpoint, script=[says("measure one, measure two"), Ask(None)]),
    Shape(
        build=agent_with_a_structured_answer,
        script=[says("measure one, measure two; Verdict good"), says("Verdict good, Verdict bad; Verdict fair")],
        types=[Verdict],
    ),
    Shape(
        build=agent_with_keys_of_its_own,
        script=[says("note one, note two; note three", topic="numbers", notes=["begun"]), says("note four")],
    ),
    Shape(
        build=agent_whose_tools_look_round,
        script=[
            says("look_round red, look_by_injection red", context=Reader("Ann", ["red", "blue"]), topic="colours"),
            says("look_round blue, look_by_injection green"),
        ],
    ),
    Shape(build=agent_with_a_last_word, script=[says("last_word one, last_word two"), says("last_word x, measure y")]),
    Shape(
        build=agents_tools_alone,
        script=[says("measure one, reverse two, reverse broken")],
    ),
    Shape(
        build=react_agent_whose_tools_ask,
        script=[says("approve red, measure red, approve blue, measure blue"), Answer(["yes", "no"])],
    ),
    Shape(build=react_agent_with_all_tools_in_one_task, script=[says("measure one, reverse two")]),
)
