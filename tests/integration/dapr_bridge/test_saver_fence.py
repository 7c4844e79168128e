"""The fence of driven runs: a checkpoint is saved only when it follows the latest."""

from __future__ import annotations

import asyncio
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from dapr_bridge import DaprSaver, StaleWriterError
from dapr_bridge.testing import Sidecar
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio

ROUNDS = 40


def place(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name, "checkpoint_ns": ""}}


def id_of(config: RunnableConfig) -> str:
    return config["configurable"]["checkpoint_id"]


def checkpoint(checkpoint_id: str) -> Checkpoint:
    return {**empty_checkpoint(), "id": checkpoint_id}


def put(saver: DaprSaver, parent: RunnableConfig, made: Checkpoint | None = None) -> RunnableConfig:
    return saver.put(parent, made or empty_checkpoint(), {}, {})


def test_of_two_that_put_a_child_of_the_same_parent_one_wins_every_time(
    saver: DaprSaver, stores_sidecar: Sidecar
) -> None:
    def attempt(rival: DaprSaver, parent: RunnableConfig, start: threading.Barrier) -> RunnableConfig | None:
        start.wait()
        try:
            return put(rival, parent)
        except StaleWriterError:
            return None

    parent = place("race")
    with DaprSaver(saver.store.name, address=stores_sidecar.address) as other, ThreadPoolExecutor(2) as pool:
        rivals = [saver.fenced(), other.fenced()]
        for number in range(ROUNDS):
            start = threading.Barrier(2)
            ends = [pool.submit(attempt, rival, parent, start) for rival in rivals]
            winners = [won for end in ends if (won := end.result())]

            assert len(winners) == 1, f"round {number}"
            (parent,) = winners
            found = saver.get_tuple(place("race"))
            assert found is not None
            assert id_of(found.config) == id_of(parent)
    assert len(list(saver.list(place("race")))) == ROUNDS


def test_a_stale_writer_is_told_who_is_where(saver: DaprSaver) -> None:
    first = put(saver, place("stale"))
    second = put(saver, first)

    with pytest.raises(StaleWriterError, match="thread 'stale' has gone on without this writer") as caught:
        put(saver.fenced(), first)
    with pytest.raises(StaleWriterError) as caught_first:
        put(saver.fenced(), place("stale"))

    error = caught.value
    assert (error.thread_id, error.namespace, error.parent, error.latest) == ("stale", "", id_of(first), id_of(second))
    assert caught_first.value.parent is None


