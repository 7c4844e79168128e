"""Searching: what is found, in which order, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_server import KnowledgeIndex, load_articles
from mcp_server.errors import ArticleNotFoundError
from tests.kit.articles import ETAG, KAFKA, write_articles


@pytest.fixture
def index(tmp_path: Path) -> Iterator[KnowledgeIndex]:
    """Two articles with categories and one without."""
    free = "# Brewing tea\n\nHot water, a pot and leaves.\n\n## Green\n\nCooler water.\n"
    with KnowledgeIndex(load_articles(write_articles(tmp_path, a=KAFKA, b=ETAG, c=free))) as index:
        yield index


def ids(index: KnowledgeIndex, query: str, **options: object) -> list[str]:
    """Ask, and name the articles in the order found."""
    return list(dict.fromkeys(hit.article.article_id for hit in index.search(query, **options)))  # type: ignore[arg-type]


def test_the_matching_section_comes_first_and_the_fix_with_it(index: KnowledgeIndex) -> None:
    hits = index.search("client has run out of available brokers")
    assert [(hit.article.article_id, hit.section.heading) for hit in hits] == [("KB-1", "Symptoms"), ("KB-1", "Fix")]
    assert hits[0].score == hits[1].score > 0


def test_a_solution_counts_as_a_fix(index: KnowledgeIndex) -> None:
    assert index.search("etag mismatch")[-1].section.heading == "Solution"


def test_other_forms_of_a_word_are_found(index: KnowledgeIndex) -> None:
    assert ids(index, "mismatched etags") == ["KB-2"]


def test_a_better_article_has_a_higher_score(index: KnowledgeIndex) -> None:
    hits = index.search("kafka connection etag", limit=20)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert hits[0].article.article_id == "KB-1"


def test_the_limit_counts_passages(index: KnowledgeIndex) -> None:
    assert len(index.search("kafka", limit=1)) == 1


def test_a_category_keeps_its_articles_and_those_without_one(index: KnowledgeIndex) -> None:
    assert ids(index, "kafka", category="configuration") == []
    assert ids(index, "kafka", category="connectivity") == ["KB-1"]
    assert ids(index, "tea leaves", category="connectivity") == ["c"]


def test_one_word_in_common_is_no_answer(index: KnowledgeIndex) -> None:
    assert index.search("hot chocolate recipe with marshmallows and cinnamon") == []


def test_nothing_is_found_for_a_query_without_words(index: KnowledgeIndex) -> None:
    assert index.search("*** ??? 🙂") == []
    assert index.search("") == []


@pytest.mark.parametrize(
    "query",
    [
        '"kafka',
        "kafka AND",
        "OR kafka",
        "NEAR(kafka, 5)",
        "title: kafka",
        "kafka*",
        "^kafka",
        "kafka) UNION SELECT 1 --",
        "-kafka",
        "{kafka}",
        "kafka\x00",
        "kafka\ud800",
    ],
)
def test_the_query_language_of_the_database_cannot_be_reached(index: KnowledgeIndex, query: str) -> None:
    assert ids(index, query) in (["KB-1"], [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(max_size=200))
def test_no_text_breaks_the_search(index: KnowledgeIndex, text: str) -> None:
    assert all(hit.score > 0 for hit in index.search(text))


def test_an_article_is_found_by_its_id_in_any_case(index: KnowledgeIndex) -> None:
    assert index.get(" kb-1 ").article_id == "KB-1"


def test_an_unknown_id_is_answered_without_repeating_all_of_it(index: KnowledgeIndex) -> None:
    with pytest.raises(ArticleNotFoundError) as caught:
        index.get("x" * 500)
    assert len(str(caught.value)) < 250


def test_threads_can_search_at_the_same_time(index: KnowledgeIndex) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ids(index, "kafka brokers"), range(200)))
    assert answers == [["KB-1"]] * 200
