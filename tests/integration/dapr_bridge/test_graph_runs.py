"""Runs that go on where a worker was killed, at places that are hard to hit with a kill."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.managed import RemainingSteps
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._fan_out import FanOut
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._langgraph import listening
from dapr_bridge._names import RUN_METADATA
from dapr_bridge._payloads import encode_inline
from dapr_bridge._wire import RunOutcome, RunRequest
from dapr_bridge.testing import Sidecar
from tests.kit.stores import ALL_STORES, SQLITE

pytestmark = pytest.mark.anyio


Graph = CompiledStateGraph[Any, Any, Any, Any]


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


async def ask(_: State) -> State:
    return {"words": [interrupt("well?")]}


def asks() -> Graph:
    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


class Rig:
    """The runs of a graph on one thread."""

    def __init__(
        self, saver: DaprSaver, unit: Unit, *, built: Graph | None = None, thread_id: str = "answered"
    ) -> None:
        self.graph = (built or asks()).copy({"checkpointer": saver})
        self._saver = saver
        self._thread_id = f"{thread_id}-{unit}"
        self._runs = GraphRuns(graph=self.graph, saver=saver, unit=unit)

    def config(self, run_id: str) -> RunnableConfig:
        return {"configurable": {"thread_id": self._thread_id}, "metadata": {RUN_METADATA: run_id}}

    async def deliver(
        self, run_id: str, value: Any, *, stood_at: Collection[str] = (), config: Mapping[str, Any] | None = None
    ) -> RunOutcome:
        request = RunRequest(
            graph="asks",
            thread_id=self._thread_id,
            run_id=run_id,
            asked_at="",
            input=encode_inline(value, self._saver.serde, what="the input"),
            config=config or {},
        )
        return await self._runs.advance(request, run_id, 1, stood_at=stood_at)

    async def answer(self, run_id: str, asked: RunOutcome, *, up_to: int, config: RunnableConfig) -> None:
        """Answer a question, and be cut off when there are so many words."""
        control = FanOut(lambda announced: len(announced["values"]["words"]) >= up_to)
        answer = Command(resume={asked.interrupts[0]["id"]: "yes"})
        heard = listening(self.config(run_id), control.stream)
        with pytest.raises(GraphDrained):
            await self.graph.ainvoke(answer, {**heard, **config}, control=control, durability="sync")


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


class Counting(State, total=False):
    """Words, and how many supersteps are left."""

    left_over: RemainingSteps


async def count_down(state: Counting) -> State:
    left_over = state["left_over"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    return {"words": [interrupt("go on?") if not state.get("words") else str(left_over)]}


def endless() -> Graph:
    """Ask, and then count down for ever."""
    graph = StateGraph(Counting).add_node("count", count_down).add_edge(START, "count").add_edge("count", "count")
    return graph.compile()


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize("supersteps", [1, 3, 6])
async def test_the_supersteps_before_a_kill_count_towards_the_recursion_limit(
    supersteps: int, unit: Unit, stores_sidecar: Sidecar
) -> None:
    limit: RunnableConfig = {"recursion_limit": 5}
    native = endless().copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}, **limit}
    await native.ainvoke({"words": []}, thread)
    with pytest.raises(GraphRecursionError) as exhausted:
        await native.ainvoke(Command(resume="yes"), thread)
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=endless(), thread_id=f"limited-{supersteps}")
        asked = await rig.deliver("run", {"words": []}, config=limit)
        await rig.answer("run", asked, up_to=supersteps, config=limit)
        ended = await rig.deliver("run", None, stood_at=[asked.checkpoint_id], config=limit)
        state = await rig.graph.aget_state(rig.config("run"))

    assert ended.failure
    assert (ended.failure.error_type, ended.failure.message) == ("GraphRecursionError", str(exhausted.value))
    assert state.values == (await native.aget_state(thread)).values


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_run_that_goes_on_after_a_cancellation_has_its_recursion_limit_anew(
    unit: Unit, stores_sidecar: Sidecar
) -> None:
    limit: RunnableConfig = {"recursion_limit": 5}
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=endless(), thread_id="cancelled")
        asked = await rig.deliver("run", {"words": []}, config=limit)
        await rig.answer("run", asked, up_to=3, config=limit)
        await rig.deliver("run", None, stood_at=[asked.checkpoint_id, ""], config=limit)
        state = await rig.graph.aget_state(rig.config("run"))

    assert state.values["words"] == ["yes", "5", "4", "6", "5", "4", "3", "2", "1", "0"]


def counted(runs: Counter[str], **breakpoints: Any) -> Graph:
    """A chain of nodes that count how often they run; the last one asks something."""
    graph = StateGraph(State)

    def node(name: str) -> Any:
        async def count(_: State) -> State:
            runs[name] += 1
            return {"words": [interrupt("well?") if name == "last" else name]}

        return count

    for name in ("first", "middle", "last"):
        graph.add_node(name, node(name))
    graph.add_edge(START, "first").add_edge("first", "middle").add_edge("middle", "last")
    return graph.compile(**breakpoints)


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize(
    ("breakpoints", "before_it"),
    [
        ({"interrupt_before": ["middle"]}, ["first"]),
        ({"interrupt_after": ["middle"]}, ["first", "middle"]),
        ({"interrupt_before": "*"}, []),
        ({"interrupt_after": "*"}, ["first"]),
        ({}, ["first", "middle", "last"]),
    ],
    ids=["before", "after", "before_every", "after_every", "a_question"],
)
async def test_a_call_that_stopped_and_is_delivered_again_goes_no_further(
    breakpoints: dict[str, Any],
    before_it: list[str],
    unit: Unit,
    stores_sidecar: Sidecar,
    request: pytest.FixtureRequest,
) -> None:
    runs: Counter[str] = Counter()
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=counted(runs, **breakpoints), thread_id=request.node.name)

        stopped = await rig.deliver("first", {"words": []})
        assert await rig.deliver("first", {"words": []}) == stopped
        assert (stopped.status, runs) == ("interrupted", Counter(before_it))

        if not breakpoints:
            assert (await rig.deliver("second", Command(resume="well"))).status == "finished"
            return
        # A call of its own takes it on.
        stopped = await rig.deliver("second", None)
        assert await rig.deliver("second", None) == stopped
        assert runs.total() > len(before_it)


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_later_call_of_the_same_run_goes_on_from_the_breakpoint(unit: Unit, stores_sidecar: Sidecar) -> None:
    runs: Counter[str] = Counter()
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=counted(runs, interrupt_after="*"), thread_id="one-run")

        first = await rig.deliver("run", {"words": []})
        second = await rig.deliver("run", None, stood_at=[first.checkpoint_id])
        assert await rig.deliver("run", None, stood_at=[first.checkpoint_id]) == second

    assert runs == {"first": 1, "middle": 1}
