"""Runs that go on where a worker was killed, at places that are hard to hit with a kill."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._fan_out import FanOut
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._langgraph import listening
from dapr_bridge._names import RUN_METADATA
from dapr_bridge._wire import RunOutcome, RunRequest, encode_inline
from dapr_bridge.testing import Sidecar
from tests.kit.stores import ALL_STORES

pytestmark = pytest.mark.anyio


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


async def ask(_: State) -> State:
    return {"words": [interrupt("well?")]}


class Rig:
    """The runs of a graph that asks something, on one thread."""

    def __init__(self, saver: DaprSaver, unit: Unit) -> None:
        built = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()
        self.graph = built.copy({"checkpointer": saver})
        self._saver = saver
        self._thread_id = f"answered-{unit}"
        self._runs = GraphRuns(graph=self.graph, saver=saver, unit=unit)

    def config(self, run_id: str) -> RunnableConfig:
        return {"configurable": {"thread_id": self._thread_id}, "metadata": {RUN_METADATA: run_id}}

    async def deliver(self, run_id: str, value: Any) -> RunOutcome:
        request = RunRequest(
            graph="asks",
            thread_id=self._thread_id,
            run_id=run_id,
            asked_at="",
            input=encode_inline(value, self._saver.serde, what="the input"),
            config={},
        )
        return await self._runs.advance(request, run_id, 1)


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize("store", ALL_STORES)
async def test_an_update_that_was_saved_before_a_kill_is_applied_once(
    store: str, unit: Unit, stores_sidecar: Sidecar
) -> None:
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit)
        asked = await rig.deliver("first", {"words": ["in"]})
        answer = Command(resume={asked.interrupts[0]["id"]: "yes"}, update={"words": ["extra"]})

        # The first delivery is cut off when the update is saved and nothing has run.
        control = FanOut(lambda _: True)
        with pytest.raises(GraphDrained):
            await rig.graph.ainvoke(
                answer, listening(rig.config("second"), control.stream), control=control, durability="sync"
            )
        ended = await rig.deliver("second", answer)

    assert (ended.status, ended.output) == ("finished", {"json": {"words": ["in", "extra", "yes"]}})
