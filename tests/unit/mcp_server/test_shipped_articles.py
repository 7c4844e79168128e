"""The shipped articles: complete, linked, valid, and found by their own symptoms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import mcp_server
from mcp_server import KnowledgeIndex, load_articles
from mcp_server.models import Article

ARTICLES = Path(mcp_server.__file__).parent / "articles"
PREFIXES = {"connectivity": "KB-CON-", "configuration": "KB-CFG-", "compatibility": "KB-CMP-"}
# Far beyond a screen an article is two articles; below it the fix is usually missing.
FEWEST_LINES, MOST_LINES = 35, 80


@pytest.fixture(scope="module")
def articles() -> tuple[Article, ...]:
    """All shipped articles."""
    return load_articles(ARTICLES)


@pytest.fixture(scope="module")
def index(articles: tuple[Article, ...]) -> Iterator[KnowledgeIndex]:
    """The index of the shipped articles."""
    with KnowledgeIndex(articles) as index:
        yield index


def fences(article: Article, language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", article.text, re.DOTALL | re.MULTILINE)


def resources(article: Article) -> list[dict[str, Any]]:
    """Return the documents in YAML blocks that are resources of Kubernetes or Dapr."""
    documents = [document for block in fences(article, "yaml") for document in yaml.safe_load_all(block)]
    return [document for document in documents if isinstance(document, dict) and "apiVersion" in document]


def symptoms(article: Article) -> list[str]:
    """Return the points of the list of symptoms."""
    return re.findall(r"^- (.*(?:\n  .*)*)", article.symptoms, re.MULTILINE)


def test_there_are_enough_articles_in_each_category(articles: tuple[Article, ...]) -> None:
    counts = Counter(article.category or "none" for article in articles)
    assert len(articles) >= 42
    assert set(counts) == set(PREFIXES)
    assert min(counts.values()) >= 14


def test_every_article_has_its_sections_in_order(articles: tuple[Article, ...]) -> None:
    for article in articles:
        headings = [section.heading for section in article.sections]
        assert headings == ["Symptoms", "Cause", "Fix", "Versions"], article.article_id
        assert article.text.startswith(f"# {article.title}\n"), article.article_id


def test_every_article_says_what_it_is_about(articles: tuple[Article, ...]) -> None:
    for article in articles:
        assert re.fullmatch(PREFIXES[article.category or ""] + r"\d{3}", article.article_id)
        assert len(article.tags) >= 4, article.article_id
        assert re.match(r"1\.\d\d", article.versions), article.article_id
        assert article.see_also, article.article_id
        assert article.article_id not in article.see_also


def test_no_article_is_a_note_or_a_book(articles: tuple[Article, ...]) -> None:
    sizes = {article.article_id: article.text.count("\n") + 1 for article in articles}
    assert {name: size for name, size in sizes.items() if not FEWEST_LINES <= size <= MOST_LINES} == {}


def test_every_fix_shows_a_command_or_a_file(articles: tuple[Article, ...]) -> None:
    fixes = {a.article_id: section.text for a in articles for section in a.sections if section.heading == "Fix"}
    assert [name for name, text in fixes.items() if "```" not in text] == []


def test_every_article_that_a_text_mentions_exists(articles: tuple[Article, ...], index: KnowledgeIndex) -> None:
    for article in articles:
        for mentioned in re.findall(r"KB-[A-Z]{3}-\d{3}", article.text):
            assert index.get(mentioned)


def test_yaml_in_articles_can_be_loaded(articles: tuple[Article, ...]) -> None:
    for block in (block for article in articles for block in fences(article, "yaml")):
        assert all(document is not None for document in yaml.safe_load_all(block)), block


def test_dapr_resources_in_articles_have_a_kind_a_name_and_a_known_version(articles: tuple[Article, ...]) -> None:
    for resource in (resource for article in articles for resource in resources(article)):
        assert resource["kind"]
        assert resource["metadata"]["name"]
        if resource["apiVersion"].startswith("dapr.io/"):
            assert resource["apiVersion"] in {"dapr.io/v1alpha1", "dapr.io/v2alpha1"}


def test_component_metadata_in_articles_is_a_list_of_names_with_string_values(articles: tuple[Article, ...]) -> None:
    components = [found for article in articles for found in resources(article) if found["kind"] == "Component"]
    assert components
    for item in (item for component in components for item in component["spec"].get("metadata", [])):
        assert isinstance(item["name"], str)
        # Kubernetes refuses numbers and booleans here, so an example that forgets the quotes does not work.
        assert isinstance(item.get("value", ""), str), item
        assert ("value" in item) != ("secretKeyRef" in item), item


def test_python_in_articles_can_be_compiled(articles: tuple[Article, ...]) -> None:
    for block in (block for article in articles for block in fences(article, "python")):
        # The snippets are parts of functions, so `yield` has to be inside one.
        body = "\n".join(f"    {line}" for line in block.splitlines())
        compile(f"def snippet():\n{body}", "article", "exec")


def test_every_article_is_found_by_each_of_its_symptoms(articles: tuple[Article, ...], index: KnowledgeIndex) -> None:
    for article in articles:
        assert symptoms(article), article.article_id
        for symptom in symptoms(article):
            hits = index.search(symptom, category=article.category, limit=20)
            assert article.article_id in list(dict.fromkeys(hit.article.article_id for hit in hits))[:3], symptom
