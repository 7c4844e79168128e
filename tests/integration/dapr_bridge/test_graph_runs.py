"""Runs that go on where a worker was killed, at places that are hard to hit with a kill."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph import START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._fan_out import FanOut
from dapr_bridge._langgraph import listening
from dapr_bridge._wire import RunOutcome
from dapr_bridge.errors import StaleWriterError, StateStoreError, StateStoreUnavailableError
from dapr_bridge.testing import Sidecar
from tests.kit.deliveries import Graph, Rig, State
from tests.kit.stores import ALL_STORES, SQLITE

pytestmark = pytest.mark.anyio


async def ask(_: State) -> State:
    return {"words": [interrupt("well?")]}


def asks() -> Graph:
    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


def answer(asked: RunOutcome) -> Command[Any]:
    """Answer a question."""
    return Command(resume={asked.interrupts[0]["id"]: "yes"})


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize("store", ALL_STORES)
async def test_an_update_that_was_saved_before_a_kill_is_applied_once(
    store: str, unit: Unit, stores_sidecar: Sidecar
) -> None:
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=asks(), thread_id="answered")
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


def add_pair(old: list[str], new: tuple[str, ...] | list[str]) -> list[str]:
    """Take a tuple for one word, and a list for some."""
    return [*old, "-".join(new)] if isinstance(new, tuple) else [*old, *new]


class Paired(TypedDict):
    """Words whose reducer tells tuples from lists, as that of messages does."""

    words: Annotated[list[str], add_pair]


async def end(state: Paired) -> Paired:
    return {"words": ["end"]}


def takes_pairs() -> Graph:
    return StateGraph(Paired).add_node("end", end).add_edge(START, "end").compile()


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_an_input_that_was_saved_before_a_kill_is_applied_as_it_was_given(
    unit: Unit, stores_sidecar: Sidecar
) -> None:
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=takes_pairs(), thread_id="as-given")
        given = {"words": ("a", "b")}

        await rig.cut_off("run", "call", given, up_to=0)
        (saved,) = [state async for state in rig.graph.aget_state_history(rig.config("run"))]
        await rig.deliver("run", given, call_id="call")

        assert saved.next == (START,)
        assert (await rig.graph.aget_state(rig.config("run"))).values == {"words": ["a-b", "end"]}


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
        asked = await rig.deliver("run", {"words": []}, call_id="first", config=limit)
        await rig.cut_off("run", "second", answer(asked), up_to=supersteps, config=limit)
        ended = await rig.deliver("run", None, call_id="second", stood_at=[asked.checkpoint_id], config=limit)
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
        asked = await rig.deliver("run", {"words": []}, call_id="first", config=limit)
        await rig.cut_off("run", "cancelled", answer(asked), up_to=3, config=limit)
        await rig.deliver("run", None, call_id="third", stood_at=[asked.checkpoint_id, ""], config=limit)
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


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize(
    "breakpoints",
    [{"interrupt_after": "*"}, {"interrupt_before": ["middle"]}, {"interrupt_before": "*"}],
    ids=["after_every", "before", "before_every"],
)
async def test_a_new_input_at_a_breakpoint_goes_on_after_a_kill(
    breakpoints: dict[str, Any], unit: Unit, stores_sidecar: Sidecar, request: pytest.FixtureRequest
) -> None:
    native = counted(Counter(), **breakpoints).copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}}
    await native.ainvoke({"words": ["in"]}, thread)
    await native.ainvoke({"words": ["again"]}, thread)
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=counted(Counter(), **breakpoints), thread_id=request.node.name)
        await rig.deliver("first", {"words": ["in"]}, call_id="first")
        await rig.cut_off("second", "second", {"words": ["again"]}, up_to=0)
        stopped = await rig.deliver("second", {"words": ["again"]}, call_id="second")
        state, wanted = await rig.graph.aget_state(rig.config("second")), await native.aget_state(thread)

    assert stopped.status == "interrupted"
    assert (state.values, state.next) == (wanted.values, wanted.next)


def around(runs: Counter[str], inner: Graph) -> Graph:
    """A graph within another, beside a node."""

    async def beside(_: State) -> State:
        runs["beside"] += 1
        return {"words": ["beside"]}

    graph = StateGraph(State).add_node("inner", inner).add_node("beside", beside)
    return graph.add_edge(START, "inner").add_edge("inner", "beside").compile()


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize(
    ("breakpoints", "before_it", "by_next"),
    [
        ({"interrupt_before": ["middle"]}, ["first"], ["first", "middle", "last"]),
        ({"interrupt_after": ["middle"]}, ["first", "middle"], ["first", "middle", "last"]),
        ({"interrupt_after": "*"}, ["first"], ["first", "middle"]),
        ({"interrupt_before": "*"}, [], ["first"]),
    ],
    ids=["before", "after", "after_every", "before_every"],
)
async def test_a_subgraph_that_stopped_at_a_breakpoint_and_is_delivered_again_goes_no_further(
    breakpoints: dict[str, Any],
    before_it: list[str],
    by_next: list[str],
    unit: Unit,
    stores_sidecar: Sidecar,
    request: pytest.FixtureRequest,
) -> None:
    runs: Counter[str] = Counter()
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=around(runs, counted(runs, **breakpoints)), thread_id=request.node.name)

        stopped = await rig.deliver("first", {"words": []}, call_id="first")
        assert await rig.deliver("first", {"words": []}, call_id="first") == stopped
        assert (stopped.status, runs) == ("interrupted", Counter(before_it))

        # A call of its own takes it on.
        await rig.deliver("second", None, call_id="second")
        assert runs == Counter(by_next)


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_subgraph_that_a_blocking_node_calls_goes_no_further_either(
    unit: Unit, stores_sidecar: Sidecar
) -> None:
    runs: Counter[str] = Counter()

    def node(name: str) -> Any:
        def count(_: State) -> State:
            runs[name] += 1
            return {"words": [name]}

        return count

    inner = StateGraph(State).add_node("first", node("first")).add_node("second", node("second"))
    stops = inner.add_edge(START, "first").add_edge("first", "second").compile(interrupt_after=["first"])

    def call(state: State) -> Any:
        return stops.invoke(state)

    graph = StateGraph(State).add_node("call", call).add_edge(START, "call").compile()
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=graph, thread_id="blocking")
        stopped = await rig.deliver("first", {"words": []}, call_id="first")
        assert await rig.deliver("first", {"words": []}, call_id="first") == stopped

    assert (stopped.status, runs) == ("interrupted", {"first": 1})


def endless_but_for_a_kill(hangs_at: list[int]) -> Graph:
    """Count down for ever, and hang once, when there are so many words."""

    async def count(state: Counting) -> State:
        if len(state.get("words", ())) in hangs_at:
            hangs_at.clear()
            await asyncio.Event().wait()
        return {"words": [str(state["left_over"])]}  # pyright: ignore[reportTypedDictNotRequiredAccess]

    graph = StateGraph(Counting).add_node("count", count).add_edge(START, "count").add_edge("count", "count")
    return graph.compile()


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_the_supersteps_of_a_subgraph_before_a_kill_count_towards_its_recursion_limit(
    unit: Unit, stores_sidecar: Sidecar
) -> None:
    limit: RunnableConfig = {"recursion_limit": 5}
    native = around(Counter(), endless_but_for_a_kill([])).copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}, **limit}
    with pytest.raises(GraphRecursionError):
        await native.ainvoke({"words": ["in"]}, thread)
    wanted: Any = (await native.aget_state(thread, subgraphs=True)).tasks[0].state
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        hangs_at = [4]
        rig = Rig(saver, unit, built=around(Counter(), endless_but_for_a_kill(hangs_at)), thread_id="limited-within")
        killed = asyncio.create_task(rig.deliver("run", {"words": ["in"]}, call_id="call", config=limit))
        while hangs_at:
            await asyncio.sleep(0.01)
        killed.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await killed
        ended = await rig.deliver("run", {"words": ["in"]}, call_id="call", config=limit)
        state: Any = (await rig.graph.aget_state(rig.config("run"), subgraphs=True)).tasks[0].state

    assert ended.failure
    assert ended.failure.error_type == "GraphRecursionError"
    assert state.values == wanted.values


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_recursion_limit_holds_though_another_worker_goes_on_meanwhile(
    unit: Unit, stores_sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit: RunnableConfig = {"recursion_limit": 5}
    native = endless_but_for_a_kill([]).copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}, **limit}
    with pytest.raises(GraphRecursionError):
        await native.ainvoke({"words": []}, thread)
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=endless_but_for_a_kill([]), thread_id="limited-in-a-race")
        await rig.cut_off("run", "call", {"words": []}, up_to=2, config=limit)
        look = saver.amade_before

        async def look_while_another_goes_on(head: CheckpointTuple | None, config: RunnableConfig) -> int:
            made = await look(head, config)
            await rig.cut_off("run", "call", None, up_to=3, config=limit)
            return made

        with monkeypatch.context() as patched:
            patched.setattr(saver, "amade_before", look_while_another_goes_on)
            with pytest.raises(StaleWriterError):
                await rig.deliver("run", {"words": []}, call_id="call", config=limit)
        ended = await rig.deliver("run", {"words": []}, call_id="call", config=limit)
        state = await rig.graph.aget_state(rig.config("run"))

    assert ended.failure
    assert ended.failure.error_type == "GraphRecursionError"
    assert len(state.values["words"]) == len((await native.aget_state(thread)).values["words"])


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_store_that_was_away_for_too_long_is_no_fault_of_the_node_whose_subgraph_it_did_not_take(
    unit: Unit, stores_sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, put = Counter[str](), DaprSaver.aput

    async def work(_: State) -> State:
        runs["work"] += 1
        return {"words": ["done"]}

    async def comfort(_: State) -> State:
        runs["comfort"] += 1
        return {"words": ["comforted"]}

    async def put_but_once(saver: DaprSaver, config: RunnableConfig, *others: Any) -> RunnableConfig:
        if runs["work"] and not runs["refused"] and config.get("configurable", {}).get("checkpoint_ns"):
            runs["refused"] += 1
            raise StateStoreUnavailableError("the sidecar did not answer")
        return await put(saver, config, *others)

    inner = StateGraph(State).add_node("work", work).add_edge(START, "work").compile()
    outer = StateGraph(State).add_node("inner", inner, error_handler=comfort).add_edge(START, "inner")
    monkeypatch.setattr(DaprSaver, "aput", put_but_once)
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=outer.compile(), thread_id="was-away")
        with pytest.raises(StateStoreError, match="did not answer"):
            await rig.deliver("run", {"words": []}, call_id="call")
        before = await rig.graph.aget_state(rig.config("run"))
        ended = await rig.deliver("run", {"words": []}, call_id="call")

    assert [(task.name, task.error) for task in before.tasks] == [("inner", None)]
    assert (ended.status, ended.output) == ("finished", {"json": {"words": ["done"]}})
    assert runs == {"work": 1, "refused": 1}


def limited_within() -> Graph:
    """Say something, and then count down for ever in a subgraph that has a limit of its own."""

    async def say(_: State) -> State:
        return {"words": ["before"]}

    inner = endless_but_for_a_kill([]).with_config({"recursion_limit": 4})
    graph = StateGraph(State).add_node("before", say).add_node("inner", inner)
    return graph.add_edge(START, "before").add_edge("before", "inner").compile()


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_a_subgraph_keeps_a_recursion_limit_of_its_own_after_a_kill(unit: Unit, stores_sidecar: Sidecar) -> None:
    native = limited_within().copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}}
    with pytest.raises(GraphRecursionError) as exhausted:
        await native.ainvoke({"words": []}, thread)
    wanted: Any = (await native.aget_state(thread, subgraphs=True)).tasks[0].state
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=limited_within(), thread_id="limited-by-itself")
        await rig.cut_off("run", "call", {"words": []}, up_to=1)
        ended = await rig.deliver("run", {"words": []}, call_id="call")
        state: Any = (await rig.graph.aget_state(rig.config("run"), subgraphs=True)).tasks[0].state

    assert ended.failure
    assert (ended.failure.error_type, ended.failure.message) == ("GraphRecursionError", str(exhausted.value))
    assert state.values == wanted.values


def remembering() -> Graph:
    """Call a subgraph that has a memory of its own, and once more."""

    async def say(state: State) -> State:
        return {"words": [f"after {len(state.get('words', ()))}"]}

    inner = StateGraph(State).add_node("say", say).add_edge(START, "say").compile(checkpointer=True)
    graph = StateGraph(State).add_node("before", say).add_node("inner", inner).add_node("again", inner)
    return graph.add_edge(START, "before").add_edge("before", "inner").add_edge("inner", "again").compile()


@pytest.mark.parametrize("unit", ["run", "task"])
@pytest.mark.parametrize("words", [2, 5])
async def test_a_subgraph_with_a_memory_that_is_to_be_called_anew_is_so_after_a_kill(
    words: int, unit: Unit, stores_sidecar: Sidecar
) -> None:
    native = remembering().copy({"checkpointer": InMemorySaver()})
    thread: RunnableConfig = {"configurable": {"thread_id": "native"}}
    for word in ("in", "once more"):
        await native.ainvoke({"words": [word]}, thread)
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        rig = Rig(saver, unit, built=remembering(), thread_id=f"remembering-{words}")
        await rig.deliver("first", {"words": ["in"]}, call_id="first")
        known = len((await rig.graph.aget_state(rig.config("first"))).values["words"])
        await rig.cut_off("second", "second", {"words": ["once more"]}, up_to=known + words)
        ended = await rig.deliver("second", {"words": ["once more"]}, call_id="second")
        state = await rig.graph.aget_state(rig.config("second"))

    assert ended.status == "finished"
    assert state.values == (await native.aget_state(thread)).values
