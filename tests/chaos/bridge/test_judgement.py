"""The judge of runs that were killed: it lets nothing pass."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from tests.chaos.bridge.graph import QUESTIONS, build_graph
from tests.chaos.bridge.judgement import Evidence, Judge, Judgement
from tests.kit.counter import far_end

pytestmark = pytest.mark.anyio

THREAD = {"configurable": {"thread_id": "t"}}
FINISHED = Evidence(thread_id="t", status="finished", runs=Counter(open=1, close=1), saved=[])


@pytest.fixture
def judge() -> Judge:
    """What runs are judged by."""
    return Judge.prepare()


@pytest.fixture
def graph() -> Iterator[Any]:
    """The graph, on a saver in memory."""
    with far_end() as far:
        yield build_graph(far.url, "w").copy({"checkpointer": InMemorySaver()})


async def run(graph: Any) -> None:
    asked = await graph.ainvoke({}, THREAD)
    for question in QUESTIONS:
        answers = {each.id: "yes" for each in asked["__interrupt__"] if each.value == question}
        asked = await graph.ainvoke(Command(resume=answers), THREAD)


async def judged(judge: Judge, graph: Any, evidence: Evidence) -> Judgement:
    # It has an event loop of its own.
    return await asyncio.to_thread(judge.judge, evidence, graph.checkpointer)


async def test_what_plain_langgraph_makes_is_clean(judge: Judge, graph: Any) -> None:
    await run(graph)

    assert await judged(judge, graph, FINISHED) == Judgement()


async def test_a_run_that_has_not_ended_is_wrong(judge: Judge, graph: Any) -> None:
    await run(graph)

    found = await judged(judge, graph, replace(FINISHED, status="not ended"))

    assert found.wrong == ("the workflow ended as 'not ended'",)


async def test_a_checkpoint_too_many_is_wrong(judge: Judge, graph: Any) -> None:
    await run(graph)
    await graph.aupdate_state(THREAD, None)

    assert (await judged(judge, graph, FINISHED)).wrong


async def test_a_saved_node_that_runs_again_is_repeated(judge: Judge, graph: Any) -> None:
    await run(graph)
    at_the_kill = (frozenset({"open"}), Counter(open=1))

    found = await judged(judge, graph, replace(FINISHED, runs=Counter(open=2), saved=[at_the_kill]))

    assert found.repeated == ("open was saved and ran 1 times more",)


async def test_writes_of_two_runs_of_a_task_are_mixed(judge: Judge, graph: Any) -> None:
    await run(graph)
    await graph.aupdate_state(THREAD, {"left": ["open#1a"], "right": ["open#2b"]}, as_node="close")

    assert (await judged(judge, graph, FINISHED)).mixed
