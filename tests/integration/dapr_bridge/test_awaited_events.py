"""What is noted of a run that waits for an event, so that whoever cancels it can wake its workflow; and only then."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._cancellation import AwaitedEvent, AwaitedEvents
from dapr_bridge.testing import Sidecar
from tests.kit.graph_calls import GraphCalls
from tests.kit.sidecar_calls import CallCounter
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio

AWAITED = AwaitedEvent(instance_id="workflow", event="approval")
OPTIONS = {"answered_by": {"instance_id": "workflow", "event": "approval"}}


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


def build(unit: Unit, *, asks: bool) -> Pregel[Any, Any, Any, Any]:
    """A node that may ask something, and two more: side by side where each then has an activity of its own."""

    async def begin(_: State) -> State:
        return {"words": [interrupt("how?") if asks else "begun"]}

    def saying(word: str) -> Any:
        return lambda _: {"words": [word]}

    graph = StateGraph(State).add_node("begin", begin).add_edge(START, "begin")
    for word in ("one", "two"):
        graph.add_node(word, saying(word))
    graph.add_edge("begin", "one").add_edge("begin" if unit == "task" else "one", "two")
    return graph.compile()


@pytest.fixture
def saver(stores_sidecar: Sidecar) -> Iterator[DaprSaver]:
    with DaprSaver(SQLITE, address=stores_sidecar.address) as opened:
        # The first read of a store leaves the witness of all others there.
        opened.get_tuple({"configurable": {"thread_id": "nobody's"}})
        yield opened


def waiting(unit: Unit, saver: DaprSaver, *, asks: bool) -> tuple[GraphCalls, AwaitedEvents, str]:
    """A graph whose workflow would wait for an event, what is noted of such, and the name of its run."""
    calls = GraphCalls(saver=saver, unit=unit, graph=build(unit, asks=asks), options=OPTIONS)
    return calls, AwaitedEvents(saver.store), f"{calls.thread_id}/run"


in_both_units = pytest.mark.parametrize("unit", ["run", "task"])


@in_both_units
async def test_a_run_that_asks_nothing_writes_no_more_because_its_workflow_would_wait(
    unit: Unit, saver: DaprSaver, count_calls: Callable[[], CallCounter]
) -> None:
    writes: list[Counter[str]] = []
    for options in ({}, OPTIONS):
        calls = GraphCalls(saver=saver, unit=unit, graph=build(unit, asks=False), options=options)
        counter = count_calls()
        outcome = await calls.to_end(await calls.call(f"{calls.thread_id}/run", {"words": ["in"]}))
        new = counter.new_calls()
        # How often it looks for a cancellation is a matter of time.
        writes.append(Counter({name: new[name] for name in ("SaveState", "ExecuteStateTransaction")}))
        assert outcome.status == "finished"

    assert writes[0] == writes[1]


@in_both_units
async def test_a_run_that_waits_is_known_until_it_has_its_answer(unit: Unit, saver: DaprSaver) -> None:
    calls, events, run_id = waiting(unit, saver, asks=True)

    asked = await calls.call(run_id, {"words": ["in"]})
    noted = await events.find(run_id)
    answered = await calls.answer(run_id, {asked.interrupts[0]["id"]: "so"})
    left = await events.find(run_id)
    ended = await calls.to_end(answered)

    assert (noted, left) == (AWAITED, None)
    assert answered.status == ("finished" if unit == "run" else "planned")
    assert ended.output == {"json": {"words": ["in", "so", "one", "two"]}}


@in_both_units
async def test_what_is_noted_goes_with_the_next_delivery_of_an_answer_whose_worker_died_first(
    unit: Unit, saver: DaprSaver
) -> None:
    calls, events, run_id = waiting(unit, saver, asks=True)
    asked = await calls.call(run_id, {"words": ["in"]})
    answers = {asked.interrupts[0]["id"]: "so"}
    number = calls.calls

    first = await calls.answer(run_id, answers)
    # As if it had died with its outcome saved, and the note still there.
    await events.note(run_id, AWAITED)
    calls.calls = number
    again = await calls.answer(run_id, answers)

    assert again.status == first.status == ("finished" if unit == "run" else "planned")
    assert await events.find(run_id) is None


@in_both_units
async def test_a_call_that_goes_on_without_an_answer_ends_what_an_earlier_one_has_noted(
    unit: Unit, saver: DaprSaver
) -> None:
    calls, events, run_id = waiting(unit, saver, asks=False)
    begun = await calls.to_end(await calls.call(run_id, {"words": ["in"]}))
    await events.note(run_id, AWAITED)

    ended = await calls.call(run_id, None)

    assert (begun.status, ended.status) == ("finished", "finished")
    assert await events.find(run_id) is None
