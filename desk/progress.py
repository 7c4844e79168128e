"""What the expert is doing right now: each knowledge-base query, as soon as it is done."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from langgraph.types import StateSnapshot

from dapr_bridge import DurableGraph
from graph.expert import KnowledgeQuery
from graph.ports import Passage


@dataclass(frozen=True, kw_only=True)
class QueryProgress:
    """A query that is planned, and what it found once it is done; `round` counts the expert's own rounds."""

    query: str
    category: str
    round: int
    is_done: bool
    passages: tuple[Passage, ...] = ()


class ExpertProgress:
    """Reads the expert's threads while they run."""

    def __init__(self, expert: DurableGraph) -> None:
        self._expert = expert

    async def read(self, thread_id: str) -> tuple[QueryProgress, ...]:
        """Return the thread's queries: those that are done first, then those that are not."""
        return read_queries(await self._expert.aget_state({"configurable": {"thread_id": thread_id}}))


def read_queries(snapshot: StateSnapshot) -> tuple[QueryProgress, ...]:
    """Read the queries off a thread's state, including those whose step has not ended for the others' sake."""
    values: dict[str, Any] = snapshot.values
    results = [*_queries(values), *(query for task in snapshot.tasks for query in _queries(task.result))]
    # LangGraph shows the writes of a task that is done in the values too, but not of every task.
    done = {_identity(query): query for query in results}
    planned = [request for request in values.get("requests", ()) if _identity(request) not in done]
    return (
        *(_progress(query, query["passages"], is_done=True) for query in done.values()),
        *(_progress(request, (), is_done=False) for request in planned),
    )


def _identity(query: Any) -> tuple[str, str, int]:
    return query["query"], query["category"], query["round"]


def _queries(values: Any) -> Iterable[KnowledgeQuery]:
    return values.get("queries", ()) if isinstance(values, dict) else ()


def _progress(query: Any, passages: Iterable[Passage], *, is_done: bool) -> QueryProgress:
    return QueryProgress(
        query=query["query"],
        category=query["category"],
        round=query["round"],
        is_done=is_done,
        passages=tuple(passages),
    )
