"""Assemble the MCP server: its tools, resources and prompt, and what a model is told about them."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.types import ToolAnnotations
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcp_server.errors import ArticleNotFoundError, BadQueryError
from mcp_server.index import KnowledgeIndex
from mcp_server.models import Category, QueryAnswer, WholeArticle
from mcp_server.prompts import diagnosis_prompt
from mcp_server.refusals import RefusingServer
from mcp_server.tools import answer_query, render_article, render_index, whole_article

MAX_QUERY = 2000
MAX_LIMIT = 20

INSTRUCTIONS = """\
A knowledge base about running Dapr: articles on connectivity, configuration and compatibility, each with symptoms,
cause and fix. Ask it with query_knowledge_base before you answer a question about Dapr, once for each area that could
be the cause, and quote error texts literally. An empty answer means that it knows nothing: say so instead of guessing.
Name the article ids that a statement rests on.
"""

HOW_TO_QUERY = """\
Find passages about a Dapr problem: what it looks like, why it happens and how to fix it. Plain language works; literal
error texts work best. The best article comes first, with the section that matches and the section with the fix. An
empty list means that nothing relevant is known.
"""

_READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY,
        description="The problem in plain words, best with the literal error text and the names of the components "
        "involved, e.g. 'ERR_DIRECT_INVOKE failed to invoke checkout after moving it to another namespace'.",
    ),
]
Area = Annotated[
    Category | None,
    Field(
        description="Keep the search to one area: connectivity (something cannot be reached), configuration "
        "(components, annotations, scopes, secrets), compatibility (versions, upgrades, platforms). Leave out for all."
    ),
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many passages to return at most.")]
ArticleId = Annotated[str, Field(min_length=1, max_length=200, description="An article id, e.g. KB-CON-001.")]


def build_server(index: KnowledgeIndex) -> MCPServer[Any]:
    """Build the server over an index; it holds no state of its own, so it can serve any number of sessions."""
    server = RefusingServer(
        name="knowledge-base", title="Dapr knowledge base", version=_version(), instructions=INSTRUCTIONS
    )
    _add_tools(server, index)
    _add_resources(server, index)
    server.prompt(name="diagnose_dapr_problem", title="Diagnose a Dapr problem")(diagnosis_prompt)
    _add_health(server, index)
    return server


def _add_tools(server: MCPServer[Any], index: KnowledgeIndex) -> None:
    @server.tool(title="Search the knowledge base", description=HOW_TO_QUERY, annotations=_READ_ONLY)
    async def query_knowledge_base(query: Query, category: Area = None, limit: Limit = 5) -> QueryAnswer:
        try:
            return await answer_query(index, query, category=category, limit=limit)
        except BadQueryError as error:
            raise ToolError(str(error)) from error

    @server.tool(title="Read an article", annotations=_READ_ONLY)
    async def get_article(article_id: ArticleId) -> WholeArticle:
        """Return one article in full, when the passages found do not say enough."""
        try:
            return whole_article(index.get(article_id))
        except ArticleNotFoundError as error:
            raise ToolError(str(error)) from error


def _add_resources(server: MCPServer[Any], index: KnowledgeIndex) -> None:
    @server.resource("kb://index", name="index", title="All articles", mime_type="text/markdown")
    async def read_index() -> str:
        """Every article's id and title, by category."""
        return render_index(index)

    @server.resource("kb://articles/{article_id}", name="article", title="One article", mime_type="text/markdown")
    async def read_article(article_id: str) -> str:
        """An article's Markdown."""
        try:
            return render_article(index, index.get(article_id))
        except ArticleNotFoundError as error:
            raise ResourceNotFoundError(str(error)) from error


def _add_health(server: MCPServer[Any], index: KnowledgeIndex) -> None:
    @server.custom_route("/health", methods=["GET"])
    async def report_health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "articles": len(index.articles), "passages": index.passage_count})


def _version() -> str:
    try:
        return version("customer-support-desk")
    except PackageNotFoundError:
        return "0"
