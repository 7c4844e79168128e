"""A documentation tree that was not written for this server: Hugo front matter, shortcodes, hundreds of files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_server import KnowledgeIndex, load_articles
from mcp_server.markdown import MAX_PASSAGE

# Beside the repository, not in it: the tree has a licence of its own.
TREE = Path(__file__).parents[3].parent / "shared" / "corpus" / "dapr-docs"

pytestmark = pytest.mark.skipif(not TREE.is_dir(), reason="no documentation tree at ../shared/corpus/dapr-docs")


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    """The index of the documentation tree."""
    with KnowledgeIndex(load_articles(TREE)) as index:
        yield index


def test_the_whole_tree_is_ingested(index: KnowledgeIndex) -> None:
    assert len(index.articles) > 350
    assert index.passage_count > 3000
    assert all(article.title and article.text for article in index.articles)
    assert max(len(section.text) for article in index.articles for section in article.sections) <= MAX_PASSAGE


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("kafka authentication with a SASL password", "setup-apache-kafka"),
        ("how do I give a state key another prefix to share state between apps", "howto-share-state"),
        ("dead letter topic for a subscription", "pubsub-deadletter"),
        ("renew the mTLS root certificate", "mtls"),
        ("scope a component to certain app ids", "component-scopes"),
        ("circuit breaker policy", "policies"),
        ("which SDK versions work with which runtime", "support-release-policy"),
    ],
)
def test_questions_find_their_page(index: KnowledgeIndex, query: str, page: str) -> None:
    found = list(dict.fromkeys(hit.article.article_id for hit in index.search(query, limit=20)))[:5]
    assert any(page in article_id for article_id in found), found


def test_a_category_does_not_hide_pages_without_one(index: KnowledgeIndex) -> None:
    assert index.search("kafka authentication with a SASL password", category="connectivity")


@pytest.mark.parametrize("query", ["How do I bake sourdough bread in a Dutch oven?", "Who won the world cup in 1998?"])
def test_what_the_tree_does_not_know_is_answered_with_nothing(index: KnowledgeIndex, query: str) -> None:
    assert index.search(query) == []
