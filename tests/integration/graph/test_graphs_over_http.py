"""Both graphs against a real offline model and a real MCP server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from graph.errors import BadModelAnswerError, KnowledgeBaseUnavailableError, ModelRefusedError, ModelUnavailableError
from graph.expert import Analysis, build_expert_graph
from graph.file_directory import FileDirectory
from graph.knowledge_base import McpKnowledgeBase
from graph.ports import Category, Passage
from graph.retries import DEFAULT_RETRY
from graph.studio import SAMPLE_DATA
from graph.triage import TriageReport, build_triage_graph
from tests.kit.local_services import PROJECT, KnowledgeBase, OfflineModel

pytestmark = pytest.mark.anyio

RETRY = DEFAULT_RETRY._replace(initial_interval=0.02, jitter=False)
DIRECTORY = FileDirectory(customers=SAMPLE_DATA / "customers.json", systems=SAMPLE_DATA / "systems.json")
SAMPLES = json.loads((SAMPLE_DATA / "tickets.json").read_text())
PROBLEM = "In production state.redis reports 'connection refused' and NOAUTH since we set a password on Redis."
SHORT = "A workflow fails with 'orchestrator was not registered'."


class TimedKnowledgeBase:
    """Notes when each query starts and ends, and makes each last a little."""

    def __init__(self, inner: McpKnowledgeBase, *, pause: float = 0.2) -> None:
        self._inner = inner
        self._pause = pause
        self.spans: list[tuple[float, float]] = []

    async def search(self, query: str, *, category: Category, limit: int) -> list[Passage]:
        started = perf_counter()
        found = await self._inner.search(query, category=category, limit=limit)
        await asyncio.sleep(self._pause)
        self.spans.append((started, perf_counter()))
        return found


async def triage(model: BaseChatModel, description: str = PROBLEM, *, customer_id: str = "CUST001") -> TriageReport:
    graph = build_triage_graph(directory=DIRECTORY, model=model, retry=RETRY)
    result = await graph.ainvoke({"ticket_id": "T-1", "customer_id": customer_id, "description": description})
    return result["triage"]


async def solve(
    model: BaseChatModel, articles: Any, description: str = PROBLEM, *, feedback: str | None = None
) -> Analysis:
    report = await triage(model, description)
    graph = build_expert_graph(knowledge_base=articles, model=model, retry=RETRY)
    ticket = {"ticket_id": "T-1", "description": description, "triage": report, "feedback": feedback}
    return (await graph.ainvoke(ticket))["analysis"]


async def test_a_ticket_is_solved_with_five_model_calls(
    model: BaseChatModel, articles: McpKnowledgeBase, offline_model: OfflineModel
) -> None:
    analysis = await solve(model, articles)
    assert analysis["needs_person"] is False
    assert "KB-CON-012" in {source["article_id"] for source in analysis["sources"]}
    assert offline_model.counts() == {
        "triage.request_lookups": 1,
        "triage.assess": 1,
        "expert.plan_queries": 1,
        "expert.review_results": 1,
        "expert.write_analysis": 1,
    }
    task_ids = [call["task_id"] for call in offline_model.calls()]
    assert len(set(task_ids)) == 5
    assert None not in task_ids


@pytest.mark.parametrize(
    "sample", SAMPLES, ids=[f"{sample['customer_id']} {place}" for place, sample in enumerate(SAMPLES)]
)
async def test_each_sample_ticket_gets_a_sensible_outcome(
    model: BaseChatModel, articles: McpKnowledgeBase, sample: dict[str, str]
) -> None:
    report = await triage(model, sample["description"], customer_id=sample["customer_id"])
    assert report["entitled"] is (sample["customer_id"] != "CUST003")
    analysis = await solve(model, articles, sample["description"])
    retrieved = {found["article_id"] for query in analysis["queries"] for found in query["passages"]}
    cited = {article_id for finding in analysis["findings"] for article_id in finding["article_ids"]}
    assert cited <= {source["article_id"] for source in analysis["sources"]} <= retrieved
    assert analysis["needs_person"] is (not analysis["findings"])
    assert {query["category"] for query in analysis["queries"]} == {"connectivity", "configuration", "compatibility"}


async def test_the_queries_overlap_in_time(model: BaseChatModel, articles: McpKnowledgeBase) -> None:
    timed = TimedKnowledgeBase(articles)
    await solve(model, timed)
    first_round = timed.spans[:3]
    assert max(start for start, _ in first_round) < min(end for _, end in first_round)
    slowest = max(end - start for start, end in first_round)
    wall = max(end for _, end in first_round) - min(start for start, _ in first_round)
    assert wall <= 1.5 * slowest


async def test_an_article_of_nothing_ends_with_a_person(model: BaseChatModel, articles: McpKnowledgeBase) -> None:
    analysis = await solve(model, articles, "The colour of my invoice's letterhead is too pale.")
    assert (analysis["needs_person"], analysis["findings"], analysis["sources"]) == (True, [], [])
    assert len(analysis["queries"]) > 3


async def test_the_reason_of_a_rejection_changes_the_queries(model: BaseChatModel, articles: McpKnowledgeBase) -> None:
    before = await solve(model, articles, SHORT)
    after = await solve(model, articles, SHORT, feedback="The placement service was unreachable, look at that.")
    assert [query["query"] for query in before["queries"]] != [query["query"] for query in after["queries"]]
    assert any("placement" in query["query"] for query in after["queries"])


async def test_an_overloaded_model_is_asked_again(model: BaseChatModel, offline_model: OfflineModel) -> None:
    offline_model.order(kind="429", count=2, node="triage.assess")
    assert (await triage(model))["entitled"] is True
    assert [call["status"] for call in offline_model.calls()] == [200, 429, 429, 200]
    assert len({call["task_id"] for call in offline_model.calls()[1:]}) == 1


async def test_a_model_that_keeps_failing_fails_the_run_after_four_attempts(
    model: BaseChatModel, offline_model: OfflineModel
) -> None:
    offline_model.order(kind="500", count=100)
    with pytest.raises(ModelUnavailableError, match=r"triage\.request_lookups"):
        await triage(model)
    assert offline_model.counts() == {"triage.request_lookups": 4}


async def test_a_refused_key_is_not_tried_again(model: BaseChatModel, offline_model: OfflineModel) -> None:
    offline_model.order(kind="401", count=100)
    with pytest.raises(ModelRefusedError, match="OPENAI_API_KEY"):
        await triage(model)
    assert offline_model.counts() == {"triage.request_lookups": 1}


async def test_an_answer_cut_off_is_asked_for_again(
    model: BaseChatModel, articles: McpKnowledgeBase, offline_model: OfflineModel
) -> None:
    offline_model.order(kind="malformed", count=1, node="expert.write_analysis")
    assert (await solve(model, articles))["needs_person"] is False
    assert offline_model.counts()["expert.write_analysis"] == 2


async def test_answers_cut_off_again_and_again_fail_with_the_answer(
    model: BaseChatModel, offline_model: OfflineModel
) -> None:
    offline_model.order(kind="malformed", count=100, node="triage.assess")
    with pytest.raises(BadModelAnswerError) as caught:
        await triage(model)
    assert caught.value.answer.startswith('{"urgency"')
    assert offline_model.counts()["triage.assess"] == 3


async def test_a_plan_cut_off_is_completed_by_the_graph(
    model: BaseChatModel, articles: McpKnowledgeBase, offline_model: OfflineModel
) -> None:
    offline_model.order(kind="malformed", count=1, node="expert.plan_queries")
    assert len((await solve(model, articles))["queries"]) >= 3


@pytest.fixture
async def restarted(knowledge_base: KnowledgeBase) -> AsyncIterator[KnowledgeBase]:
    knowledge_base.process.kill()
    yield knowledge_base
    if not knowledge_base.process.is_running:
        knowledge_base.restart()


async def test_a_knowledge_base_that_is_down_fails_the_run_by_name(
    model: BaseChatModel, articles: McpKnowledgeBase, restarted: KnowledgeBase
) -> None:
    with pytest.raises(KnowledgeBaseUnavailableError, match=restarted.url):
        await solve(model, articles)


async def test_a_knowledge_base_that_was_restarted_is_not_noticed(
    model: BaseChatModel, articles: McpKnowledgeBase, knowledge_base: KnowledgeBase
) -> None:
    assert (await solve(model, articles))["needs_person"] is False
    knowledge_base.process.kill()
    knowledge_base.restart()
    assert (await solve(model, articles))["needs_person"] is False


async def test_the_sample_data_is_part_of_the_project() -> None:
    assert Path(PROJECT, "seed", "data") == SAMPLE_DATA
