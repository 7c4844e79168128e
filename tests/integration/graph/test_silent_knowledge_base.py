"""A knowledge base that accepts a query and then falls silent."""

from __future__ import annotations

import socket

import pytest

from graph.errors import KnowledgeBaseUnavailableError
from graph.knowledge_base import McpKnowledgeBase

pytestmark = pytest.mark.anyio


async def test_a_silent_server_is_unavailable_and_so_may_be_asked_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        async with McpKnowledgeBase(url, timeout=0.5) as knowledge_base:
            with pytest.raises(
                KnowledgeBaseUnavailableError, match=r"does not answer \((ReadTimeout|MCPError|Timeout)"
            ):
                await knowledge_base.search("anything", category="connectivity", limit=3)