def test_a_writer_that_hears_late_that_its_checkpoint_is_saved_is_told_when_another_has_gone_on(
    saver: DaprSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, made = saver.fenced(), empty_checkpoint()
    first = put(late, place("hears late"), made)
    put(saver, first)
    # Put once more, its first answer having been lost.
    assert id_of(put(late, place("hears late"), made)) == made["id"]

    monkeypatch.setattr("dapr_bridge.saver.writing._LONG_FOR_A_PUT", 0)
    with pytest.raises(StaleWriterError):
        put(late, place("hears late"), made)
    assert put(late, put(late, place("alone")))


class NotingSaver(DaprSaver):
    """A saver of somebody's own, with a state."""

    noted: str = ""


def test_what_a_subclass_notes_outlasts_a_view_and_what_makes_the_view_does_not(stores_sidecar: Sidecar) -> None:
    with NotingSaver(SQLITE, address=stores_sidecar.address) as own:
        serde, view = own.serde, own.fenced()
        view.noted = "by the view"
        view.serde = JsonPlusSerializer()

        assert own.noted == own.fenced().noted == "by the view"
        assert own.serde is serde
        first = put(own, place("views"))
        put(own, first)
        put(own, first)


async def end_superstep(worker: DaprSaver, parent: RunnableConfig, word: str) -> RunnableConfig:
    """Save writes and a checkpoint both at once, as LangGraph does."""
    _, child = await asyncio.gather(
        worker.aput_writes(parent, [("words", word), ("words", word)], "task"),
        worker.aput(parent, empty_checkpoint(), {}, {}),
    )
    return child


async def test_writes_that_come_with_a_checkpoint_do_not_replace_those_of_an_earlier_attempt(
    saver: DaprSaver, stores_sidecar: Sidecar
) -> None:
    late = saver.fenced()
    parent = put(late, place("second"))
    with DaprSaver(saver.store.name, address=stores_sidecar.address) as other:
        await other.aput_writes(parent, [("words", "first"), ("words", "first")], "task")

    child = await end_superstep(late, parent, "late")

    found, latest = await saver.aget_tuple(parent), await saver.aget_tuple(place("second"))
    assert found is not None
    assert latest is not None
    assert [value for _, _, value in found.pending_writes or []] == ["first", "first"]
    assert id_of(latest.config) == id_of(child)


async def test_a_late_worker_that_saves_its_writes_with_its_checkpoint_changes_nothing(
    saver: DaprSaver, stores_sidecar: Sidecar
) -> None:
    late, made = saver.fenced(), empty_checkpoint()
    parent = put(late, place("late"), made)
    with DaprSaver(saver.store.name, address=stores_sidecar.address) as other:
        # Both have put it, and so know that there are no writes on it yet.
        put(other.fenced(), place("late"), made)
        child = await end_superstep(other.fenced(), parent, "first")

    with pytest.raises(StaleWriterError):
        await end_superstep(late, parent, "late")

    found, latest = await saver.aget_tuple(parent), await saver.aget_tuple(place("late"))
    assert found is not None
    assert latest is not None
    assert [value for _, _, value in found.pending_writes or []] == ["first", "first"]
    assert id_of(latest.config) == id_of(child)


def test_a_put_that_is_repeated_is_not_stale(saver: DaprSaver) -> None:
    driven, child = saver.fenced(), empty_checkpoint()
    root = put(driven, place("repeat"))
    last = put(driven, root, child)

    assert put(driven, root, child) == last
    for _ in range(130):
        last = put(driven, last)
    assert put(driven, root, child)["configurable"]["checkpoint_id"] == child["id"]

    found = saver.get_tuple(place("repeat"))
    assert found is not None
    assert id_of(found.config) == id_of(last)
    assert len(list(saver.list(place("repeat")))) == 132


def test_a_person_forks_freely_and_the_driven_run_notices(saver: DaprSaver) -> None:
    driven = saver.fenced()
    root = put(driven, place("person"))
    child = put(driven, root)

    fork = put(saver, root)

    with pytest.raises(StaleWriterError):
        put(driven, child)
    assert put(driven, fork)


def test_a_driven_run_goes_on_from_what_another_process_has_put(saver: DaprSaver, stores_sidecar: Sidecar) -> None:
    driven = saver.fenced()
    root = put(driven, place("handover"))

    with DaprSaver(saver.store.name, address=stores_sidecar.address) as other:
        theirs = put(other, root)

    assert put(driven, theirs)


def test_namespaces_of_a_thread_have_fences_of_their_own(saver: DaprSaver) -> None:
    driven = saver.fenced()
    root = put(driven, place("spaces"))

    put(driven, {"configurable": {"thread_id": "spaces", "checkpoint_ns": "sub:1"}})

    assert put(driven, root)


def test_a_worker_whose_clock_is_behind_goes_on_from_its_own_checkpoint(saver: DaprSaver) -> None:
    driven = saver.fenced()
    root = put(driven, place("clock"), checkpoint("9"))
    child = put(driven, root, checkpoint("3"))

    found = saver.get_tuple(place("clock"))
    assert found is not None
    assert id_of(found.config) == "3"
    with pytest.raises(StaleWriterError):
        put(driven, root, checkpoint("4"))
    assert id_of(put(driven, child, checkpoint("4"))) == "4"


class Sub(TypedDict, total=False):
    """The memory of a subgraph."""

    visits: Annotated[int, operator.add]


class State(TypedDict, total=False):
    """What the nodes of the whole graph have said."""

    words: Annotated[list[str], operator.add]
    visits: int


def every_kind(saver: Any) -> Any:
    """A fan-out, a subgraph with a memory of its own, and a question."""
    sub = StateGraph(Sub)
    sub.add_node("visit", lambda _: {"visits": 1})
    sub.add_edge(START, "visit")
    graph = StateGraph(State)
    graph.add_node("work", lambda sent: {"words": [f"work-{sent['number']}"]})
    graph.add_node("visits", sub.compile(checkpointer=True))
    graph.add_node("ask", lambda _: {"words": [interrupt("sure?")]})
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "visits")
    graph.add_edge("visits", "ask")
    return graph.compile(checkpointer=saver)


