"""Keeping the last checkpoints of a thread: what stays, what goes, and what a crash in between leaves."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver
from dapr_bridge._graph_runs import GraphRuns, KeepCheckpoints
from dapr_bridge._payloads import encode_inline
from dapr_bridge._wire import RunOutcome, RunRequest
from dapr_bridge.saver.documents import Documents, Memory
from dapr_bridge.saver.keeping import keep_last
from dapr_bridge.saver.records import Codec
from dapr_bridge.testing import Sidecar
from tests.kit.cut_short import cut_short
from tests.kit.growing_state import LARGE, State
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio


class Inside(TypedDict, total=False):
    """What a subgraph counts; only one with a memory of its own counts on."""

    turns: Annotated[int, operator.add]


def inside(*, remembers: bool) -> Any:
    graph = StateGraph(Inside)
    graph.add_node("turn", lambda _: {"turns": 1})
    graph.add_edge(START, "turn")
    return graph.compile(checkpointer=True if remembers else None)


def nested() -> StateGraph[State]:
    """A node, a subgraph that remembers, and one that does not; each tells what it has counted."""
    remembering, forgetful = inside(remembers=True), inside(remembers=False)

    def remember(_: State) -> State:
        return {"count": 1, "words": [f"memory {remembering.invoke({})['turns']}"]}

    def forget(_: State) -> State:
        return {"words": [f"anew {forgetful.invoke({})['turns']}{LARGE}"]}

    graph = StateGraph(State)
    graph.add_node("first", lambda state: {"count": 1, "words": [f"first {state['count']}"]})
    graph.add_node("remember", remember)
    graph.add_node("forget", forget)
    graph.add_edge(START, "first")
    graph.add_edge("first", "remember")
    graph.add_edge("remember", "forget")
    return graph


def asking() -> StateGraph[State]:
    graph = StateGraph(State)
    graph.add_node("first", lambda _: {"count": 1})
    graph.add_node("ask", lambda _: {"fixed": interrupt("well?")})
    graph.add_edge(START, "first")
    graph.add_edge("first", "ask")
    return graph


def thread(name: str, **given: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name, **given}}


def documents_of(saver: DaprSaver) -> Documents:
    return Documents(saver.store, Codec(saver.serde), Memory(cache_bytes=0))


def states_of(graph: Any, name: str) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    return [(dict(state.values), state.next) for state in graph.get_state_history(thread(name))]


def take_turns(graph: Any, name: str, times: int) -> Any:
    for _ in range(times):
        output = graph.invoke({"fixed": "kept", "count": 0, "words": ["in"]}, thread(name), durability="sync")
    return output


async def test_the_last_states_stay_and_the_thread_goes_on_as_if_it_had_all(saver: DaprSaver) -> None:
    graph = nested().compile(checkpointer=saver)
    take_turns(graph, "kept-last", 16)
    saver.copy_thread("kept-last", "kept-last-whole")
    before = states_of(graph, "kept-last")

    for _ in range(2):
        await saver.akeep_last("kept-last", 6)

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        graph = nested().compile(checkpointer=fresh)
        assert len(before) == 80
        assert states_of(graph, "kept-last") == before[:6]
        assert take_turns(graph, "kept-last", 1) == take_turns(graph, "kept-last-whole", 1)


async def test_a_fork_of_a_kept_state_goes_on_as_if_the_thread_had_all(saver: DaprSaver) -> None:
    graph = nested().compile(checkpointer=saver)
    take_turns(graph, "kept-forked", 3)
    saver.copy_thread("kept-forked", "kept-forked-whole")

    await saver.akeep_last("kept-forked", 8)

    kept = [state.config["configurable"]["checkpoint_id"] for state in graph.get_state_history(thread("kept-forked"))]
    outputs = [
        [graph.invoke(None, thread(name, checkpoint_id=each), durability="sync") for each in kept]
        for name in ("kept-forked", "kept-forked-whole")
    ]
    assert len(kept) == 8
    assert len({str(output) for output in outputs[0]}) > 1
    assert outputs[0] == outputs[1]


async def test_what_a_kept_state_says_of_its_subgraphs_stays_and_other_namespaces_go(
    sqlite_saver: DaprSaver, sqlite_keys: Callable[[str], set[str]]
) -> None:
    graph = nested().compile(checkpointer=sqlite_saver)
    take_turns(graph, "kept-ns", 6)

    await sqlite_saver.akeep_last("kept-ns", 6)

    spaces = sorted(key.split("/")[3].partition(":")[0] for key in sqlite_keys("kept-ns") if key.split("/")[1] == "H")
    # Of six kept states one stands before each of the subgraphs.
    assert spaces == ["", "forget", "remember"]


async def test_of_a_thread_that_keeps_one_checkpoint_the_number_of_documents_does_not_grow(
    sqlite_saver: DaprSaver, sqlite_keys: Callable[[str], set[str]]
) -> None:
    graph = nested().compile(checkpointer=sqlite_saver)
    numbers: list[int] = []
    for _ in range(6):
        take_turns(graph, "level", 5)
        await sqlite_saver.akeep_last("level", 1)
        numbers.append(len(sqlite_keys("level")))

    # At most seven ancestors, for the delta channel has a snapshot at each seventh of its writes.
    assert max(numbers) < 30


async def test_a_thread_that_has_asked_something_stays_as_it_is(saver: DaprSaver) -> None:
    graph = asking().compile(checkpointer=saver)
    take_turns(graph, "asks", 1)
    before = states_of(graph, "asks")

    await saver.akeep_last("asks", 1)

    assert len(before) == 3
    assert states_of(graph, "asks") == before


async def test_a_thread_that_is_not_there_is_no_error_and_none_is_made(
    sqlite_saver: DaprSaver, sqlite_keys: Callable[[str], set[str]]
) -> None:
    await sqlite_saver.akeep_last("nowhere", 1)

    assert sqlite_keys("nowhere") == set()


async def test_to_keep_none_is_refused(sqlite_saver: DaprSaver) -> None:
    with pytest.raises(ValueError, match="at least 1 checkpoint, not 0; delete_thread deletes all"):
        await sqlite_saver.akeep_last("any", 0)


def test_cut_short_anywhere_the_thread_reads_as_before_or_after_and_the_next_time_finishes(
    stores_sidecar: Sidecar, sqlite_keys: Callable[[str], set[str]]
) -> None:
    left: list[list[str]] = []
    with DaprSaver(SQLITE, address=stores_sidecar.address, cache_bytes=0) as saver:
        graph = nested().compile(checkpointer=saver)
        take_turns(graph, "kept-whole", 1)
        before = states_of(graph, "kept-whole")
        was_cut = True
        while was_cut:
            name = f"cut-{len(left)}"
            saver.copy_thread("kept-whole", name)

            was_cut = cut_short(keep_last(documents_of(saver), name, 1), after=len(left) + 1)

            assert states_of(graph, name) in (before, before[:1])
            cut_short(keep_last(documents_of(saver), name, 1), after=10_000)
            assert states_of(graph, name) == before[:1]
            left.append(sorted(key.split("/")[1] for key in sqlite_keys(name)))

        assert take_turns(graph, name, 1)["count"] == 4
    assert len(left) > 20
    assert left == [left[-1]] * len(left)


class Runs:
    """The runs of a graph on one thread, as the worker's activities ask for them."""

    def __init__(self, saver: DaprSaver, thread_id: str, *, keeps: KeepCheckpoints, built: Any = None) -> None:
        self.graph = (built or nested()).compile().copy({"checkpointer": saver})
        self._saver, self._thread_id = saver, thread_id
        self._runs = GraphRuns(graph=self.graph, saver=saver, keeps=keeps)

    async def deliver(self, run_id: str, value: Any, **configurable: str) -> RunOutcome:
        request = RunRequest(
            graph="nested",
            thread_id=self._thread_id,
            run_id=run_id,
            asked_at="",
            input=encode_inline(value, self._saver.serde, what="the input"),
            config={"configurable": configurable} if configurable else {},
        )
        return await self._runs.advance(request, run_id, 1)

    async def count_in(self, outcome: RunOutcome) -> int:
        return (await self._runs.values.value(outcome.output or {}, what="the output"))["count"]

    async def states(self) -> list[Any]:
        return [state async for state in self.graph.aget_state_history(thread(self._thread_id))]


