"""A small evaluation of the search over the shipped articles: what must be answered, and what must not.

The figures are those of the articles' author asking the articles' author, so they flatter; a fall is what matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import mcp_server
from mcp_server import KnowledgeIndex, load_articles

HERE = Path(__file__).parent
ARTICLES = Path(mcp_server.__file__).parent / "articles"

# Measured when the questions were written: 0.99 within the first three, 0.95 in the first place, of 78 questions.
RECALL_AT_3 = 0.96
RECALL_AT_1 = 0.90


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    """The index of the shipped articles."""
    with KnowledgeIndex(load_articles(ARTICLES)) as index:
        yield index


def questions() -> list[tuple[str, set[str]]]:
    """Each question with the articles that answer it; commas inside a question are part of it."""
    rows: list[list[Any]] = yaml.safe_load((HERE / "questions.yaml").read_text(encoding="utf-8"))
    return [(", ".join(map(str, row[:-1])), set(str(row[-1]).split())) for row in rows]


def ranking(index: KnowledgeIndex, query: str) -> list[str]:
    return list(dict.fromkeys(hit.article.article_id for hit in index.search(query, limit=20)))


def recall(index: KnowledgeIndex, *, within: int) -> float:
    answered = [bool(expected & set(ranking(index, text)[:within])) for text, expected in questions()]
    return sum(answered) / len(answered)


def test_there_are_enough_questions_and_they_cover_every_article(index: KnowledgeIndex) -> None:
    asked = questions()
    assert len(asked) >= 40
    assert set().union(*(expected for _, expected in asked)) == {article.article_id for article in index.articles}


def test_the_right_article_is_among_the_first_three(index: KnowledgeIndex) -> None:
    assert recall(index, within=3) >= RECALL_AT_3


def test_the_right_article_is_mostly_the_first(index: KnowledgeIndex) -> None:
    assert recall(index, within=1) >= RECALL_AT_1


@pytest.mark.parametrize("query", yaml.safe_load((HERE / "off_topic.yaml").read_text(encoding="utf-8")))
def test_a_question_about_something_else_is_answered_with_nothing(index: KnowledgeIndex, query: str) -> None:
    assert ranking(index, query) == []


def test_an_answer_carries_the_fix(index: KnowledgeIndex) -> None:
    for text, _ in questions():
        hits = index.search(text, limit=2)
        assert "Fix" in [hit.section.heading for hit in hits], text
