"""Delta channels on a real daprd, compared with LangGraph's memory saver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Overwrite, Send

from dapr_bridge import DaprSaver
from dapr_bridge.testing import Sidecar
from tests.kit.sidecar_calls import CallCounter
from tests.kit.stores import SQLITE

pytestmark = pytest.mark.anyio

LARGE = "x" * 20_000
"""A write of this size has a document of its own."""


def concat(state: list[str], writes: list[list[str]]) -> list[str]:
    return [*state, *(word for write in writes for word in write)]


class State(TypedDict, total=False):
    """One channel with frequent snapshots, one with rare ones, one that is never written, and a counter."""

    often: Annotated[list[str], DeltaChannel(concat, snapshot_frequency=5)]
    rarely: Annotated[list[str], DeltaChannel(concat, snapshot_frequency=1000)]
    never: Annotated[list[str], DeltaChannel(concat)]
    turns: int
    wanted: int


def fan(state: State) -> list[Send] | str:
    if state["turns"] >= state["wanted"]:
        return END
    return [Send("work", {"turns": state["turns"], "number": number}) for number in range(3)]


def build(saver: BaseCheckpointSaver[Any]) -> CompiledStateGraph[State]:
    """Take turns; in each, three tasks in parallel write to one channel, now and then a large value."""
    graph = StateGraph(State)
    graph.add_node("turn", lambda state: {"turns": state.get("turns", 0) + 1, "rarely": [f"turn {state['turns']}"]})
    graph.add_node("work", lambda sent: {"often": [f"{sent['turns']}.{sent['number']}{LARGE[: sent['turns'] * 5000]}"]})
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", fan, ["work", END])
    graph.add_edge("work", "turn")
    return graph.compile(checkpointer=saver)


def thread(name: str) -> RunnableConfig:
    return {"configurable": {"thread_id": name}, "recursion_limit": 500}


def states_of(graph: CompiledStateGraph[State], name: str) -> list[tuple[int, dict[str, Any], tuple[str, ...]]]:
    history = graph.get_state_history(thread(name))
    return [((state.metadata or {})["step"], dict(state.values), state.next) for state in history]


async def astates_of(graph: CompiledStateGraph[State], name: str) -> list[tuple[int, dict[str, Any], tuple[str, ...]]]:
    history = graph.aget_state_history(thread(name))
    return [((state.metadata or {})["step"], dict(state.values), state.next) async for state in history]


def talk(graph: CompiledStateGraph[State], name: str) -> None:
    """Two runs, an overwrite by hand, a fork from the middle, and a run on the fork."""
    graph.invoke({"turns": 0, "wanted": 4, "often": ["first"]}, thread(name), durability="sync")
    graph.invoke({"turns": 0, "wanted": 3, "rarely": ["second"]}, thread(name), durability="exit")
    graph.update_state(thread(name), {"often": Overwrite(["over"])}, as_node="work")
    graph.invoke(None, thread(name), durability="sync")
    middle = list(graph.get_state_history(thread(name)))[9]
    fork = graph.update_state(middle.config, {"often": ["fork"]}, as_node="work")
    graph.invoke(None, {**thread(name), **fork}, durability="sync")


async def atalk(graph: CompiledStateGraph[State], name: str) -> None:
    """The same, on the event loop."""
    await graph.ainvoke({"turns": 0, "wanted": 4, "often": ["first"]}, thread(name), durability="sync")
    await graph.ainvoke({"turns": 0, "wanted": 3, "rarely": ["second"]}, thread(name), durability="exit")
    await graph.aupdate_state(thread(name), {"often": Overwrite(["over"])}, as_node="work")
    await graph.ainvoke(None, thread(name), durability="sync")
    middle = [state async for state in graph.aget_state_history(thread(name))][9]
    fork = await graph.aupdate_state(middle.config, {"often": ["fork"]}, as_node="work")
    await graph.ainvoke(None, {**thread(name), **fork}, durability="sync")


def test_all_states_of_a_thread_are_those_of_the_memory_saver(saver: DaprSaver) -> None:
    native = build(InMemorySaver())
    talk(native, "delta")
    wanted = states_of(native, "delta")

    talk(build(saver), "delta")

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert states_of(build(fresh), "delta") == wanted
    assert len(wanted) == 18


async def test_on_the_event_loop_they_are_too(saver: DaprSaver) -> None:
    native = build(InMemorySaver())
    await atalk(native, "adelta")
    wanted = await astates_of(native, "adelta")

    await atalk(build(saver), "adelta")

    with DaprSaver(saver.store.name, address=saver.store.address) as fresh:
        assert await astates_of(build(fresh), "adelta") == wanted


async def test_the_history_of_a_channel_is_what_langgraphs_own_walk_finds(saver: DaprSaver) -> None:
    graph = build(saver)
    talk(graph, "walk")
    channels = ["often", "rarely", "never", "turns"]

    for state in graph.get_state_history(thread("walk")):
        wanted = BaseCheckpointSaver.get_delta_channel_history(saver, config=state.config, channels=channels)
        assert saver.get_delta_channel_history(config=state.config, channels=channels) == wanted
        assert await saver.aget_delta_channel_history(config=state.config, channels=channels) == wanted


async def test_a_checkpoint_that_does_not_exist_has_an_empty_history(saver: DaprSaver) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": "nobody", "checkpoint_ns": "", "checkpoint_id": "1"}}

    assert saver.get_delta_channel_history(config=config, channels=["a"]) == {"a": {"writes": []}}
    assert await saver.aget_delta_channel_history(config=config, channels=[]) == {}


def test_a_value_that_a_checkpoint_names_and_that_was_never_stored_does_not_end_the_walk(saver: DaprSaver) -> None:
    config: RunnableConfig = {"configurable": {"thread_id": "hollow", "checkpoint_ns": ""}}
    for number in range(3):
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"], checkpoint["channel_versions"] = {"a": number}, {"a": f"{number}.0"}
        # Only the first put says that the value is new.
        config = saver.put(config, checkpoint, {}, {"a": "0.0"} if number == 0 else {})
        saver.put_writes(config, [("a", f"write {number}")], f"task {number}")

    (history,) = saver.get_delta_channel_history(config=config, channels=["a"]).values()

    assert history.get("seed") == 0
    assert [value for _, _, value in history["writes"]] == ["write 0", "write 1"]


def grow(saver: DaprSaver, name: str, turns: int) -> None:
    graph = StateGraph(State)
    graph.add_node("turn", lambda state: {"turns": state["turns"] + 1, "rarely": [str(state["turns"])]})
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", lambda state: "turn" if state["turns"] < turns else END)
    graph.compile(checkpointer=saver).invoke({"turns": 0}, thread(name), durability="sync")


@pytest.mark.parametrize(("turns", "reads"), [(10, 3), (60, 3), (180, 6)])
def test_a_long_way_back_is_read_a_page_at_a_time(
    turns: int, reads: int, stores_sidecar: Sidecar, count_calls: Callable[[], CallCounter]
) -> None:
    name = f"pages-{turns}"
    with DaprSaver(SQLITE, address=stores_sidecar.address) as saver:
        grow(saver, name, turns)
    with DaprSaver(SQLITE, address=stores_sidecar.address, cache_bytes=0) as fresh:
        config = fresh.get_tuple(thread(name)).config  # pyright: ignore[reportOptionalMemberAccess]
        counter = count_calls()

        history = fresh.get_delta_channel_history(config=config, channels=["rarely"])

    assert [value for _, _, value in history["rarely"]["writes"]] == [[str(number)] for number in range(turns)]
    assert counter.new_calls()["GetBulkState"] == reads


def test_side_by_side_readers_find_the_same(saver: DaprSaver) -> None:
    graph = build(saver)
    talk(graph, "beside")

    async def read_all() -> list[Any]:
        return await asyncio.gather(*(astates_of(graph, "beside") for _ in range(4)))

    first, *others = asyncio.run(read_all())
    assert all(each == first for each in others)
