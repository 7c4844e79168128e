"""The state of the expert graph: JSON-friendly values only."""

import operator
from typing import Annotated

from typing_extensions import TypedDict

from graph.memory import SolvedTicket
from graph.ports import Category, Passage
from graph.triage.state import TriageReport


class QueryRequest(TypedDict):
    """A query that is planned but not yet asked; `round` counts from 1."""

    query: str
    category: Category
    round: int


class KnowledgeQuery(TypedDict):
    """A query that was asked, with what came back."""

    query: str
    category: Category
    passages: list[Passage]
    round: int


class Finding(TypedDict):
    """A statement about the problem and the articles that it stands on."""

    claim: str
    article_ids: list[str]


class Source(TypedDict):
    """An article that the analysis cites."""

    article_id: str
    title: str
    url: str


class Analysis(TypedDict):
    """What the expert found out; each claim of the solution (Markdown) names its article: "[KB-CON-004]"."""

    summary: str
    findings: list[Finding]
    proposed_solution: str
    sources: list[Source]
    queries: list[KnowledgeQuery]
    needs_person: bool


class ExpertInput(TypedDict):
    """What an expert run starts with; `feedback` is why a person rejected the last proposal."""

    ticket_id: str
    description: str
    triage: TriageReport
    feedback: str | None


class ExpertOutput(TypedDict):
    """What an expert run ends with."""

    analysis: Analysis


class ExpertState(ExpertInput):
    """Everything an expert run knows; keys are there once their node has run."""

    earlier: list[SolvedTicket]
    requests: list[QueryRequest]
    queries: Annotated[list[KnowledgeQuery], operator.add]
    analysis: Analysis
