"""Tool calls and their results as messages, built from plain state so that no message has to be kept in it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage


def function_tool(name: str, description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a tool whose arguments are all required and checked."""
    parameters = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    function = {"name": name, "description": description, "strict": True, "parameters": parameters}
    return {"type": "function", "function": function}


def as_messages(calls: Sequence[tuple[str, Mapping[str, Any], object]], *, prefix: str) -> list[BaseMessage]:
    """Return one assistant message with the calls and a tool message with each result.

    Args:
        calls: name, arguments and JSON-friendly result of each call.
        prefix: makes the call ids unique within a conversation.
    """
    if not calls:
        return []
    requests = [
        ToolCall(name=name, args=dict(arguments), id=f"{prefix}_{number}")
        for number, (name, arguments, _) in enumerate(calls, start=1)
    ]
    results = [
        ToolMessage(json.dumps(result, ensure_ascii=False), tool_call_id=f"{prefix}_{number}")
        for number, (_, _, result) in enumerate(calls, start=1)
    ]
    return [AIMessage("", tool_calls=requests), *results]
