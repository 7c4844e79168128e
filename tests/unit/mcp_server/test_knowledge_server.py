"""The server as its clients see it: an MCP client in the same process."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from mcp_server import KnowledgeIndex, build_server, load_articles
from mcp_server.server import MAX_LIMIT, MAX_QUERY
from tests.kit.articles import ETAG, KAFKA, write_articles

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a knowledge base with two articles."""
    with KnowledgeIndex(load_articles(write_articles(tmp_path, a=KAFKA, b=ETAG))) as index:
        async with Client(build_server(index)) as client:
            yield client


async def ask(client: Client, **arguments: Any) -> dict[str, Any]:
    """Query, and return the structured answer."""
    result = await client.call_tool("query_knowledge_base", arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def refusal(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    """Call a tool that must refuse, and return what it says."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (content,) = result.content
    text = str(getattr(content, "text", ""))
    assert len(text) < 400
    for inside in ("Traceback", "pydantic", "sqlite", "SELECT", "/", "Arguments\n"):
        assert inside not in text
    return text


async def test_a_query_is_answered_with_passages_that_can_be_cited(client: Client) -> None:
    answer = await ask(client, query="kafka has run out of available brokers", category="connectivity", limit=1)
    (found,) = answer.pop("results")
    assert answer == {"query": "kafka has run out of available brokers", "category": "connectivity"}
    assert found.pop("score") > 0
    assert found == {
        "article_id": "KB-1",
        "title": "Kafka refuses the connection",
        "section": "Symptoms",
        "passage": "- `client has run out of available brokers`",
        "url": "kb://articles/KB-1",
    }


async def test_the_answer_is_also_text_for_clients_that_read_only_text(client: Client) -> None:
    result = await client.call_tool("query_knowledge_base", {"query": "etag"})
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]


async def test_what_is_not_known_is_answered_with_nothing(client: Client) -> None:
    assert (await ask(client, query="How do I bake sourdough bread?"))["results"] == []


@pytest.mark.parametrize("query", ["?!", "🙂🙂🙂", '"', "AND OR NOT", "\x00", "x" * MAX_QUERY, "NEAR(" * 300])
async def test_an_odd_query_is_answered_with_nothing(client: Client, query: str) -> None:
    assert await ask(client, query=query) == {"query": query, "category": None, "results": []}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "query: Field required"),
        ({"query": ""}, "query: String should have at least 1 character"),
        ({"query": " \n\t"}, "the query is empty"),
        ({"query": "x" * 100_000}, f"query: String should have at most {MAX_QUERY} characters"),
        ({"query": 5}, "query: Input should be a valid string"),
        ({"query": "kafka", "limit": 0}, "limit: Input should be greater than or equal to 1"),
        ({"query": "kafka", "limit": MAX_LIMIT + 1}, f"limit: Input should be less than or equal to {MAX_LIMIT}"),
        ({"query": "kafka", "limit": "many"}, "limit: Input should be a valid integer"),
        ({"query": "kafka", "category": "network"}, "category: Input should be 'connectivity', 'configuration' or"),
        ({"query": "kafka", "categry": "x"}, "no argument named categry; it takes query, category, limit"),
        ({"query": "kafka \ud800"}, "query: Input should be a valid string"),
    ],
)
async def test_bad_arguments_are_refused_in_words(client: Client, arguments: dict[str, Any], complaint: str) -> None:
    assert complaint in await refusal(client, "query_knowledge_base", arguments)


async def test_an_article_can_be_read_in_full(client: Client) -> None:
    result = await client.call_tool("get_article", {"article_id": "kb-1"})
    article = result.structured_content
    assert article is not None
    assert article["text"].startswith("# Kafka refuses the connection\n")
    assert (article["article_id"], article["see_also"], article["versions"]) == ("KB-1", ["KB-2"], "1.15+")


@pytest.mark.parametrize("article_id", ["KB-9", "../../etc", "' OR 1=1", "x" * 150])
async def test_an_unknown_article_is_refused_in_words(client: Client, article_id: str) -> None:
    result = await client.call_tool("get_article", {"article_id": article_id})
    assert result.is_error
    assert "in this knowledge base; ids come from" in result.content[0].text  # type: ignore[union-attr]


async def test_an_unknown_tool_is_refused(client: Client) -> None:
    assert await refusal(client, "drop_tables", {}) == "Unknown tool: drop_tables"


async def test_articles_are_resources_with_links_to_related_ones(client: Client) -> None:
    (content,) = (await client.read_resource("kb://articles/KB-1")).contents
    assert content.mime_type == "text/markdown"
    assert content.text.startswith("# Kafka refuses the connection")  # type: ignore[union-attr]
    assert "## See also\n\n- [KB-2](kb://articles/KB-2): Two writers" in content.text  # type: ignore[union-attr]


async def test_the_index_lists_every_article_by_category(client: Client) -> None:
    (content,) = (await client.read_resource("kb://index")).contents
    assert content.text == (  # type: ignore[union-attr]
        "# Articles of the knowledge base\n"
        "\n## configuration\n\n- [KB-2](kb://articles/KB-2): Two writers and one record\n"
        "\n## connectivity\n\n- [KB-1](kb://articles/KB-1): Kafka refuses the connection\n"
    )


@pytest.mark.parametrize("uri", ["kb://articles/KB-9", "kb://articles/..%2F..%2Fetc%2Fpasswd", "kb://nothing"])
async def test_an_unknown_resource_is_a_protocol_error_without_insides(client: Client, uri: str) -> None:
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    assert caught.value.error.code == -32602
    assert "Traceback" not in caught.value.error.message


async def test_the_prompt_carries_the_symptom_and_the_three_areas(client: Client) -> None:
    arguments = {"symptom": "it hangs", "dapr_version": "1.17.2"}
    (message,) = (await client.get_prompt("diagnose_dapr_problem", arguments)).messages
    text = message.content.text  # type: ignore[union-attr]
    for part in ("it hangs", "Dapr 1.17.2", "connectivity", "configuration", "compatibility", "query_knowledge_base"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("diagnose_dapr_problem", {}, "needs the argument symptom"),
        ("nope", {}, "no prompt named 'nope'; there is diagnose_dapr_problem"),
    ],
)
async def test_a_prompt_that_cannot_be_filled_in_says_why(
    client: Client, name: str, arguments: dict[str, str], complaint: str
) -> None:
    with pytest.raises(MCPError, match=complaint):
        await client.get_prompt(name, arguments)


async def test_a_model_is_told_what_it_needs_to_use_the_tools_well(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"query_knowledge_base", "get_article"}
    for tool in tools.values():
        assert tool.title
        assert len(tool.description or "") > 40
        assert tool.annotations is not None
        assert (tool.annotations.read_only_hint, tool.annotations.idempotent_hint) == (True, True)
        assert tool.output_schema is not None
        assert all(argument.get("description") for argument in tool.input_schema["properties"].values())
    limit = tools["query_knowledge_base"].input_schema["properties"]["limit"]
    assert (limit["default"], limit["minimum"], limit["maximum"]) == (5, 1, MAX_LIMIT)


async def test_each_query_leaves_one_line_without_its_text(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mcp_server")
    await ask(client, query="kafka brokers of a secret customer", category="connectivity")
    (record,) = (record for record in caplog.records if record.name.startswith("mcp_server"))
    assert record.getMessage().startswith("knowledge base queried: 34 characters, category connectivity, ")
    assert vars(record)["query_length"] == 34
    assert vars(record)["milliseconds"] >= 0
    assert "secret" not in record.getMessage()