IN = {"fixed": "kept", "count": 0, "words": ["in"]}


async def test_a_worker_keeps_what_it_is_told_to_when_a_run_has_finished(saver: DaprSaver) -> None:
    runs = Runs(saver, "told", keeps=3)
    for number in range(3):
        outcome = await runs.deliver(f"told-{number}", IN)

        assert outcome.status == "finished"
        states = await runs.states()
        assert [state.values["count"] for state in states] == [2 * number + 2, 2 * number + 2, 2 * number + 1]
        assert states[0].config["configurable"]["checkpoint_id"] == outcome.checkpoint_id


async def test_a_worker_leaves_a_run_alone_that_waits_for_an_answer(sqlite_saver: DaprSaver) -> None:
    runs = Runs(sqlite_saver, "left-alone", keeps=1, built=asking())

    outcome = await runs.deliver("left-alone", {"count": 0})

    assert outcome.status == "interrupted"
    assert len(await runs.states()) == 3


async def test_a_run_that_is_delivered_again_after_a_person_has_changed_the_thread_runs_nothing_again(
    sqlite_saver: DaprSaver,
) -> None:
    runs = Runs(sqlite_saver, "kept-by-hand", keeps=1)
    await runs.deliver("kept-by-hand", IN)
    for _ in range(2):
        await runs.graph.aupdate_state(thread("kept-by-hand"), {"count": 10}, as_node="forget")

    outcomes = [await runs.deliver("kept-by-hand", IN) for _ in range(2)]

    assert [await runs.count_in(outcome) for outcome in outcomes] == [22, 22]
    assert [state.metadata["source"] for state in await runs.states()] == ["update", "update", "loop"]


async def test_a_run_that_is_to_begin_at_a_forgotten_checkpoint_is_refused(sqlite_saver: DaprSaver) -> None:
    runs = Runs(sqlite_saver, "forgotten", keeps="all")
    await runs.deliver("forgotten-1", IN)
    (oldest, kept) = [state.config["configurable"]["checkpoint_id"] for state in (await runs.states())[::-4]][:2]
    runs = Runs(sqlite_saver, "forgotten", keeps=1)
    await runs.deliver("forgotten-2", IN)
    states = await runs.states()

    refused = await runs.deliver("forgotten-3", None, checkpoint_id=oldest)

    assert refused.status == "refused"
    assert refused.failure
    assert f"checkpoint {oldest!r} is not there, or kept no more" in refused.failure.message
    assert await runs.states() == states
    assert kept != oldest
    latest = states[0].config["configurable"]["checkpoint_id"]
    assert (await runs.deliver("forgotten-4", IN, checkpoint_id=latest)).status == "finished"
