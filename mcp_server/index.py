"""The search index: the sections of all articles in SQLite FTS5, ranked by bm25, cut off where relevance ends."""

import math
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from mcp_server.errors import ArticleNotFoundError
from mcp_server.models import Article, Category, Section
from mcp_server.terms import significant_terms

_SCHEMA = """
CREATE VIRTUAL TABLE passages USING fts5(
    title, tags, symptoms, heading, body, article UNINDEXED, section UNINDEXED, category UNINDEXED,
    tokenize = 'porter unicode61'
)
"""
# bm25's weights of title, tags, symptoms, heading, body. A title is a person's own summary of the article, and
# symptoms are the words that a person in trouble uses; a body mentions many things in passing.
_RANK = "-bm25(passages, 6.0, 4.0, 3.0, 1.5, 1.0)"
# Which section to show is decided by the section alone: the other columns are the same for all of an article.
_FIT = "-bm25(passages, 0.0, 0.0, 0.0, 1.5, 1.0)"
_MATCHING = "SELECT DISTINCT article FROM passages WHERE passages MATCH ?"
_RANKED = f"SELECT article, section, {_RANK}, {_FIT} FROM passages WHERE passages MATCH ?"  # noqa: S608 - a constant
# An article of another Markdown tree may have no category; a filter keeps it, for it may be about anything.
_IN_CATEGORY = " AND (category IS ? OR category IS NULL)"

# When is an article an answer at all? It must know this share of what the query asks (its words, weighed by rarity)...
_MIN_COVERAGE = 0.4
# ...with two of its words at least when it has three or more: one word in common is a coincidence.
_MIN_TERMS = 2
# A long letter is mostly about other things. There a smaller share will do when it weighs as much as this number of
# words that only one article has. Both limits come from the questions in tests/unit/mcp_server.
_MIN_COVERAGE_OF_LETTER = 0.2
_STRONG_EVIDENCE = 2.25
# The sections that a reader who recognised the problem wants next.
_ANSWERS = frozenset({"fix", "solution", "resolution", "workaround"})


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A section found, with the score of its article."""

    article: Article
    section: Section
    score: float


@dataclass(frozen=True, kw_only=True)
class _Match:
    section: int
    rank: float
    fit: float


class KnowledgeIndex:
    """Search over a fixed set of articles; safe to use from several threads."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self.articles = tuple(articles)
        self._by_id = {article.article_id.casefold(): article for article in self.articles}
        # Built in memory at each start: a few hundred articles take a fraction of a second, and no stale file is left.
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._lock = threading.Lock()
        self._fill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the database."""
        self._database.close()

    @property
    def passage_count(self) -> int:
        """How many sections can be found."""
        return sum(len(article.sections) for article in self.articles)

    def get(self, article_id: str) -> Article:
        """Return the article with this id, whatever its case.

        Raises:
            ArticleNotFoundError: No article has it.
        """
        found = self._by_id.get(article_id.strip().casefold())
        if found is None:
            raise ArticleNotFoundError(
                f"no article {shorten(article_id)!r} in this knowledge base; ids come from query_knowledge_base "
                "and from the resource kb://index"
            )
        return found

    def search(self, query: str, *, category: Category | None = None, limit: int = 5) -> list[Hit]:
        """Return up to `limit` sections of the most relevant articles, best article first; often fewer, or none.

        The score of an article is its best section's bm25 times the share of the query that the article covers.
        """
        terms = significant_terms(query)
        with self._lock:
            coverage = self._coverage(terms)
            if not coverage:
                return []
            matches = self._matches(terms, category=category)
        scores = {
            number: coverage[number] * max(match.rank for match in matches[number])
            for number in matches.keys() & coverage.keys()
        }
        ranking = sorted(scores, key=lambda number: (-scores[number], number))
        hits = (
            Hit(article=self.articles[number], section=section, score=scores[number])
            for number in ranking
            for section in _telling_sections(self.articles[number], matches[number])
        )
        return [hit for hit, _ in zip(hits, range(limit), strict=False)]

    def _fill(self) -> None:
        self._database.execute(_SCHEMA)
        self._database.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (a.title, " ".join(a.tags), a.symptoms, section.heading, section.text, number, place, a.category)
                for number, a in enumerate(self.articles)
                for place, section in enumerate(a.sections)
            ),
        )

    def _coverage(self, terms: Iterable[str]) -> dict[int, float]:
        """Return the relevant articles and the share of the query, by weight, that each knows."""
        knowing = {term: self._articles_with(term) for term in terms}
        weights = {term: self._weight(len(articles)) for term, articles in knowing.items()}
        found: dict[int, list[float]] = {}
        for term, articles in knowing.items():
            for number in articles:
                found.setdefault(number, []).append(weights[term])
        asked, needed = sum(weights.values()), _MIN_TERMS if len(knowing) > _MIN_TERMS else 1
        strong = _STRONG_EVIDENCE * self._weight(1)
        return {
            number: sum(known) / asked
            for number, known in found.items()
            if len(known) >= needed and _is_answer(sum(known), asked=asked, strong=strong)
        }

    def _weight(self, article_count: int) -> float:
        """Weigh a word by its rarity; a word that no article has weighs most, so foreign subjects are noticed."""
        return math.log(1 + len(self.articles) / (article_count + 0.5))

    def _articles_with(self, term: str) -> set[int]:
        return {int(row[0]) for row in self._database.execute(_MATCHING, (_quoted(term),))}

    def _matches(self, terms: Iterable[str], *, category: Category | None) -> dict[int, list[_Match]]:
        sql, values = _RANKED, [" OR ".join(map(_quoted, terms))]
        if category is not None:
            sql, values = sql + _IN_CATEGORY, [*values, category]
        matches: dict[int, list[_Match]] = {}
        for number, section, rank, fit in self._database.execute(sql, values):
            match = _Match(section=int(section), rank=float(rank), fit=float(fit))
            matches.setdefault(int(number), []).append(match)
        return matches


def shorten(text: str, *, limit: int = 60) -> str:
    """Cut a caller's text for a message."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def _is_answer(known: float, *, asked: float, strong: float) -> bool:
    share = known / asked
    return share >= _MIN_COVERAGE or (share >= _MIN_COVERAGE_OF_LETTER and known >= strong)


def _quoted(term: str) -> str:
    # MATCH has a language of its own (AND, NEAR, ^, *, column names); a quoted string is the only plain word in it.
    return '"' + term.replace('"', '""') + '"'


def _telling_sections(article: Article, matches: Iterable[_Match]) -> list[Section]:
    """Return the section that fits best, and the one that says what to do about it."""
    best = article.sections[max(matches, key=lambda match: (match.fit, -match.section)).section]
    answer = next((section for section in article.sections if section.heading.lower() in _ANSWERS), best)
    return [best] if answer is best else [best, answer]
