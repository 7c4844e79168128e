"""Which queries are asked: what the model planned, corrected, and completed so that every area is covered."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from langchain_core.messages import ToolCall

from graph.expert.state import KnowledgeQuery, QueryRequest
from graph.ports import Category

QUERY_TOOL = "query_knowledge_base"
AREAS: tuple[Category, ...] = get_args(Category)
_AREA_BY_NAME: dict[str, Category] = {area: area for area in AREAS}
MAX_FIRST_ROUND = 6
MAX_SECOND_ROUND = 3
_MAX_QUERY = 300

logger = logging.getLogger(__name__)


def plan_first_round(calls: Iterable[ToolCall], *, problem: str) -> list[QueryRequest]:
    """Return at least one query for each area and at most `MAX_FIRST_ROUND` in all.

    Args:
        calls: what the model asked for; it may be nothing or nonsense.
        problem: the words to search an area with that the model left out.
    """
    planned = _accept(calls, round_number=1)
    firsts = [_first_in(area, planned) or _request(problem, area, round_number=1) for area in AREAS]
    rest = [request for request in planned if request not in firsts]
    return _distinct([*firsts, *rest])[:MAX_FIRST_ROUND]


def plan_second_round(calls: Iterable[ToolCall], *, asked: Sequence[KnowledgeQuery]) -> list[QueryRequest]:
    """Return what the model still wants to know and has not asked yet, `MAX_SECOND_ROUND` queries at most."""
    known = {_key(query) for query in asked}
    planned = _distinct(_accept(calls, round_number=2))
    return [request for request in planned if _key(request) not in known][:MAX_SECOND_ROUND]


def _accept(calls: Iterable[ToolCall], *, round_number: int) -> list[QueryRequest]:
    """Turn tool calls into queries: other tools are refused, invalid arguments corrected or dropped."""
    accepted: list[QueryRequest] = []
    for call in calls:
        if call["name"] != QUERY_TOOL:
            logger.warning("refused a call of the unknown tool %.80r", call["name"], extra={"node": "expert"})
            continue
        query = _text(call["args"], "query")
        if query:
            area = _area(call["args"], covered={request["category"] for request in accepted})
            accepted.append(_request(query, area, round_number=round_number))
    return accepted


def _area(arguments: Mapping[str, Any], *, covered: set[Category]) -> Category:
    """Return the area that was meant; an unknown one becomes the first that has no query yet."""
    meant = _text(arguments, "category").lower()
    if meant in _AREA_BY_NAME:
        return _AREA_BY_NAME[meant]
    uncovered: list[Category] = [area for area in _AREA_BY_NAME.values() if area not in covered]
    return uncovered[0] if uncovered else AREAS[0]


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _request(query: str, category: Category, *, round_number: int) -> QueryRequest:
    return QueryRequest(query=" ".join(query.split())[:_MAX_QUERY], category=category, round=round_number)


def _first_in(area: Category, requests: Iterable[QueryRequest]) -> QueryRequest | None:
    return next((request for request in requests if request["category"] == area), None)


def _distinct(requests: Iterable[QueryRequest]) -> list[QueryRequest]:
    by_key: dict[tuple[str, Category], QueryRequest] = {}
    for request in requests:
        by_key.setdefault(_key(request), request)
    return list(by_key.values())


def _key(query: QueryRequest | KnowledgeQuery) -> tuple[str, Category]:
    return query["query"].casefold(), query["category"]
