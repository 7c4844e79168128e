"""From the model's answer to an analysis: checked against what was really found, and rendered with its sources."""

import re
from collections.abc import Iterable, Iterator, Sequence
from textwrap import indent

from pydantic import BaseModel, Field

from graph.expert.state import Analysis, Finding, KnowledgeQuery, Source
from graph.ports import Passage

NOTHING_FOUND = """\
We searched our knowledge base for connectivity, configuration and compatibility problems and found nothing that \
answers this ticket. We do not want to guess: a person from our support team needs to look into it."""


class CitedFinding(BaseModel):
    """A finding as the model gives it."""

    claim: str = Field(description="One statement about the cause, as the articles say it.")
    article_ids: list[str] = Field(description="The ids of the articles that say it.")


class CitedStep(BaseModel):
    """A step as the model gives it."""

    instruction: str = Field(
        description="One thing to do, in Markdown, with commands or YAML where an article has them."
    )
    article_ids: list[str] = Field(description="The ids of the articles that say it.")


class ExpertAnswer(BaseModel):
    """What is asked of the model."""

    summary: str = Field(description="The problem and its likely cause in one or two sentences.")
    findings: list[CitedFinding]
    steps: list[CitedStep]


def passages_of(queries: Iterable[KnowledgeQuery]) -> Iterator[Passage]:
    """Yield every passage that was found."""
    for query in queries:
        yield from query["passages"]


def check_citations(answer: ExpertAnswer, *, retrieved: set[str]) -> None:
    """Refuse an answer that says anything without a source that was really found.

    Raises:
        ValueError: what is wrong, in words that the model can act on.
    """
    if bool(answer.findings) != bool(answer.steps):
        raise ValueError("findings and steps: either both say something, or both are empty because nothing fits")
    if not answer.summary.strip():
        raise ValueError("summary: it is empty")
    for text, ids in _statements(answer):
        _check_statement(text, ids, retrieved=retrieved)


def build_analysis(answer: ExpertAnswer, queries: Sequence[KnowledgeQuery]) -> Analysis:
    """Render a checked answer; one without findings becomes the honest statement that nothing was found."""
    if not answer.findings:
        return admit_nothing(answer.summary, queries)
    cited = {article_id for _, ids in _statements(answer) for article_id in ids}
    return Analysis(
        summary=answer.summary.strip(),
        findings=[Finding(claim=found.claim.strip(), article_ids=found.article_ids) for found in answer.findings],
        proposed_solution=_render(answer),
        sources=list(_sources(queries, cited)),
        queries=list(queries),
        needs_person=False,
    )


def admit_nothing(summary: str, queries: Sequence[KnowledgeQuery]) -> Analysis:
    """Say that the knowledge base knows nothing on this."""
    return Analysis(
        summary=summary.strip(),
        findings=[],
        proposed_solution=NOTHING_FOUND,
        sources=[],
        queries=list(queries),
        needs_person=True,
    )


def _statements(answer: ExpertAnswer) -> Iterator[tuple[str, list[str]]]:
    yield from ((finding.claim, finding.article_ids) for finding in answer.findings)
    yield from ((step.instruction, step.article_ids) for step in answer.steps)


def _check_statement(text: str, ids: Sequence[str], *, retrieved: set[str]) -> None:
    if not text.strip():
        raise ValueError("a finding or step is empty")
    if not ids:
        raise ValueError(f"{text[:80]!r} names no article; name one of {sorted(retrieved)} or leave it out")
    invented = [name for name in (*ids, *_mentioned(text, retrieved)) if name not in retrieved]
    if invented:
        raise ValueError(f"{text[:80]!r} names {invented[0]!r}, which was not found; found were {sorted(retrieved)}")


def _mentioned(text: str, retrieved: Iterable[str]) -> list[str]:
    """Return what looks like an article id in a text: words that begin as the ids that were found do."""
    prefixes = {article_id.split("-", 1)[0] for article_id in retrieved if "-" in article_id}
    return [name for prefix in prefixes for name in re.findall(rf"\b{re.escape(prefix)}-\w+-\d+\b", text)]


def _sources(queries: Iterable[KnowledgeQuery], cited: set[str]) -> Iterator[Source]:
    found = {passage["article_id"]: passage for passage in passages_of(queries)}
    for article_id in sorted(cited):
        passage = found[article_id]
        yield Source(article_id=article_id, title=passage["title"], url=passage["url"])


def _render(answer: ExpertAnswer) -> str:
    found = [f"- {_cite(finding.claim, finding.article_ids)}" for finding in answer.findings]
    steps = [
        f"{number}. {indent(_cite(step.instruction, step.article_ids), '   ').strip()}"
        for number, step in enumerate(answer.steps, start=1)
    ]
    return "\n".join(["**What we found**", "", *found, "", "**What to do**", "", *steps])


def _cite(text: str, ids: Sequence[str]) -> str:
    """Put the article ids behind the first paragraph, before any code that follows it."""
    first, gap, rest = text.strip().partition("\n")
    marks = " ".join(f"[{article_id}]" for article_id in dict.fromkeys(ids) if f"[{article_id}]" not in first)
    return f"{first} {marks}".rstrip() + gap + rest
