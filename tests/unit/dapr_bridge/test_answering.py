"""Answers without an id: which question has them, and what is read to know."""

from __future__ import annotations

from typing import Any, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from dapr_bridge._answering import Answering
from tests.kit.stepping import THREAD, State, ask

pytestmark = pytest.mark.anyio


class CountingSaver(InMemorySaver):
    """A saver that counts its reads, in which no question is of the run that answers."""

    reads = 0

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self.reads += 1
        return await super().aget_tuple(config)

    async def aasked_by(self, run_id: str, head: CheckpointTuple) -> frozenset[str]:
        return frozenset()


async def test_of_a_question_that_a_task_itself_asks_nothing_more_is_read() -> None:
    saver = CountingSaver()
    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=saver)
    await graph.ainvoke({"words": []}, THREAD)
    head, answer = await saver.aget_tuple(THREAD), cast("Command[Any]", Command(resume="yes"))
    saver.reads = 0

    value, _ = await Answering(graph, cast("Any", saver)).begin(answer, head, "run", THREAD)

    assert (value, saver.reads) == (answer, 0)
