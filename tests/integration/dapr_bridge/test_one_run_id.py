"""Calls with one run id: one run, to which no call brings another input."""

from __future__ import annotations

import asyncio
import hashlib
import json
import operator
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, DaprStore, Patience, Reference, Unit
from dapr_bridge._payloads import encode_inline, in_one_order
from dapr_bridge._thread_claim import RunCall, ThreadClaims
from dapr_bridge._wire import RunOutcome
from dapr_bridge.testing import Sidecar
from tests.kit.graph_calls import GraphCalls, is_live
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


class Rig(GraphCalls):
    """A graph that asks two questions of two nodes, the first when it may."""

    def __init__(self, *, saver: DaprSaver, unit: Unit) -> None:
        super().__init__(saver=saver, unit=unit, graph=self._build())
        self.is_within, self.may_ask = asyncio.Event(), asyncio.Event()

    def _build(self) -> Any:
        async def first(_: State) -> State:
            self.is_within.set()
            await self.may_ask.wait()
            return {"words": [interrupt("first?")]}

        async def second(_: State) -> State:
            return {"words": [interrupt("second?")]}

        graph = StateGraph(State).add_node("first", first).add_node("second", second)
        return graph.add_edge(START, "first").add_edge("first", "second").compile()


@pytest.fixture(params=["run", "task"])
def rig(stores_sidecar: Sidecar, request: pytest.FixtureRequest) -> Iterator[Rig]:
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        built = Rig(saver=saver, unit=request.param)
        built.may_ask.set()
        yield built


IN = {"words": ["in"]}


def reason(outcome: RunOutcome) -> str:
    assert outcome.status == "refused"
    assert outcome.failure is not None
    return outcome.failure.message


@pytest.mark.parametrize("by_id", [True, False])
async def test_an_answer_under_the_id_of_a_run_that_has_begun_is_refused_and_taken_under_another(
    rig: Rig, by_id: bool
) -> None:
    asked = await rig.call("a", IN)
    (question,) = asked.interrupts
    answer = Command(resume={question["id"]: "yes"} if by_id else "yes")

    said = reason(await rig.call("a", answer))
    answered = await rig.call("b", answer)

    assert f"run 'a' has begun with another input (waiting for an answer: {question['id']!r})" in said
    assert "give this call a run id of its own (an answer is Command(resume={id: answer}))" in said
    assert [each["value"] for each in answered.interrupts] == [{"json": "second?"}]
    assert answered.output == {"json": {"words": ["in", "yes"]}}


async def test_the_next_answer_under_the_id_of_the_last_one_is_refused(rig: Rig) -> None:
    asked = await rig.call("a", IN)
    first = Command(resume={asked.interrupts[0]["id"]: "yes"})
    asked = await rig.call("b", first)
    (question,) = asked.interrupts

    said = reason(await rig.call("b", Command(resume={question["id"]: "more"})))
    again = await rig.call("b", first)

    assert repr(question["id"]) in said
    assert (again.status, again.interrupts) == ("interrupted", asked.interrupts)


async def test_the_same_input_again_and_none_go_on(rig: Rig) -> None:
    asked = await rig.call("a", IN)

    for value in (IN, None):
        again = await rig.call("a", value)
        assert (again.status, again.interrupts, again.output) == ("interrupted", asked.interrupts, asked.output)


# Equal, and walked in another order, as a set of strings is by another process.
SET, SAME_SET = {0, 8}, {8, 0}


async def test_an_equal_set_is_the_same_input_in_whatever_order_it_was_sent(rig: Rig) -> None:
    asked = await rig.call("a", {"words": [SET]})
    again = await rig.call("a", {"words": [SAME_SET]})
    said = reason(await rig.call("a", {"words": [{0, 8, 16}]}))

    assert list(SET) != list(SAME_SET)
    assert (again.status, again.interrupts) == ("interrupted", asked.interrupts)
    assert "run 'a' has begun with another input" in said


async def test_a_run_with_a_set_that_an_earlier_release_has_begun_goes_on(rig: Rig) -> None:
    given = encode_inline({"words": [SAME_SET]}, rig.saver.serde, what="the input")
    noted = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    begun = RunCall(thread_id=rig.thread_id, run_id="a", call_id="w:00:1", instance_id="w", given=noted)
    await ThreadClaims(rig.saver.store, is_live).claim(begun)

    assert given != in_one_order(given)
    assert (await rig.call("a", {"words": [SAME_SET]})).status == "interrupted"


@pytest.mark.parametrize("is_same_worker", [True, False])
async def test_another_input_is_refused_while_its_run_goes_on(rig: Rig, is_same_worker: bool) -> None:
    rig.may_ask.clear()
    worker = rig.worker()
    going_on = asyncio.create_task(rig.call("a", IN, worker=worker))
    await rig.is_within.wait()

    other = rig.call("a", {"words": ["other"]}, worker=worker if is_same_worker else None)
    refused = await asyncio.wait_for(other, 30)
    rig.may_ask.set()
    asked = await going_on

    assert "run 'a' is going on with another input" in reason(refused)
    assert asked.output == {"json": {"words": ["in"]}}


async def test_a_reference_to_nothing_is_refused_at_once_and_its_run_takes_a_right_one(rig: Rig) -> None:
    name = f"{rig.thread_id}/input"
    lost = await rig.call("a", Reference(name=name))
    asked = await rig.call("a", await rig.saver.aput_value(name, IN))

    assert f"holds no value {name!r}: save the value" in reason(lost)
    assert (asked.status, asked.output) == ("interrupted", {"json": IN})


async def test_a_run_that_has_not_begun_takes_another_input(rig: Rig) -> None:
    # As a worker does whose call fails before the graph begins.
    claims = ThreadClaims(rig.saver.store, is_live)
    failed = RunCall(thread_id=rig.thread_id, run_id="a", call_id="w:00:1", instance_id="w", given="of another input")
    await claims.claim(failed)
    await claims.release(failed, RunOutcome(status="failed"))

    asked = await rig.call("a", IN)

    assert (asked.status, asked.output) == ("interrupted", {"json": IN})


async def test_a_store_that_a_node_does_not_find_fails_its_run_and_leaves_the_thread_free(rig: Rig) -> None:
    stores = [DaprStore("no-such-store", address=rig.saver.store.address, patience=Patience(trouble=timedelta(0)))]

    async def look(_: State) -> State:
        if stores:
            with stores.pop() as store:
                await store.aget(("a",), "b")
        return {"words": ["looked"]}

    graph = StateGraph(State).add_node("look", look).add_edge(START, "look").compile()
    calls = GraphCalls(saver=rig.saver, unit=rig.unit, graph=graph)

    failed = await calls.to_end(await calls.call("one", {"words": []}))
    other = await calls.to_end(await calls.call("other", {"words": []}))

    assert failed.failure is not None
    assert (failed.failure.node, failed.failure.error_type) == ("look", "StateStoreNotFoundError")
    assert other.status == "finished"
