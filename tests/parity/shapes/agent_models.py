"""Models and tools of the agents: a model that does what the question says, and tools for words."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.types import interrupt

from tests.parity.shape import Ask


class ToldModel(BaseChatModel):
    """A chat model that makes the calls its question names, then says what came back.

    "measure one, reverse two; measure three" is two calls at once, and then another one. It remembers nothing: what it
    says, and its ids, depend on the messages alone. It calls `unknown` though nobody has such a tool, and leaves out an
    argument that is not told. Without tools it counts the messages.
    """

    tool_names: Sequence[str] = ()

    @property
    def _llm_type(self) -> str:
        return "told"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ToldModel:
        """Learn the names of the tools."""
        return type(self)(tool_names=[each.name for each in tools])

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _answer(self, messages: Sequence[BaseMessage]) -> AIMessage:
        name = _name(messages)
        calls = self._calls(messages, name) if self.tool_names else []
        if calls:
            return AIMessage("", id=f"ai-{name}", tool_calls=calls)
        heard = sorted(str(each.content) for each in messages if isinstance(each, ToolMessage))
        told = f"I heard {heard}" if self.tool_names else f"{len(messages)} messages, the last: {messages[-1].content}"
        return AIMessage(told, id=f"ai-{name}")

    def _calls(self, messages: Sequence[BaseMessage], name: str) -> list[ToolCall]:
        asked = max((index for index, each in enumerate(messages) if isinstance(each, HumanMessage)), default=-1)
        rounds = str(messages[asked].content).split(";") if asked >= 0 else []
        made = sum(isinstance(each, AIMessage) for each in messages[asked + 1 :])
        wanted = rounds[made].split(",") if made < len(rounds) else []
        pairs = [each.strip().partition(" ") for each in wanted]
        return [
            ToolCall(name=tool_name, args=_arguments(tool_name, word), id=f"call-{name}-{index}", type="tool_call")
            for index, (tool_name, _, word) in enumerate(pairs)
            if tool_name in {*self.tool_names, "unknown"}
        ]


def _name(messages: Sequence[BaseMessage]) -> str:
    """Return a name for an answer: another one for other messages, whatever their ids."""
    return f"{zlib.crc32(repr([str(each.content) for each in messages]).encode()):08x}"


def _arguments(tool_name: str, word: str) -> dict[str, Any]:
    if tool_name == "write_todos":
        return {"todos": [{"content": word, "status": "pending"}]}
    return {"word": word} if word else {}


@tool
async def measure(word: str) -> str:
    """Say how long a word is."""
    return f"{word} has {len(word)} letters"


@tool
def reverse(word: str) -> str:
    """Turn a word round."""
    if word == "broken":
        raise ValueError("it cannot be turned")
    return word[::-1]


@tool
async def approve(word: str) -> str:
    """Ask a person about a word."""
    return f"{word}: {interrupt(f'use {word}?')}"


def says(text: str, context: Any = None, **more: Any) -> Ask:
    """Return the move of a person who says something, with an id of its own."""
    return Ask({"messages": [HumanMessage(text, id=f"human-{text}")], **more}, context=context)
