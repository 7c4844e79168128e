"""Agents: a model that calls tools, several at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool
from langgraph.prebuilt import create_react_agent
from langgraph.types import interrupt
from langgraph.warnings import LangGraphDeprecatedSinceV10

from tests.parity.shape import Answer, AnyGraph, Ask, Shape


class RuleModel(BaseChatModel):
    """A chat model by rules: calls every tool for each word of the question, then says what came back."""

    tool_names: Sequence[str] = ()

    @property
    def _llm_type(self) -> str:
        return "rules"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> RuleModel:
        """Learn the names of the tools."""
        return RuleModel(tool_names=[each.name for each in tools])

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _answer(self, messages: Sequence[BaseMessage]) -> AIMessage:
        last = messages[-1]
        number = len(messages)
        if not isinstance(last, HumanMessage):
            heard = sorted(str(each.content) for each in messages if isinstance(each, ToolMessage))
            return AIMessage(f"I heard {heard}", id=f"ai-{number}")
        words = str(last.content).split()
        calls = [(name, word) for word in words for name in self.tool_names]
        return AIMessage(
            "",
            id=f"ai-{number}",
            tool_calls=[
                {"name": name, "args": {"word": word}, "id": f"call-{number}-{index}", "type": "tool_call"}
                for index, (name, word) in enumerate(calls)
            ],
        )


@tool
async def measure(word: str) -> str:
    """Say how long a word is."""
    return f"{word} has {len(word)} letters"


@tool
async def reverse(word: str) -> str:
    """Turn a word round."""
    if word == "broken":
        raise ValueError("it cannot be turned")
    return word[::-1]


@tool
async def approve(word: str) -> str:
    """Ask a person about a word."""
    return f"{word}: {interrupt(f'use {word}?')}"


def _agent(tools: Sequence[BaseTool], **options: Any) -> AnyGraph:
    with warnings.catch_warnings():
        # Its successor lives in the `langchain` package, which this project does not use.
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        return create_react_agent(RuleModel(), list(tools), **options)


def agent_with_parallel_tools() -> AnyGraph:
    return _agent([measure, reverse])


def agent_with_all_tools_in_one_task() -> AnyGraph:
    return _agent([measure, reverse], version="v1")


def agent_whose_tool_fails() -> AnyGraph:
    return _agent([measure, reverse])


def agent_whose_tools_ask() -> AnyGraph:
    return _agent([approve, measure])


def agent_with_a_breakpoint() -> AnyGraph:
    return _agent([measure], interrupt_before=["tools"])


def _says(text: str) -> Ask:
    return Ask({"messages": [HumanMessage(text, id=f"human-{text}")]})


SHAPES = (
    Shape(build=agent_with_parallel_tools, script=[_says("one two three"), _says("four")]),
    Shape(build=agent_with_all_tools_in_one_task, script=[_says("one two")]),
    Shape(build=agent_whose_tool_fails, script=[_says("one broken")]),
    Shape(build=agent_whose_tools_ask, script=[_says("red blue"), Answer(["yes", "no"])]),
    Shape(build=agent_with_a_breakpoint, script=[_says("one"), Ask(None)]),
)
