"""Answers without an id, whose call is delivered again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._fan_out import FanOut
from dapr_bridge._langgraph import listening
from dapr_bridge.testing import Sidecar
from tests.kit.deliveries import Graph, Rig, State
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio

in_both_units = pytest.mark.parametrize("unit", ["run", "task"])


async def ask_twice(_: State) -> State:
    return {"words": [interrupt("first?"), interrupt("second?")]}


async def ask(_: State) -> State:
    return {"words": [interrupt("first?")]}


async def ask_more(_: State) -> State:
    return {"words": [interrupt("second?")]}


def in_one_node() -> Graph:
    return StateGraph(State).add_node("ask", ask_twice).add_edge(START, "ask").compile()


def in_a_subgraph(inner: Graph | None = None) -> Graph:
    return StateGraph(State).add_node("inner", inner or in_turn()).add_edge(START, "inner").compile()


def in_turn() -> Graph:
    graph = StateGraph(State).add_node("ask", ask).add_node("more", ask_more)
    return graph.add_edge(START, "ask").add_edge("ask", "more").compile()


def side_by_side() -> Graph:
    """A node that asks, and one that fails once before it asks."""
    fails = [RuntimeError("not yet")]

    async def fail_first(_: State) -> State:
        if fails:
            raise fails.pop()
        return {"words": [interrupt("second?")]}

    graph = StateGraph(State).add_node("ask", ask).add_node("later", fail_first)
    return graph.add_edge(START, "ask").add_edge(START, "later").compile()


class Pausing:
    """A subgraph that asks, whose node before it hangs when it is told to, as one of a worker that is killed."""

    def __init__(self) -> None:
        self.hangs_at = ""

    def graph(self) -> Graph:
        graph = StateGraph(State).add_node("before", self._before).add_node("ask", self._ask).add_node("more", ask_more)
        return graph.add_edge(START, "before").add_edge("before", "ask").add_edge("ask", "more").compile()

    async def _before(self, _: State) -> State:
        return {"words": ["before"]}

    async def _ask(self, _: State) -> State:
        await self._pause("ask")
        answer = interrupt("first?")
        await self._pause("answered")
        return {"words": [answer]}

    async def _pause(self, place: str) -> None:
        if self.hangs_at == place:
            self.hangs_at = ""
            await asyncio.Event().wait()


@pytest.fixture
async def saver(stores_sidecar: Sidecar) -> AsyncIterator[DaprSaver]:
    with DaprSaver(SQLITE, address=stores_sidecar.address) as opened:
        yield opened


def asked(outcome: Any) -> list[Any]:
    return [question["value"]["json"] for question in outcome.interrupts]


@in_both_units
@pytest.mark.parametrize("build", [in_one_node, in_a_subgraph])
async def test_an_answer_is_not_given_to_what_is_asked_after_it(build: Any, unit: Unit, saver: DaprSaver) -> None:
    rig = Rig(saver, unit, built=build(), thread_id=f"answered-{build.__name__}")
    await rig.deliver("begin", {"words": []}, call_id="begin")

    outcomes = [await rig.deliver("answer", Command(resume="one"), call_id="answer") for _ in range(3)]
    ended = await rig.deliver("more", Command(resume="two"), call_id="more")

    assert list(map(asked, outcomes)) == [["second?"]] * 3
    assert ended.output == {"json": {"words": ["one", "two"]}}


async def test_an_answer_stays_with_its_question_though_another_node_asks_too(saver: DaprSaver) -> None:
    rig = Rig(saver, "run", built=side_by_side(), thread_id="beside")
    failed = await rig.deliver("begin", {"words": []}, call_id="begin")

    outcomes = [await rig.deliver("answer", Command(resume="one"), call_id="answer") for _ in range(3)]
    ended = await rig.deliver("more", Command(resume="two"), call_id="more")

    assert failed.status == "failed"
    assert list(map(asked, outcomes)) == [["second?"]] * 3
    assert ended.output == {"json": {"words": ["one", "two"]}}


async def test_an_answer_reaches_what_was_sent_in_place_of_its_question(saver: DaprSaver) -> None:
    graph = StateGraph(State).add_node("ask", ask).add_node("beside", lambda _: {})
    graph.add_conditional_edges(START, lambda _: [Send("beside", {}), Send("ask", {})], ["beside", "ask"])
    rig = Rig(saver, "run", built=graph.compile(), thread_id="sent")
    await rig.deliver("begin", {"words": []}, call_id="begin")
    answer: Command[Any] = Command(resume="one", goto=[Send("ask", {"words": []})])

    # The first delivery is cut off when the Send and the answer are saved, and nothing has run.
    control = FanOut(lambda _: True)
    heard = listening(rig.config("answer", "answer"), control.stream)
    with pytest.raises(GraphDrained):
        await rig.graph.ainvoke(answer, heard, control=control, durability="sync")
    ended = await rig.deliver("answer", answer, call_id="answer")

    assert (ended.status, ended.output) == ("finished", {"json": {"words": ["one"]}})


@in_both_units
@pytest.mark.parametrize("hangs_at", ["", "ask", "answered"])
async def test_an_answer_reaches_an_edited_subgraph_once(hangs_at: str, unit: Unit, saver: DaprSaver) -> None:
    pausing = Pausing()
    rig = Rig(saver, unit, built=in_a_subgraph(pausing.graph()), thread_id=f"edited-{hangs_at}")
    await rig.deliver("begin", {"words": []}, call_id="begin")
    state: Any = await rig.graph.aget_state(rig.config("begin"), subgraphs=True)
    await rig.graph.aupdate_state(state.tasks[0].state.config, {"words": ["edited"]}, as_node="__start__")

    pausing.hangs_at = hangs_at
    killed = asyncio.create_task(rig.deliver("answer", Command(resume="one"), call_id="answer"))
    while pausing.hangs_at:
        await asyncio.sleep(0.01)
    if hangs_at:
        killed.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed
    outcomes = [await rig.deliver("answer", Command(resume="one"), call_id="answer") for _ in range(2)]
    ended = await rig.deliver("more", Command(resume="two"), call_id="more")

    assert list(map(asked, outcomes)) == [["second?"]] * 2
    assert ended.output == {"json": {"words": ["before", "edited", "before", "one", "two"]}}
