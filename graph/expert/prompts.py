"""What the expert says to the model."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from graph.expert.planning import AREAS, MAX_SECOND_ROUND, QUERY_TOOL
from graph.expert.state import ExpertState, KnowledgeQuery
from graph.memory import SolvedTicket
from graph.ports import Passage
from graph.tool_calls import as_messages, function_tool
from graph.untrusted import RULE, fence

TOOLS: list[dict[str, Any]] = [
    function_tool(
        QUERY_TOOL,
        "Search the knowledge base about running Dapr within one area. Literal error texts and component names work "
        "best.",
        {
            "query": {"type": "string", "description": "The problem in a few words."},
            "category": {"type": "string", "enum": list(AREAS), "description": "The area to search."},
        },
    )
]

_ROLE = f"You are an expert for Dapr, the distributed application runtime, who works on support tickets. {RULE}"

_PLAN = f"""{_ROLE}

Plan the search: call {QUERY_TOOL} at least three times at once, for each of the areas {", ".join(AREAS)}. Use the \
words of the ticket, error texts as they stand, and the components and versions of the customer's system."""

_REVIEW = f"""{_ROLE}

You have searched the knowledge base. When something decisive is missing, call {QUERY_TOOL} again, with other words, \
at most {MAX_SECOND_ROUND} times. When the results are enough, or nothing more can be expected, answer "enough"."""

_ANALYZE = f"""{_ROLE}

Write the analysis as JSON. Use only what the search results say, and for each finding and each step name the ids of \
the articles it stands on. findings: what the cause is or may be. steps: what the customer should do, in order, in \
Markdown, with the commands and YAML of the articles. summary: the problem and its likely cause in one or two \
sentences. When no result bears on the ticket, leave findings and steps empty: a person will take over. Never guess."""

_REVIEW_REQUEST = "Is something decisive missing? Then search once more."
_ANALYSIS_REQUEST = "Write the analysis."
_SHOWN = 2000
_RECALLED = 600


def plan_messages(state: ExpertState) -> list[BaseMessage]:
    """Ask for the queries of the first round."""
    return [SystemMessage(_PLAN), _describe(state)]


def review_messages(state: ExpertState) -> list[BaseMessage]:
    """Ask whether another round is needed."""
    return [SystemMessage(_REVIEW), _describe(state), *_results(state["queries"]), HumanMessage(_REVIEW_REQUEST)]


def analysis_messages(state: ExpertState) -> list[BaseMessage]:
    """Ask for the analysis."""
    return [SystemMessage(_ANALYZE), _describe(state), *_results(state["queries"]), HumanMessage(_ANALYSIS_REQUEST)]


def _describe(state: ExpertState) -> HumanMessage:
    triage = state["triage"]
    facts = {name: triage[name] for name in ("category", "urgency", "summary")}
    parts = [fence("ticket", state["description"]), fence("triage", _as_json(facts))]
    if triage["system"]:
        parts.append(fence("system", _as_json(triage["system"])))
    if state["earlier"]:
        parts.append("Tickets of this customer that were solved before:\n" + fence("earlier_tickets", _recall(state)))
    feedback = state.get("feedback")
    if feedback:
        rejected = "A person of the support team rejected the last proposal. Answer their reason:"
        parts.append(f"{rejected}\n{fence('feedback', feedback)}")
    return HumanMessage("\n\n".join(parts))


def _recall(state: ExpertState) -> str:
    def shorten(ticket: SolvedTicket) -> dict[str, str]:
        return {"summary": ticket["summary"][:_RECALLED], "solution": ticket["solution"][:_RECALLED]}

    return _as_json([shorten(ticket) for ticket in state["earlier"]])


def _results(queries: Sequence[KnowledgeQuery]) -> list[BaseMessage]:
    """Show each round's queries as tool calls; a passage that several queries found is spelled out once."""
    seen: set[tuple[str, str]] = set()
    messages: list[BaseMessage] = []
    for number in sorted({query["round"] for query in queries}):
        calls = [
            (QUERY_TOOL, {"query": query["query"], "category": query["category"]}, _show(query["passages"], seen))
            for query in queries
            if query["round"] == number
        ]
        messages += as_messages(calls, prefix=f"round{number}")
    return messages


def _show(passages: Iterable[Passage], seen: set[tuple[str, str]]) -> dict[str, object]:
    results: list[dict[str, object]] = []
    for passage in passages:
        key = (passage["article_id"], passage["text"])
        shown = {"article_id": passage["article_id"], "title": passage["title"], "section": passage["section"]}
        text = {"shown_above": True} if key in seen else {"passage": passage["text"][:_SHOWN]}
        results.append({**shown, **text, "score": passage["score"]})
        seen.add(key)
    return {"results": results}


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
