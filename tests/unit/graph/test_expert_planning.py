"""Whatever a model plans, the search covers every area and stays within its bounds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import ToolCall

from graph.expert.planning import AREAS, MAX_FIRST_ROUND, MAX_SECOND_ROUND, plan_first_round, plan_second_round
from graph.expert.state import KnowledgeQuery

QUERY = "query_knowledge_base"
ARGUMENTS = st.dictionaries(
    st.sampled_from(["query", "category", "limit"]),
    st.one_of(st.none(), st.integers(), st.text(max_size=400), st.sampled_from([*AREAS, "Connectivity ", "other"])),
)
CALLS = st.lists(st.builds(lambda name, args: call(args, name=name), st.sampled_from([QUERY, "rm"]), ARGUMENTS))


def call(args: dict[str, Any], *, name: str = QUERY) -> ToolCall:
    return ToolCall(name=name, args=args, id="call")


@given(CALLS)
def test_the_first_round_covers_each_area_without_repeats(made: list[ToolCall]) -> None:
    plan = plan_first_round(made, problem="redis times out")
    keys = [(request["query"].casefold(), request["category"]) for request in plan]
    assert {category for _, category in keys} == set(AREAS)
    assert len(keys) == len(set(keys)) <= MAX_FIRST_ROUND
    assert all(0 < len(request["query"]) <= 300 and request["round"] == 1 for request in plan)


@given(CALLS)
def test_the_second_round_is_bounded_and_asks_nothing_again(made: list[ToolCall]) -> None:
    asked = [
        KnowledgeQuery(query=request["query"], category=request["category"], passages=[], round=1)
        for request in plan_first_round(made, problem="redis times out")
    ]
    again = plan_second_round(made, asked=asked)
    assert len(again) <= MAX_SECOND_ROUND
    assert not {(r["query"], r["category"]) for r in again} & {(q["query"], q["category"]) for q in asked}


def test_the_models_own_queries_are_kept_in_their_order() -> None:
    made = [call({"query": f"query {number}", "category": "configuration"}) for number in range(9)]
    plan = plan_first_round(made, problem="the problem")
    own = [request["query"] for request in plan if request["category"] == "configuration"]
    assert own == ["query 0", "query 1", "query 2", "query 3"]


@pytest.mark.parametrize(
    ("category", "meant"), [("Compatibility", "compatibility"), ("network", "connectivity"), (None, "connectivity")]
)
def test_an_unknown_area_is_corrected(category: object, meant: str) -> None:
    plan = plan_first_round([call({"query": "dial tcp", "category": category})], problem="the problem")
    assert [request["category"] for request in plan if request["query"] == "dial tcp"] == [meant]


def test_another_tool_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    plan = plan_first_round([call({"query": "x", "category": "connectivity"}, name="drop_table")], problem="redis")
    assert all(request["query"] == "redis" for request in plan)
    assert "drop_table" in caplog.text
