"""The knowledge base behind an MCP server, as the graphs' port to it."""

import asyncio
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

import httpx2
from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    TextContent,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from graph.errors import GraphError, KnowledgeBaseAnswerError, KnowledgeBaseUnavailableError
from graph.ports import Category, Passage

# Pinned: negotiating the version would cost a round trip on each call.
PROTOCOL_VERSION = "2026-07-28"
TOOL = "query_knowledge_base"

# The server is there but does not know the method, or what is there is no MCP server: waiting would not help.
_REFUSALS = frozenset({INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND})
_CONNECTION_ERRORS = (MCPError, httpx2.HTTPError, OSError, TimeoutError, BrokenResourceError, ClosedResourceError)


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    article_id: str
    title: str
    section: str
    passage: str
    score: float
    url: str


class _QueryAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    results: list[_Result]


class McpKnowledgeBase:
    """The knowledge base at an MCP server's URL; usable from several event loops.

    Each query is an MCP session of its own over a shared pool of connections, so a server that was restarted in
    between is not noticed.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self._url = url
        self._timeout = timeout
        # A pool belongs to the loop that opened its connections.
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that the running loop opened."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.aclose()

    async def search(self, query: str, *, category: Category, limit: int) -> list[Passage]:
        """Return the best passages first; an empty list when nothing fits.

        Raises:
            KnowledgeBaseUnavailableError: the server cannot be reached, fails or does not answer in time.
            KnowledgeBaseAnswerError: the server refused the query or answered outside its contract.
        """
        result = await self._call({"query": query, "category": category, "limit": limit})
        try:
            answer = _QueryAnswer.model_validate(result.structured_content)
        except ValidationError as error:
            message = f"the knowledge base at {self._url} answered outside its contract: {error.error_count()} problems"
            raise KnowledgeBaseAnswerError(message) from error
        return [_as_passage(found) for found in answer.results]

    async def _call(self, arguments: dict[str, Any]) -> CallToolResult:
        transport = streamable_http_client(self._url, http_client=self._pool())
        try:
            async with Client(
                transport, mode=PROTOCOL_VERSION, read_timeout_seconds=self._timeout, cache=None
            ) as client:
                # Not `call_tool`, which lists the tools for each new session: the answer is checked here anyway.
                request = CallToolRequest(params=CallToolRequestParams(name=TOOL, arguments=arguments))
                result = await client.session.send_request(request, CallToolResult)
        except (ExceptionGroup, *_CONNECTION_ERRORS) as error:
            cause = _innermost(error)
            translated = self._translate(cause)
            if translated is None:
                raise
            raise translated from cause
        if result.is_error:
            raise KnowledgeBaseAnswerError(f"the knowledge base refused the query: {_text_of(result)}")
        return result

    def _pool(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            self._pools[loop] = httpx2.AsyncClient(timeout=self._timeout)
        return self._pools[loop]

    def _translate(self, cause: Exception) -> GraphError | None:
        """Say in our own terms what happened; None when it is nothing that a server or a network does."""
        if isinstance(cause, MCPError) and cause.code in _REFUSALS:
            hint = "check KNOWLEDGE_BASE_URL"
            return KnowledgeBaseAnswerError(f"{self._url} is no knowledge base of ours ({cause.message}); {hint}")
        if isinstance(cause, ValidationError):
            return KnowledgeBaseAnswerError(f"the knowledge base at {self._url} does not speak MCP as it should")
        if isinstance(cause, _CONNECTION_ERRORS):
            what = f"{type(cause).__name__}: {cause}".rstrip(": ")
            return KnowledgeBaseUnavailableError(f"the knowledge base at {self._url} does not answer ({what})")
        return None


def _innermost(error: Exception) -> Exception:
    """Return what the MCP client's nested groups are about; causes of different kinds stay together.

    A server that falls silent shows as two timeouts at once: of the request, and of the stream that waits for it.
    """
    if not isinstance(error, ExceptionGroup):
        return error
    causes = [_innermost(each) for each in error.exceptions]
    is_of_one_kind = len(causes) == 1 or all(isinstance(each, _CONNECTION_ERRORS) for each in causes)
    return causes[0] if is_of_one_kind else error


def _as_passage(found: _Result) -> Passage:
    return Passage(
        article_id=found.article_id,
        title=found.title,
        section=found.section,
        text=found.passage,
        score=found.score,
        url=found.url,
    )


def _text_of(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))[:500]
