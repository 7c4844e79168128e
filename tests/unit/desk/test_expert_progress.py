"""What can be seen of the expert's queries while it works."""

from typing import Any

from langgraph.types import PregelTask, StateSnapshot

from desk.progress import read_queries

PASSAGE = {"article_id": "KB-CON-001", "title": "t", "section": "s", "text": "x", "score": 1.0, "url": "u"}


def request(query: str, round_number: int = 1) -> dict[str, Any]:
    return {"query": query, "category": "connectivity", "round": round_number}


def answered(query: str, round_number: int = 1) -> dict[str, Any]:
    return {**request(query, round_number), "passages": [PASSAGE]}


def snapshot(values: dict[str, Any], *results: Any) -> StateSnapshot:
    tasks = tuple(
        PregelTask(id=str(number), name="query_knowledge_base", path=(), result=result)
        for number, result in enumerate(results)
    )
    return StateSnapshot(values, (), {"configurable": {}}, None, None, None, tasks, ())


def test_before_the_plan_there_is_nothing_to_see() -> None:
    assert read_queries(snapshot({})) == ()


def test_each_query_is_seen_as_soon_as_it_is_done() -> None:
    seen = read_queries(snapshot({"requests": [request("a"), request("b")]}, {"queries": [answered("b")]}, None))
    assert [(query.query, query.is_done, len(query.passages)) for query in seen] == [("b", True, 1), ("a", False, 0)]


def test_finished_rounds_stay_in_sight_while_the_next_one_runs() -> None:
    values = {"requests": [request("c", 2)], "queries": [answered("a"), answered("b")]}
    seen = read_queries(snapshot(values, None))
    assert [(query.query, query.round, query.is_done) for query in seen] == [
        ("a", 1, True),
        ("b", 1, True),
        ("c", 2, False),
    ]
