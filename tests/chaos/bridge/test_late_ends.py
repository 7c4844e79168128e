"""A worker is stopped in the middle of a node, its run ends elsewhere, and it wakes up at that very checkpoint."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge import DaprSaver, DurableGraph, RunCancelledError, Unit
from dapr_bridge._cancellation import CancelMarks
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.worker import OTHER, UNITS, Hosted
from tests.chaos.bridge.worker import STORE as EXECUTION_STATE
from tests.kit.saved import all_saved
from tests.parity.shape import AnyGraph

# Which saves writes and checkpoints one after the other.
STORE = "redis"

pytestmark = [pytest.mark.chaos, pytest.mark.anyio, pytest.mark.timeout(180)]


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


def build() -> AnyGraph:
    """A subgraph, two Sends at once, and a node after them."""

    async def say(_: State) -> State:
        return {"words": ["said"]}

    inside = StateGraph(State).add_node("deep", say).add_node("deeper", say)
    inner = inside.add_edge(START, "deep").add_edge("deep", "deeper").compile()
    graph = StateGraph(State).add_node("inner", inner).add_node("sent", say).add_node("last", say)
    graph.add_edge(START, "inner")
    graph.add_conditional_edges("inner", lambda _: [Send("sent", {}), Send("sent", {})], ["sent"])
    return graph.add_edge("sent", "last").compile()


@pytest.mark.parametrize("node", ["deep", "deeper", "sent", "last"])
@pytest.mark.parametrize("unit", UNITS)
async def test_a_worker_that_wakes_up_where_its_run_was_cancelled_saves_nothing(
    unit: Unit, node: str, stage: Stage
) -> None:
    thread_id = f"{unit}{stage.next_number()}"
    config: Any = {"configurable": {"thread_id": thread_id}}
    stage.host(Hosted(build=build, unit=unit))
    stage.moments.follow(thread_id)
    hold = stage.moments.hold_next(Moment(kind=f"node {node}"))
    late = stage.workers[0].pid
    async with (
        DaprSaver(EXECUTION_STATE, address=stage.sidecar.address) as saver,
        DurableGraph(build(), name=OTHER, saver=saver, address=stage.sidecar.address) as graph,
    ):
        running = asyncio.create_task(graph.ainvoke({"words": []}, config, run_id=f"{thread_id}.1"))
        assert await asyncio.to_thread(stage.moments.wait_until_reached, hold, unless=running.done, seconds=60)
        os.kill(late, signal.SIGSTOP)
        # Wished before another worker has the run, so that it goes no step farther.
        await CancelMarks(saver.store).put(f"{thread_id}.1")
        await asyncio.to_thread(stage.cut_off)
        with pytest.raises(RunCancelledError):
            await running
        told = await all_saved(saver, thread_id)

        stage.moments.release(hold)
        os.kill(late, signal.SIGCONT)
        await asyncio.to_thread(stage.moments.wait_until_quiet)

        assert await all_saved(saver, thread_id) == told
        words = (await graph.ainvoke(None, config))["words"]

    assert words == ["said"] * 5


@pytest.mark.parametrize(("kind", "number"), [("writes", 1), ("writes", 4), ("checkpoint", 2), ("checkpoint", 5)])
@pytest.mark.parametrize("unit", UNITS)
async def test_a_cancelled_run_is_not_over_while_something_of_it_is_on_its_way_to_the_store(
    unit: Unit, kind: str, number: int, stage: Stage
) -> None:
    thread_id = f"{unit}{stage.next_number()}"
    stage.host(Hosted(build=build, unit=unit))
    stage.moments.follow(thread_id)
    hold = stage.moments.hold_next(Moment(kind=kind, number=number))
    async with (
        DaprSaver(EXECUTION_STATE, address=stage.sidecar.address) as saver,
        DurableGraph(build(), name=OTHER, saver=saver, address=stage.sidecar.address) as graph,
    ):
        config: Any = {"configurable": {"thread_id": thread_id}}
        running = asyncio.create_task(graph.ainvoke({"words": []}, config, run_id=f"{thread_id}.1"))
        assert await asyncio.to_thread(stage.moments.wait_until_reached, hold, unless=running.done, seconds=60)
        cancelling = asyncio.create_task(graph.acancel(f"{thread_id}.1"))
        done, _ = await asyncio.wait([cancelling], timeout=1.5)
        stage.moments.release(hold)

        assert not done
        assert await cancelling
        told = await all_saved(saver, thread_id)
        with pytest.raises(RunCancelledError):
            await running
        await asyncio.to_thread(stage.moments.wait_until_quiet)
        assert await all_saved(saver, thread_id) == told
