"""The chat model that the graphs ask, and one call to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from langgraph.runtime import Runtime

from graph.errors import BadModelAnswerError, GraphError, ModelRefusedError, ModelUnavailableError
from graph.settings import ModelSettings

NODE_HEADER = "X-Graph-Node"
TASK_HEADER = "X-Task-Id"

_PASSING_STATUSES = frozenset({408, 409, 425, 429})
# What a client makes of a body that is no chat completion: a proxy's page, half an answer.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)

ChatModel = Runnable[LanguageModelInput, AIMessage]


def build_chat_model(settings: ModelSettings, *, http_client: httpx2.AsyncClient | None = None) -> BaseChatModel:
    """Build the model that the settings name; it never retries by itself, for the graph does.

    Args:
        settings: which model and where.
        http_client: connections to use; they belong to one event loop, and the caller closes them.
    """
    return ChatOpenAI(
        base_url=settings.model_base_url,
        api_key=settings.model_api_key,
        model=settings.model_name,
        timeout=settings.openai_timeout.total_seconds(),
        max_retries=0,
        use_responses_api=False,
        http_async_client=http_client,
    )


@asynccontextmanager
async def open_chat_model(settings: ModelSettings) -> AsyncGenerator[BaseChatModel]:
    """Build the model with connections of its own, and close them afterwards."""
    async with httpx2.AsyncClient(timeout=settings.openai_timeout.total_seconds()) as http_client:
        yield build_chat_model(settings, http_client=http_client)


async def call_model(
    model: ChatModel, messages: list[BaseMessage], *, node: str, runtime: Runtime[Any], **options: Any
) -> AIMessage:
    """Ask the model once, under the name of the node and the id of the task that asks.

    Args:
        model: a chat model, with or without tools.
        messages: the conversation.
        node: who asks, as `<graph>.<node>`.
        runtime: LangGraph's runtime of the node.
        **options: further options of the chat completions request.

    Raises:
        ModelUnavailableError: no answer, too many requests or a failure on the other side; may pass.
        ModelRefusedError: the request was turned down and would be again.
        BadModelAnswerError: the answer ended before it was complete.
    """
    headers = _headers(node, runtime)
    try:
        return await model.ainvoke(messages, extra_headers=headers, **options)
    except openai.LengthFinishReasonError as error:
        answer = error.completion.choices[0].message.content or ""
        raise BadModelAnswerError(f"{node}: the model's answer grew too long", answer=answer) from error
    except (ModelError, openai.OpenAIError) as error:
        raise _translate(error, node) from error
    except _UNREADABLE as error:
        message = f"{node}: the model's service answered with something that is no chat completion"
        raise ModelUnavailableError(message) from error


def _headers(node: str, runtime: Runtime[Any]) -> dict[str, str]:
    info = runtime.execution_info
    return {NODE_HEADER: node, TASK_HEADER: info.task_id} if info and info.task_id else {NODE_HEADER: node}


def _translate(error: Exception, node: str) -> GraphError:
    description = f"{type(error).__name__}: {error}"[:500]
    if _may_pass(error):
        return ModelUnavailableError(f"{node}: the model does not answer ({description})")
    hint = "check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL"
    return ModelRefusedError(f"{node}: the model's service refused the request ({description}); {hint}")


def _may_pass(error: Exception) -> bool:
    if isinstance(error, openai.APIError) and error.code == "insufficient_quota":
        return False
    if isinstance(error, openai.APIStatusError):
        return error.status_code >= 500 or error.status_code in _PASSING_STATUSES
    return isinstance(error, openai.APIConnectionError) or (isinstance(error, ModelError) and error.is_retryable)
