"""Deleting runs and old checkpoints, and copying threads: what stays, what goes, and what a crash in between leaves."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from dapr_bridge import CheckpointNotFoundError, DaprSaver, StateStoreError
from dapr_bridge.saver.documents import Documents, Memory, Place
from dapr_bridge.saver.effects import Steps, run
from dapr_bridge.saver.records import Codec
from dapr_bridge.saver.removal import delete_for_runs, delete_thread, prune
from dapr_bridge.testing import Sidecar
from tests.kit.cut_short import cut_short
from tests.kit.growing_state import LARGE, State
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio


def counting(saver: DaprSaver) -> CompiledStateGraph[State]:
    """Count up by three in three supersteps."""
    graph = StateGraph(State)
    for name, after in (("one", START), ("two", "one"), ("three", "two")):
        graph.add_node(name, lambda state, name=name: {"count": 1, "words": [f"{name}-{state['count']}"]})
        graph.add_edge(after, name)
    return graph.compile(checkpointer=saver)


class Plain(TypedDict, total=False):
    """The same without the delta channel."""

    fixed: str
    count: Annotated[int, operator.add]
    large: str


def plain(saver: DaprSaver) -> CompiledStateGraph[Plain]:
    graph = StateGraph(Plain)
    for name, after in (("one", START), ("two", "one"), ("three", "two")):
        graph.add_node(name, lambda _, name=name: {"count": 1, "large": name + LARGE})
        graph.add_edge(after, name)
    return graph.compile(checkpointer=saver)


def thread(name: str, run_id: str | None = None) -> RunnableConfig:
    return {"configurable": {"thread_id": name, **({"run_id": run_id} if run_id else {})}}


def states_of(graph: CompiledStateGraph[Any], name: str) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    return [(dict(state.values), state.next) for state in graph.get_state_history(thread(name))]


def test_what_a_deleted_run_shares_with_a_later_one_stays(saver: DaprSaver) -> None:
    graph = counting(saver)
    for run_id in ("run-a", "run-b", "run-c"):
        graph.invoke({"fixed": "kept", "count": 0, "words": [run_id]}, thread("shared", run_id), durability="sync")
    before = states_of(graph, "shared")

    saver.delete_for_runs(["run-a", "run-b"])

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert states_of(counting(fresh), "shared") == before[:5]
        assert {each.metadata.get("run_id") for each in fresh.list(thread("shared"))} == {"run-c"}
        assert counting(fresh).invoke({"count": 0}, thread("shared"), durability="sync")["count"] == 12


async def test_a_run_is_deleted_in_every_thread_where_it_was(saver: DaprSaver) -> None:
    graph = plain(saver)
    for name in ("everywhere-1", "everywhere-2"):
        await graph.ainvoke({"count": 0}, thread(name, "everywhere"), durability="sync")
        await graph.ainvoke({"count": 0}, thread(name, "elsewhere"), durability="sync")

    await saver.adelete_for_runs(["everywhere"])

    for name in ("everywhere-1", "everywhere-2"):
        assert {each.metadata.get("run_id") async for each in saver.alist(thread(name))} == {"elsewhere"}


def test_a_run_that_goes_on_after_its_deletion_is_found_again(saver: DaprSaver) -> None:
    graph = plain(saver)
    for _ in range(2):
        graph.invoke({"count": 0}, thread("again", "again"), durability="sync")
        saver.delete_for_runs(["again"])

        assert list(saver.list(thread("again"))) == []
        assert saver.get_tuple(thread("again")) is None


def test_pruning_a_long_thread_keeps_its_latest_state_and_lets_it_go_on(saver: DaprSaver) -> None:
    graph = counting(saver)
    for number in range(40):
        graph.invoke({"fixed": "kept", "count": 0, "words": [str(number)]}, thread("pruned"), durability="sync")
    before = states_of(graph, "pruned")

    saver.prune(["pruned"])

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert len(before) == 200
        assert states_of(counting(fresh), "pruned") == before[:1]
        assert counting(fresh).invoke({"count": 0}, thread("pruned"), durability="sync")["count"] == 123


def test_of_a_pruned_thread_without_delta_channels_one_checkpoint_is_stored(
    sqlite_saver: DaprSaver, sqlite_keys: Callable[[str], set[str]]
) -> None:
    graph = plain(sqlite_saver)
    for number in range(30):
        graph.invoke({"fixed": "kept", "count": 0}, thread("thin", f"thin-{number}"), durability="sync")

    sqlite_saver.prune(["thin"])
    sqlite_saver.prune(["thin"])

    (latest,) = sqlite_saver.list(thread("thin"))
    kinds = sorted(key.split("/")[1] for key in sqlite_keys("thin"))
    assert kinds == sorted(["T", "H", "U", "C", *("B" for _ in latest.checkpoint["channel_values"])])
    assert sqlite_keys("thin-0") == set()
    assert len(sqlite_keys("thin-29")) == 1


def test_a_deleted_thread_leaves_nothing(sqlite_saver: DaprSaver, sqlite_keys: Callable[[str], set[str]]) -> None:
    for number in range(30):
        config = thread("all-gone", f"all-gone-{number}")
        counting(sqlite_saver).invoke({"count": 0, "words": [LARGE]}, config, durability="sync")
    sqlite_saver.prune(["all-gone"])
    counting(sqlite_saver).invoke({"count": 0, "words": [LARGE]}, thread("all-gone"), durability="sync")

    sqlite_saver.prune(["all-gone"], strategy="delete")

    assert sqlite_keys("all-gone") == set()
    assert sqlite_keys("all-gone-29") == set()


def test_a_strategy_that_does_not_exist_is_refused(sqlite_saver: DaprSaver) -> None:
    with pytest.raises(ValueError, match="strategy 'keep' is unknown"):
        sqlite_saver.prune(["any"], strategy="keep")


def test_a_copy_has_all_states_and_goes_its_own_way(saver: DaprSaver) -> None:
    graph = counting(saver)
    for number in range(20):
        graph.invoke({"count": 0, "words": [f"{number}{LARGE}"]}, thread("origin", f"copy-{number}"), durability="sync")
    before = states_of(graph, "origin")

    for _ in range(2):
        saver.copy_thread("origin", "copy")

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert states_of(counting(fresh), "copy") == before
        assert counting(fresh).invoke({"count": 0}, thread("copy"), durability="sync")["count"] == 63
        assert states_of(counting(fresh), "origin") == before
        fresh.delete_for_runs(["copy-0"])
        assert len(states_of(counting(fresh), "copy")) == 100


def test_a_copy_of_a_pruned_thread_has_what_its_state_is_rebuilt_from(saver: DaprSaver) -> None:
    graph = counting(saver)
    for number in range(3):
        graph.invoke({"count": 0, "words": [str(number)]}, thread("thinned"), durability="sync")
    before = states_of(graph, "thinned")
    saver.prune(["thinned"])

    saver.copy_thread("thinned", "thinned-copy")
    saver.delete_thread("thinned")

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert states_of(counting(fresh), "thinned-copy") == before[:1]


def test_what_another_process_has_deleted_is_not_there(saver: DaprSaver) -> None:
    graph = plain(saver)
    graph.invoke({"fixed": "kept", "count": 0}, thread("elsewhere"), durability="sync")
    seen = list(saver.list(thread("elsewhere")))

    with DaprSaver(saver.store.name, address=saver.store.address) as another:
        another.prune(["elsewhere"])

    assert [saver.get_tuple(each.config) is not None for each in seen] == [True, *[False] * (len(seen) - 1)]
    assert [each.checkpoint["id"] for each in saver.list(thread("elsewhere"))] == [seen[0].checkpoint["id"]]


def branch(found: CheckpointTuple) -> Checkpoint:
    """A checkpoint that changes nothing of another one."""
    return {**found.checkpoint, "id": str(uuid6())}


def test_a_thread_does_not_go_on_from_a_checkpoint_that_is_deleted_meanwhile(saver: DaprSaver) -> None:
    graph = plain(saver)
    graph.invoke({"fixed": "kept", "count": 0}, thread("branched"), durability="sync")
    found = list(saver.list(thread("branched")))[2]

    with DaprSaver(saver.store.name, address=saver.store.address) as another:
        another.prune(["branched"])
        with pytest.raises(CheckpointNotFoundError, match=f"checkpoint '{found.checkpoint['id']}' of .* was deleted"):
            saver.put(found.config, branch(found), {"source": "update", "step": 1, "parents": {}}, {})

        assert plain(another).get_state(thread("branched")).values["fixed"] == "kept"


def test_the_oldest_state_that_is_kept_is_copied_as_any_other(saver: DaprSaver) -> None:
    graph = plain(saver)
    graph.invoke({"fixed": "kept", "count": 0}, thread("copied-state"), durability="sync")
    saver.prune(["copied-state"])
    kept = graph.get_state(thread("copied-state"))

    copied = graph.get_state(graph.update_state(kept.config, None, as_node="__copy__"))

    assert copied.values == kept.values
    with DaprSaver(saver.store.name, address=saver.store.address) as another:
        assert plain(another).get_state(thread("copied-state")).values == kept.values


def test_a_first_checkpoint_is_whole_whatever_is_said_to_have_changed(saver: DaprSaver) -> None:
    first: Checkpoint = {**empty_checkpoint(), "channel_values": {"x": "kept"}, "channel_versions": {"x": 1}}

    saver.put({"configurable": {"thread_id": "first", "checkpoint_ns": ""}}, first, {}, {})

    found = saver.get(thread("first"))
    assert found is not None
    assert found["channel_values"] == {"x": "kept"}


def test_a_thread_goes_on_from_any_checkpoint_that_it_has(saver: DaprSaver) -> None:
    graph = plain(saver)
    for number in range(20):
        graph.invoke({"fixed": str(number), "count": 0}, thread("long branched"), durability="sync")
    states = list(graph.get_state_history(thread("long branched")))

    for state in (states[1], states[-2]):
        values = graph.get_state(graph.update_state(state.config, {"count": 100})).values
        assert values == {**state.values, "count": state.values["count"] + 100}


def test_a_checkpoint_whose_values_are_gone_is_no_smaller_one(saver: DaprSaver) -> None:
    graph = plain(saver)
    graph.invoke({"fixed": "kept", "count": 0}, thread("halved"), durability="sync")
    found = next(saver.list(thread("halved")))
    version = str(found.checkpoint["channel_versions"]["fixed"])
    run(saver.store.delete([Place(thread_id="halved", namespace="").value_key("fixed", version)]))

    with DaprSaver(saver.store.name, address=saver.store.address) as another:
        assert another.get_tuple(found.config) is None
        with pytest.raises(StateStoreError, match="lacks values"):
            another.get_tuple(thread("halved"))


def test_a_run_goes_on_while_its_thread_is_pruned_from_elsewhere(saver: DaprSaver) -> None:
    graph = counting(saver)
    stop = threading.Event()
    pruned: list[int] = []

    def keep_pruning() -> None:
        with DaprSaver(saver.store.name, address=saver.store.address) as other:
            while not stop.is_set():
                other.prune(["busy"])
                pruned.append(1)

    with ThreadPoolExecutor(1) as pool:
        pruning = pool.submit(keep_pruning)
        try:
            for number in range(12):
                run = {"fixed": "kept", "count": 0, "words": [str(number)]}
                state = graph.invoke(run, thread("busy", f"busy-{number}"), durability="sync")
        finally:
            stop.set()
        pruning.result()
    saver.prune(["busy"])

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        (latest,) = states_of(counting(fresh), "busy")
    words = [
        word
        for number in range(12)
        for word in (str(number), *(f"{name}-{number * 3 + step}" for step, name in enumerate(("one", "two", "three"))))
    ]
    assert latest == ({"fixed": "kept", "count": 36, "words": words}, ())
    assert state == latest[0]
    assert len(pruned) > 1


def removals(name: str) -> dict[str, Callable[[Documents], Steps[None]]]:
    return {
        "prune": lambda documents: prune(documents, [name], "keep_latest"),
        "runs": lambda documents: delete_for_runs(documents, [f"{name}-0", f"{name}-1"]),
        "thread": lambda documents: delete_thread(documents, name),
    }


@pytest.mark.parametrize("kind", removals(""))
def test_a_removal_cut_short_anywhere_harms_nothing_and_can_be_repeated(
    kind: str, stores_sidecar: Sidecar, sqlite_keys: Callable[[str], set[str]]
) -> None:
    def documents_of(saver: DaprSaver) -> Documents:
        return Documents(saver.store, Codec(saver.serde), Memory(cache_bytes=0))

    kept = {"prune": 1, "runs": 5, "thread": 0}[kind]
    left: list[list[str]] = []
    was_cut = True
    while was_cut:
        name = f"cut-{kind}-{len(left)}"
        with DaprSaver(SQLITE, address=stores_sidecar.address, cache_bytes=0) as saver:
            graph = counting(saver)
            for number in range(3):
                graph.invoke({"count": 0, "words": [LARGE]}, thread(name, f"{name}-{number}"), durability="sync")
            before = states_of(graph, name)

            was_cut = cut_short(removals(name)[kind](documents_of(saver)), after=len(left) + 1)

            # A thread that is to go as a whole may be half gone.
            assert kind == "thread" or states_of(graph, name) in (before, before[:kept])
            assert not cut_short(removals(name)[kind](documents_of(saver)), after=10_000)
            assert states_of(graph, name) == before[:kept]
        keys = [key for part in (name, *(f"{name}-{number}" for number in range(3))) for key in sqlite_keys(part)]
        left.append(sorted(key.split("/")[1] for key in keys))

    assert len(left) > 8
    assert left == [left[-1]] * len(left)
    # The last snapshot of the delta channel is two checkpoints before the last run.
    assert left[-1].count("C") == {"prune": 7, "runs": 7, "thread": 0}[kind]