def converse(graph: Any, name: str) -> list[Any]:
    said: list[Any] = []
    for answer in ("yes", "no"):
        said.append(graph.invoke({"words": [], "visits": 0}, place(name), durability="sync").get("words"))
        said.append(graph.invoke(Command(resume=answer), place(name), durability="sync"))
    return said


def test_a_whole_run_means_the_same_with_the_fence(saver: DaprSaver) -> None:
    wanted = converse(every_kind(InMemorySaver()), "whole")

    assert converse(every_kind(saver.fenced()), "whole") == wanted


async def test_a_run_that_another_has_overtaken_stops_at_its_next_checkpoint(
    stores_sidecar: Sidecar,
) -> None:
    runs: list[str] = []
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        graph = StateGraph(State)

        async def slow(_: State) -> dict[str, Any]:
            if not runs:
                runs.append("overtaken")
                await every.ainvoke(None, place("overtaken"), durability="sync")
            return {"words": ["slow"]}

        graph.add_node("slow", slow)
        graph.add_node("after", lambda _: runs.append("after") or {"words": ["after"]})
        graph.add_edge(START, "slow")
        graph.add_edge("slow", "after")
        every = graph.compile(checkpointer=saver.fenced())

        with pytest.raises(StaleWriterError):
            await every.ainvoke({"words": []}, place("overtaken"), durability="sync")
        state = await every.aget_state(place("overtaken"))

    assert runs == ["overtaken", "after"]
    assert state.values["words"] == ["slow", "after"]


async def test_a_subgraph_that_another_has_overtaken_ends_the_attempt_and_is_no_error_of_its_node(
    saver: DaprSaver,
) -> None:
    runs: list[str] = []

    async def overtaken(_: State, config: RunnableConfig) -> State:
        runs.append("overtaken")
        namespace, _, _ = config["configurable"]["checkpoint_ns"].rpartition("|")
        latest = await saver.aget_tuple({"configurable": {"thread_id": "inner", "checkpoint_ns": namespace}})
        assert latest is not None
        await saver.aput(latest.config, empty_checkpoint(), {}, {})
        return {"words": ["late"]}

    async def comfort(_: State) -> State:
        runs.append("comfort")
        return {"words": ["comforted"]}

    sub = StateGraph(State).add_node("overtaken", overtaken).add_edge(START, "overtaken").compile()
    again = RetryPolicy(max_attempts=3, initial_interval=0.01, retry_on=Exception)
    outer = StateGraph(State).add_node("sub", sub, retry_policy=again, error_handler=comfort).add_edge(START, "sub")
    graph = outer.compile(checkpointer=saver.fenced())

    with pytest.raises(StaleWriterError):
        await graph.ainvoke({"words": ["in"]}, place("inner"), durability="sync")
    state = await graph.aget_state(place("inner"))

    assert runs == ["overtaken"]
    assert [(task.name, task.error, task.result) for task in state.tasks] == [("sub", None, None)]


def test_a_checkpoint_can_be_put_over_itself(saver: DaprSaver) -> None:
    made = empty_checkpoint()
    first = put(saver, place("itself"), made)

    again = put(saver, first, made)

    assert id_of(again) == id_of(first)
