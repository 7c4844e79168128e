"""Answers of a certain form: asked for, checked, and asked for again when they cannot be used."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.utils.function_calling import convert_to_openai_function
from langgraph.runtime import Runtime
from pydantic import BaseModel, ValidationError

from graph.errors import BadModelAnswerError
from graph.model import ChatModel, call_model

MAX_ASKS = 3
_QUOTED = 4000

AnswerT = TypeVar("AnswerT", bound=BaseModel)

logger = logging.getLogger(__name__)


async def ask_for(
    kind: type[AnswerT],
    *,
    model: ChatModel,
    messages: list[BaseMessage],
    node: str,
    runtime: Runtime[Any],
    check: Callable[[AnswerT], None] | None = None,
) -> AnswerT:
    """Ask until the model gives an answer of the wanted form.

    Args:
        kind: the form.
        model: whom to ask.
        messages: the conversation so far.
        node: who asks, as `<graph>.<node>`.
        runtime: LangGraph's runtime of the node.
        check: raises ValueError with the reason when an answer of the right form is still wrong.

    Raises:
        BadModelAnswerError: the last of `MAX_ASKS` answers cannot be used either.
    """
    conversation = list(messages)
    reason = answer = ""
    for attempt in range(1, MAX_ASKS + 1):
        reply = await call_model(model, conversation, node=node, runtime=runtime, response_format=_format_of(kind))
        answer = reply.text
        try:
            return _read(kind, reply, check)
        except ValueError as error:
            reason = _explain(error)
        logger.warning("answer %s of the model cannot be used", attempt, extra={"node": node})
        conversation += [AIMessage(answer[:_QUOTED]), HumanMessage(_complaint(reason))]
    raise BadModelAnswerError(f"{node}: no usable answer in {MAX_ASKS} attempts: {reason}", answer=answer)


def _format_of(kind: type[BaseModel]) -> dict[str, Any]:
    function = convert_to_openai_function(kind, strict=True)
    schema = {"name": function["name"], "strict": True, "schema": function["parameters"]}
    return {"type": "json_schema", "json_schema": schema}


def _read(kind: type[AnswerT], reply: AIMessage, check: Callable[[AnswerT], None] | None) -> AnswerT:
    refusal = reply.additional_kwargs.get("refusal")
    if refusal:
        raise ValueError(f"the model refused: {refusal}")
    parsed = kind.model_validate_json(reply.text)
    if check:
        check(parsed)
    return parsed


def _explain(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problems = (f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}" for item in error.errors())
    return "; ".join(problems)[:1000]


def _complaint(reason: str) -> str:
    return f"That answer cannot be used: {reason}. Answer again, with one JSON object of the required form only."
