"""A subgraph saves a superstep when all that it has streamed of it is dealt with."""

from __future__ import annotations

import asyncio
import operator
from contextlib import aclosing
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import StreamMode, interrupt

from dapr_bridge._backlog import streamed
from dapr_bridge._saver_view import SaverView

pytestmark = pytest.mark.anyio

MODES: list[StreamMode] = ["values", "updates", "custom", "tasks", "checkpoints"]
MOVED = "LangGraph hands its events on later than `_backlog` relies on: see `_TURNS_FOR_AN_EVENT`"
THREAD: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


class NotingSaver(InMemorySaver):
    """Notes how far a subgraph was when it saved a checkpoint, among what was seen of it."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self._seen = seen

    async def aput(self, *arguments: Any) -> Any:
        config, _, metadata, _ = arguments
        if config["configurable"]["checkpoint_ns"]:
            self._seen.append(f"saved {metadata['step']}")
        return await super().aput(*arguments)


def build(saver: InMemorySaver) -> Any:
    """A subgraph of three nodes that take no time at all."""

    def node(name: str) -> Any:
        async def say(_: State) -> State:
            get_stream_writer()(name)
            return {"words": [name]}

        return say

    names = ("one", "two", "three")
    inner = StateGraph(State)
    for name in names:
        inner.add_node(name, node(name))
    for before, after in zip((START, *names), names, strict=False):
        inner.add_edge(before, after)
    graph = StateGraph(State).add_node("inner", inner.compile()).add_edge(START, "inner")
    return graph.compile(checkpointer=SaverView(saver))


@pytest.mark.parametrize("seconds", [0, 0.01], ids=["at once", "slowly"])
async def test_what_a_subgraph_has_streamed_of_a_superstep_is_taken_before_that_is_saved(seconds: float) -> None:
    seen: list[str] = []

    async with aclosing(
        streamed(build(NotingSaver(seen)), {"words": []}, THREAD, modes=MODES, subgraphs=True)
    ) as events:
        async for namespace, mode, payload in events:
            await asyncio.sleep(seconds)
            if namespace and mode in ("updates", "custom"):
                seen.append(f"{mode} {payload if mode == 'custom' else next(iter(payload))}")

    wanted = ["saved -1", "saved 0"]
    for step, name in enumerate(("one", "two", "three"), start=1):
        wanted += [f"custom {name}", f"updates {name}", f"saved {step}"]
    assert seen == wanted, MOVED


async def test_a_subgraph_on_a_loop_of_its_node_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dapr_bridge._backlog._PATIENCE_SECONDS", 60)
    saver = InMemorySaver()
    inner = StateGraph(State).add_node("deep", lambda _: {"words": ["deep"]}).add_edge(START, "deep").compile()

    def calls(_: State) -> State:
        return {"words": asyncio.run(inner.ainvoke({"words": []}))["words"]}

    graph = StateGraph(State).add_node("inner", inner).add_node("calls", calls).add_edge(START, "inner")
    run = graph.add_edge("inner", "calls").compile(checkpointer=SaverView(saver))
    async with asyncio.timeout(30):
        values = [
            payload
            async for namespace, mode, payload in streamed(run, {"words": []}, THREAD, modes=MODES, subgraphs=True)
            if mode == "values" and not namespace
        ]

    assert values[-1] == {"words": ["deep", "deep"]}


async def test_a_subgraph_whose_events_nobody_takes_goes_on_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dapr_bridge._backlog._PATIENCE_SECONDS", 0.01)
    seen: list[str] = []

    async with aclosing(
        streamed(build(NotingSaver(seen)), {"words": []}, THREAD, modes=MODES, subgraphs=True)
    ) as events:
        async for namespace, _, __ in events:
            if namespace:
                await asyncio.sleep(0.3)
                break
        assert seen[-1] == "saved 3"


@pytest.mark.parametrize("subgraphs", [False, True])
async def test_what_a_task_of_an_entrypoint_writes_has_the_namespace_that_langgraph_tells(subgraphs: bool) -> None:
    @task
    async def work() -> None:
        get_stream_writer()("from the task")

    @entrypoint(checkpointer=SaverView(InMemorySaver()))
    async def whole(_: str) -> None:
        await work()

    native = whole.astream("in", THREAD, stream_mode="custom", subgraphs=subgraphs, version="v2")
    [wanted] = [part["ns"] async for part in native]

    chunks = streamed(whole, "in", THREAD, modes=["custom"], subgraphs=subgraphs)
    [(namespace, _, payload)] = [chunk async for chunk in chunks]

    assert payload == "from the task"
    assert [each.partition(":")[0] for each in namespace] == [each.partition(":")[0] for each in wanted] == ["whole"]


async def test_questions_are_told_among_the_values() -> None:
    async def ask(_: State) -> State:
        return {"words": [interrupt("now?")]}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask")
    compiled = graph.compile(checkpointer=SaverView(InMemorySaver()))
    wanted = [each async for each in compiled.astream({"words": []}, THREAD, stream_mode=["values", "updates"])]
    elsewhere: Any = {"configurable": {"thread_id": "elsewhere"}}

    chunks = streamed(compiled, {"words": []}, elsewhere, modes=["values", "updates"], subgraphs=False)
    heard = [(mode, payload) async for _, mode, payload in chunks]

    assert [(mode, list(payload)) for mode, payload in heard] == [(mode, list(payload)) for mode, payload in wanted]
    [asked] = [payload["__interrupt__"] for mode, payload in heard if mode == "values" and "__interrupt__" in payload]
    assert [each.value for each in asked] == ["now?"]
