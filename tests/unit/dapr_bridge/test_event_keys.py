"""What LangGraph streams is named the same by two attempts of one run; rests on the order in which it streams."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge._event_keys import EventKeys, StreamedEvent
from dapr_bridge._pending import PendingTasks

pytestmark = pytest.mark.anyio

MODES: Any = ["values", "updates", "custom", "tasks", "checkpoints", "debug"]
MOVED = "LangGraph streams in another order than EventKeys relies on: see the module's docstring"
THREAD: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


def build(saver: InMemorySaver, broken: set[int]) -> Any:
    """Three Sends, of which some fail, then a subgraph."""

    async def work(sent: dict[str, int]) -> State:
        get_stream_writer()(f"work-{sent['number']}")
        if sent["number"] in broken:
            raise RuntimeError("broken")
        return {"words": [f"work-{sent['number']}"]}

    async def deep(_: State) -> State:
        get_stream_writer()("deep")
        return {"words": ["deep"]}

    inner = StateGraph(State)
    inner.add_node("deep", deep)
    inner.add_edge(START, "deep")
    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_node("inner", inner.compile())
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "inner")
    return graph.compile(checkpointer=saver)


async def attempt(graph: Any, saver: InMemorySaver, given: Any, number: int) -> list[StreamedEvent]:
    """Run once; returns the events with their names."""

    async def pending(namespace: tuple[str, ...], checkpoint_id: str) -> PendingTasks:
        place = {"thread_id": "t", "checkpoint_ns": "|".join(namespace), "checkpoint_id": checkpoint_id}
        return PendingTasks.on(await saver.aget_tuple({"configurable": place}))

    keys, named = EventKeys(JsonPlusSerializer(), attempt=number, pending=pending), []
    try:
        async for namespace, mode, payload in graph.astream(
            given, THREAD, stream_mode=MODES, subgraphs=True, durability="sync"
        ):
            named += await keys.name(namespace, mode, payload)
    except RuntimeError:
        pass
    return named + keys.rest()


def subjects(events: list[StreamedEvent], mode: str) -> list[str]:
    return [event.key.split("|")[2] for event in events if event.mode == mode]


async def test_updates_are_named_by_their_tasks_and_values_by_their_checkpoints() -> None:
    saver = InMemorySaver()

    events = await attempt(build(saver, set()), saver, {"words": ["in"]}, 1)

    results = [event.payload["id"] for event in events if event.mode == "tasks" and "result" in event.payload]
    checkpoints = [_checkpoint_id(event.payload) for event in events if event.mode == "checkpoints"]
    assert sorted(subjects(events, "updates")) == sorted(results), MOVED
    assert set(subjects(events, "values")) < set(checkpoints), MOVED
    assert len({event.key for event in events}) == len(events)


async def test_two_attempts_name_each_thing_alike_and_the_whole_is_told_once() -> None:
    whole_saver, saver, broken = InMemorySaver(), InMemorySaver(), {1}
    whole = await attempt(build(whole_saver, set()), whole_saver, {"words": ["in"]}, 1)
    graph = build(saver, broken)

    first = await attempt(graph, saver, {"words": ["in"]}, 1)
    broken.clear()
    second = await attempt(graph, saver, None, 2)
    told: Mapping[str, StreamedEvent] = {event.key: event for event in reversed([*first, *second])}

    assert len(told) < len(first) + len(second)
    for mode in ("values", "checkpoints", "updates"):
        assert len([event for event in told.values() if event.mode == mode]) == len(subjects(whole, mode)), MOVED
    assert sorted(_words(told.values())) == sorted(_words(whole)), MOVED


TASK = {"id": "f", "name": "fragile"}
BEGINS: Any = [
    ("checkpoints", {"config": {"configurable": {"checkpoint_id": "c"}}, "tasks": [TASK]}),
    ("tasks", {**TASK, "input": {}}),
]


async def test_what_a_handler_wrote_is_named_alike_when_it_ends_and_when_its_superstep_does() -> None:
    written = {"words": ["comfort"]}
    ends: Any = [
        ("tasks", {**TASK, "error": ValueError("broken"), "result": {}}),
        ("updates", {"comfort": written}),
        ("tasks", {"id": "h", "name": "comfort", "error": None, "result": written}),
    ]
    again: Any = [("updates", {"fragile": written, "__metadata__": {"cached": True}})]

    first = [each for each in await _named([*BEGINS, *ends]) if each.mode == "updates"]
    second = [each for each in await _named([*BEGINS, *again]) if each.mode == "updates"]

    assert [each.key for each in first] == [each.key for each in second]
    assert second[0].payload == {"comfort": written, "__metadata__": {"cached": True}}


@pytest.mark.parametrize(("number", "shown"), [(1, 1), (2, 0)], ids=["of a call that goes on", "after a kill"])
async def test_values_before_the_input_are_shown_only_to_a_caller_who_goes_on_there(number: int, shown: int) -> None:
    saver = InMemorySaver()
    graph = build(saver, set())
    # What a kill leaves behind that comes before the first superstep.
    stopped = graph.astream({"words": ["in"]}, THREAD, stream_mode="checkpoints", durability="sync")
    await anext(stopped)
    await stopped.aclose()

    events = await attempt(graph, saver, None, number)

    words = [event.payload["words"] for event in events if event.mode == "values" and not event.namespace]
    assert words.count([]) == shown, MOVED
    assert words.count(["in"]) == 1


async def _named(events: Any) -> list[StreamedEvent]:
    async def pending(_: tuple[str, ...], __: str) -> PendingTasks:
        return PendingTasks(finished=frozenset({"f"}), handled=frozenset({"f"}))

    keys = EventKeys(JsonPlusSerializer(), attempt=1, pending=pending, handlers={"fragile": "comfort"})
    return [each for mode, payload in events for each in await keys.name((), mode, payload)]


def _words(events: Any) -> list[str]:
    return [repr(event.payload.get("work")) for event in events if event.mode == "updates" and not event.namespace]


def _checkpoint_id(payload: Mapping[str, Any]) -> str:
    return payload["config"]["configurable"]["checkpoint_id"]


async def test_what_a_task_of_an_entrypoint_writes_is_named_after_what_runs_around_it() -> None:
    async def nothing_pending(_namespace: tuple[str, ...], _checkpoint_id: str) -> PendingTasks:
        return PendingTasks()

    checkpoint = {"config": {"configurable": {"checkpoint_id": "c"}}, "tasks": [{"name": "whole", "id": "w"}]}
    names: list[str] = []
    for number in (1, 2):
        keys = EventKeys(JsonPlusSerializer(), attempt=number, pending=nothing_pending)
        await keys.name((), "checkpoints", checkpoint)
        names += [event.key for event in await keys.name(("whole:w",), "custom", "from the task")]

    assert len(names) == 2
    assert names[0] == names[1]
