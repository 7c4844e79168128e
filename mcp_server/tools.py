"""What the server's tools do: check the question, ask the index, shape the answer, leave one log line."""

import asyncio
import logging
import time

from mcp_server.errors import BadQueryError
from mcp_server.index import Hit, KnowledgeIndex
from mcp_server.models import Article, Category, PassageFound, QueryAnswer, WholeArticle

logger = logging.getLogger(__name__)


async def answer_query(index: KnowledgeIndex, query: str, *, category: Category | None, limit: int) -> QueryAnswer:
    """Search the index.

    Raises:
        BadQueryError: The query holds nothing but white space.
    """
    if not query.strip():
        raise BadQueryError("the query is empty; describe the symptom or quote the error text")
    started = time.perf_counter()
    hits = await asyncio.to_thread(index.search, query, category=category, limit=limit)
    _report(len(query), category=category, results=len(hits), seconds=time.perf_counter() - started)
    return QueryAnswer(query=query, category=category, results=[_passage(hit) for hit in hits])


def whole_article(article: Article) -> WholeArticle:
    """Shape an article for a client."""
    return WholeArticle(
        article_id=article.article_id,
        title=article.title,
        category=article.category,
        tags=list(article.tags),
        versions=article.versions,
        see_also=list(article.see_also),
        url=article.url,
        text=article.text,
    )


def render_index(index: KnowledgeIndex) -> str:
    """List all articles as Markdown, by category."""
    lines = ["# Articles of the knowledge base"]
    by_category: dict[str, list[Article]] = {}
    for article in index.articles:
        by_category.setdefault(article.category or "other", []).append(article)
    for category, articles in sorted(by_category.items()):
        lines += ["", f"## {category}", ""]
        lines += [f"- [{article.article_id}]({article.url}): {article.title}" for article in articles]
    return "\n".join(lines) + "\n"


def render_article(index: KnowledgeIndex, article: Article) -> str:
    """Return an article's Markdown with its links to related articles."""
    related = [index.get(article_id) for article_id in article.see_also]
    if not related:
        return article.text
    links = "\n".join(f"- [{other.article_id}]({other.url}): {other.title}" for other in related)
    return f"{article.text}\n\n## See also\n\n{links}\n"


def _passage(hit: Hit) -> PassageFound:
    return PassageFound(
        article_id=hit.article.article_id,
        title=hit.article.title,
        section=hit.section.heading,
        passage=hit.section.text,
        # Four significant digits; rounding to decimals could make a small score zero.
        score=float(f"{hit.score:.4g}"),
        url=hit.article.url,
    )


def _report(query_length: int, *, category: Category | None, results: int, seconds: float) -> None:
    # The query is a customer's text: only its length is logged.
    milliseconds = round(seconds * 1000, 1)
    logger.info(
        "knowledge base queried: %s characters, category %s, %s results, %s ms",
        query_length,
        category or "any",
        results,
        milliseconds,
        extra={
            "query_length": query_length,
            "category": category,
            "results": results,
            "milliseconds": milliseconds,
        },
    )
