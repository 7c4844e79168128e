"""The support desk's knowledge base, served over the Model Context Protocol."""

from mcp_server.errors import ArticleError, KnowledgeBaseError
from mcp_server.index import KnowledgeIndex
from mcp_server.ingest import load_articles
from mcp_server.server import build_server

__all__ = ["ArticleError", "KnowledgeBaseError", "KnowledgeIndex", "build_server", "load_articles"]
