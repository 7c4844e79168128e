"""The port to the knowledge base: the fake of the unit tests and the real one pass the same tests."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from dapr_bridge.testing import free_port
from graph import ports
from graph.errors import KnowledgeBaseAnswerError, KnowledgeBaseUnavailableError
from graph.knowledge_base import McpKnowledgeBase
from tests.kit.graph_fakes import KnowledgeBaseInMemory, passage
from tests.kit.local_services import KnowledgeBase, OfflineModel

pytestmark = pytest.mark.anyio

QUERY = "redis connection refused NOAUTH password"


@pytest.fixture(params=["in memory", "over MCP"])
async def port(request: pytest.FixtureRequest, knowledge_base: KnowledgeBase) -> AsyncIterator[ports.KnowledgeBase]:
    if request.param == "in memory":
        known = [passage("KB-CON-012", QUERY), passage("KB-CON-013"), passage("KB-CON-014")]
        yield KnowledgeBaseInMemory({"connectivity": known})
        return
    async with McpKnowledgeBase(knowledge_base.url) as opened:
        yield opened


async def test_passages_are_complete_and_the_best_comes_first(port: ports.KnowledgeBase) -> None:
    found = await port.search(QUERY, category="connectivity", limit=5)
    assert found[0]["article_id"] == "KB-CON-012"
    assert all(set(passage) == set(ports.Passage.__annotations__) for passage in found)
    assert all(passage["text"] and passage["url"] and passage["score"] > 0 for passage in found)
    assert [passage["score"] for passage in found] == sorted((p["score"] for p in found), reverse=True)


async def test_no_more_than_the_limit_is_returned(port: ports.KnowledgeBase) -> None:
    assert len(await port.search(QUERY, category="connectivity", limit=2)) == 2


async def test_queries_at_the_same_time_do_not_disturb_each_other(port: ports.KnowledgeBase) -> None:
    searches = (port.search(QUERY, category="connectivity", limit=1) for _ in range(20))
    results = await asyncio.gather(*searches)
    assert all(result == results[0] for result in results)


async def test_a_refused_query_is_an_answer_and_no_outage(knowledge_base: KnowledgeBase) -> None:
    async with McpKnowledgeBase(knowledge_base.url) as port:
        with pytest.raises(KnowledgeBaseAnswerError, match="refused the query"):
            await port.search(QUERY, category="connectivity", limit=0)


async def test_nobody_listening_is_an_outage() -> None:
    async with McpKnowledgeBase(f"http://127.0.0.1:{free_port()}/mcp") as port:
        with pytest.raises(KnowledgeBaseUnavailableError, match="does not answer"):
            await port.search(QUERY, category="connectivity", limit=1)


async def test_another_server_is_no_knowledge_base(offline_model: OfflineModel) -> None:
    async with McpKnowledgeBase(f"{offline_model.url}/mcp") as port:
        with pytest.raises(KnowledgeBaseAnswerError, match="KNOWLEDGE_BASE_URL"):
            await port.search(QUERY, category="connectivity", limit=1)


async def test_a_server_that_does_not_answer_in_time_is_an_outage() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        number = server.sockets[0].getsockname()[1]
        async with McpKnowledgeBase(f"http://127.0.0.1:{number}/mcp", timeout=0.2) as port:
            with pytest.raises(KnowledgeBaseUnavailableError):
                await port.search(QUERY, category="connectivity", limit=1)


def test_one_port_serves_several_event_loops(knowledge_base: KnowledgeBase) -> None:
    port = McpKnowledgeBase(knowledge_base.url)

    async def search_and_close() -> int:
        async with port:
            return len(await port.search(QUERY, category="connectivity", limit=1))

    assert [asyncio.run(search_and_close()) for _ in range(3)] == [1, 1, 1]
