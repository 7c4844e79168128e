"""What the conformance suite does not ask of the saver, on a real daprd."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge import DaprSaver, Patience, Reference, StateStoreError, StateStoreNotFoundError
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.stores import ALL_STORES, write_sqlite_store

pytestmark = pytest.mark.anyio


class State(TypedDict, total=False):
    """A list that grows and a large text."""

    words: Annotated[list[str], operator.add]
    text: str


def fan_out(width: int) -> StateGraph[State]:
    graph = StateGraph(State)
    graph.add_node("start", lambda _: {"words": ["start"]})
    graph.add_node("work", lambda sent: {"words": [f"work-{sent['number']}"]})
    graph.add_node("end", lambda state: {"words": [str(len(state["words"]))]})
    graph.add_edge(START, "start")
    graph.add_conditional_edges("start", lambda _: [Send("work", {"number": n}) for n in range(width)], ["work"])
    graph.add_edge("work", "end")
    return graph


def thread(name: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": name}}


@pytest.mark.parametrize("store", ALL_STORES)
async def test_a_graph_runs_alike_in_threads_and_on_the_event_loop(store: str, stores_sidecar: Sidecar) -> None:
    wanted = fan_out(5).compile(checkpointer=InMemorySaver()).invoke({"words": []}, thread("native"))
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        graph = fan_out(5).compile(checkpointer=saver)

        in_threads = await asyncio.to_thread(graph.invoke, {"words": []}, thread(f"sync-{store}"), durability="sync")
        on_the_loop = await graph.ainvoke({"words": []}, thread(f"async-{store}"), durability="sync")
        state = await graph.aget_state(thread(f"sync-{store}"))

    assert in_threads == on_the_loop == wanted == state.values


@pytest.mark.parametrize("store", ALL_STORES)
async def test_a_value_of_32_mb_comes_back_equal_and_is_deleted_with_all_its_parts(
    store: str, stores_sidecar: Sidecar
) -> None:
    text = "".join(f"{number:08}" for number in range(4 << 20))
    with DaprSaver(store, address=stores_sidecar.address, cache_bytes=0) as saver:
        graph = fan_out(1).compile(checkpointer=saver)

        await graph.ainvoke({"words": [], "text": text}, thread("large"), durability="sync")
        state = await graph.aget_state(thread("large"))
        await saver.adelete_thread("large")
        after = await graph.aget_state(thread("large"))

    assert state.values["text"] == text
    assert after.values == {}


@pytest.mark.parametrize("store", ALL_STORES)
@pytest.mark.parametrize("padding", [10, 5_000], ids=["small writes", "writes on both sides of what stands together"])
async def test_two_attempts_of_a_task_are_never_mixed(store: str, padding: int, stores_sidecar: Sidecar) -> None:
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        config = saver.put(thread(f"mix-{padding}"), empty_checkpoint(), {}, {})

        def attempt(number: int) -> None:
            writes = [(f"channel-{each}", (number, "x" * padding)) for each in range(number)]
            with DaprSaver(store, address=stores_sidecar.address) as rival:
                rival.put_writes(config, writes, "task")

        racers = [threading.Thread(target=attempt, args=[number]) for number in range(1, 9)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        found = await saver.aget_tuple(config)

    assert found is not None
    pending = found.pending_writes or []
    winners = {number for _, _, (number, _) in pending}
    assert len(winners) == 1
    assert len(pending) == winners.pop()


async def test_many_tasks_with_writes_of_all_sizes_are_all_found(stores_sidecar: Sidecar) -> None:
    sizes = {f"task-{number}": 3**number for number in range(12)}
    with DaprSaver("sqlite-state", address=stores_sidecar.address) as saver:
        config = saver.put(thread("sizes"), empty_checkpoint(), {}, {})
        puts = (saver.aput_writes(config, [("text", "x" * size)], task_id) for task_id, size in sizes.items())
        await asyncio.gather(*puts)
        found = await saver.aget_tuple(config)

    assert found is not None
    assert {task_id: len(text) for task_id, _, text in found.pending_writes or []} == sizes


@pytest.mark.parametrize("store", ALL_STORES)
async def test_of_two_attempts_saved_in_one_go_the_first_wins_whole(store: str, stores_sidecar: Sidecar) -> None:
    attempts = [[("a", 1)], [("a", 2), ("b", 2)], [("__interrupt__", "why?")]]
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        config = saver.put(thread("in one go"), empty_checkpoint(), {}, {})
        # The first of all is on its way when the others gather.
        puts = [
            saver.aput_writes(config, [("other", 0)], "other"),
            *(saver.aput_writes(config, each, "task") for each in attempts),
        ]
        await asyncio.gather(*puts)
        found = await saver.aget_tuple(config)

    assert found is not None
    of_task = [(channel, value) for task_id, channel, value in found.pending_writes or [] if task_id == "task"]
    assert of_task == [("__interrupt__", "why?"), ("a", 1)]


@pytest.mark.parametrize("cancelled", [0, 1, 5], ids=["who saves its own", "who saves for all", "who waits"])
async def test_a_task_that_is_cancelled_takes_no_other_tasks_writes_along(
    cancelled: int, stores_sidecar: Sidecar
) -> None:
    with DaprSaver("sqlite-state", address=stores_sidecar.address) as saver:
        config = saver.put(thread(f"cancelled-{cancelled}"), empty_checkpoint(), {}, {})
        puts = [asyncio.create_task(saver.aput_writes(config, [("a", number)], f"{number}")) for number in range(10)]
        # When the first is done, the second saves for all that have gathered.
        await (puts[0] if cancelled == 1 else asyncio.sleep(0))
        await asyncio.sleep(0)
        puts[cancelled].cancel()
        ends = await asyncio.gather(*puts, return_exceptions=True)
        found = await saver.aget_tuple(config)

    assert [end for number, end in enumerate(ends) if number != cancelled] == [None] * 9
    assert found is not None
    saved = {value for _, _, value in found.pending_writes or []}
    assert saved >= set(range(10)) - {cancelled}


async def test_checkpoints_beyond_one_chunk_are_listed_in_order(stores_sidecar: Sidecar) -> None:
    graph = StateGraph(State)
    graph.add_node("grow", lambda _: {"words": ["x"]})
    graph.add_edge(START, "grow")
    graph.add_conditional_edges("grow", lambda state: "grow" if len(state["words"]) < 150 else "__end__")
    with DaprSaver("sqlite-state", address=stores_sidecar.address) as saver:
        compiled = graph.compile(checkpointer=saver)

        await compiled.ainvoke({"words": []}, {**thread("long"), "recursion_limit": 200}, durability="sync")
        steps = [state.metadata["step"] async for state in compiled.aget_state_history(thread("long"))]
        newest = [state.metadata["step"] async for state in compiled.aget_state_history(thread("long"), limit=2)]

    assert steps == list(range(150, -2, -1))
    assert newest == [150, 149]


async def test_a_value_saved_by_name_stays_what_it_was_first(stores_sidecar: Sidecar) -> None:
    with DaprSaver("sqlite-state", address=stores_sidecar.address) as saver:
        first = await saver.aput_value("run/input", {"question": "why?"})
        again = await saver.aput_value("run/input", {"question": "who?"})

        assert first == again == Reference(name="run/input")
        assert await saver.aget_value(first) == {"question": "why?"}
        with pytest.raises(StateStoreError, match="'sqlite-state' holds no value 'nothing'"):
            await saver.aget_value(Reference(name="nothing"))


@pytest.mark.parametrize("store", ALL_STORES)
@pytest.mark.parametrize("megabytes", [1, 5])
async def test_a_large_value_saved_by_name_comes_back_equal(
    store: str, megabytes: int, stores_sidecar: Sidecar
) -> None:
    name, text = f"run/output/{megabytes}", "x" * (megabytes << 20)
    with DaprSaver(store, address=stores_sidecar.address) as saver:
        reference = await saver.aput_value(name, text)

        assert await saver.aget_value(reference) == text


async def test_a_store_that_does_not_exist_is_named(stores_sidecar: Sidecar) -> None:
    patience, looked_at = Patience(trouble=timedelta(seconds=0.5)), time.monotonic()
    saver = DaprSaver("no-such-store", address=stores_sidecar.address, patience=patience)

    with saver:
        for work in (saver.aget_tuple(thread("t")), saver.aput_value("name", "x" * 10_000)):
            with pytest.raises(StateStoreNotFoundError, match=r"no state store 'no-such-store'.*Name one"):
                await work

    # A sidecar that starts may not have loaded it yet.
    assert time.monotonic() - looked_at > 1


async def test_a_sidecar_that_is_killed_and_comes_back_loses_no_write(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    write_sqlite_store(tmp_path / "resources", "state", tmp_path / "state.db")
    sidecar = Sidecar("app", control_plane=control_plane, resources=tmp_path / "resources", folder=tmp_path)
    with sidecar, DaprSaver("state", address=sidecar.address) as saver:
        graph = fan_out(3).compile(checkpointer=saver)
        await graph.ainvoke({"words": []}, thread("before"), durability="sync")
        sidecar.kill()
        running = asyncio.create_task(graph.ainvoke({"words": []}, thread("while away"), durability="sync"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(sidecar.start)
        ended = await asyncio.wait_for(running, 30)

    assert ended["words"] == ["start", "work-0", "work-1", "work-2", "4"]
