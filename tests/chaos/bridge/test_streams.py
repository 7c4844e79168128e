"""A stream is plain LangGraph's, though its worker is killed, cut off, or stopped and wakes up meanwhile."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge import DaprSaver, DurableGraph, Unit
from tests.chaos.bridge.moments import Hold, Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.worker import OTHER, UNITS, Hosted
from tests.chaos.bridge.worker import STORE as EXECUTION_STATE
from tests.kit.streamed_events import comparable
from tests.parity.shape import AnyGraph

EVENTS = "message-pubsub"
MODES = ["values", "updates", "tasks", "checkpoints"]

Blow = Literal["killed", "cut off", "stopped"]

pytestmark = [pytest.mark.chaos, pytest.mark.anyio, pytest.mark.timeout(180)]


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


def build() -> AnyGraph:
    """A node, a subgraph of two, two Sends at once, and a node after them."""

    def say(name: str) -> Any:
        async def node(_: State) -> State:
            return {"words": [name]}

        return node

    inside = StateGraph(State).add_node("deep", say("deep")).add_node("deeper", say("deeper"))
    inner = inside.add_edge(START, "deep").add_edge("deep", "deeper").compile()
    graph = StateGraph(State).add_node("first", say("first")).add_node("inner", inner)
    graph.add_node("sent", say("sent")).add_node("last", say("last"))
    graph.add_edge(START, "first").add_edge("first", "inner")
    graph.add_conditional_edges("inner", lambda _: [Send("sent", {}), Send("sent", {})], ["sent"])
    return graph.add_edge("sent", "last").compile()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage whose workers stream."""
    with Stage("sqlite", tmp_path_factory.mktemp("streams"), events=EVENTS) as built:
        built.wait_until_well()
        yield built


CASES: Sequence[tuple[Blow, Moment]] = [
    ("killed", Moment(kind="node deeper")),
    ("killed", Moment(kind="node last")),
    ("killed", Moment(kind="checkpoint", number=2, side="after")),
    ("killed", Moment(kind="checkpoint", number=3, side="after")),
    ("killed", Moment(kind="checkpoint", number=5, side="after")),
    ("cut off", Moment(kind="node deeper")),
    ("cut off", Moment(kind="checkpoint", number=4, side="after")),
    ("stopped", Moment(kind="node deep")),
    ("stopped", Moment(kind="checkpoint", side="after")),
]


@pytest.mark.parametrize(("blow", "moment"), CASES, ids=str)
@pytest.mark.parametrize("unit", UNITS)
async def test_a_stream_is_that_of_plain_langgraph(unit: Unit, blow: Blow, moment: Moment, stage: Stage) -> None:
    thread_id = f"{unit}{stage.next_number()}"
    config: Any = {"configurable": {"thread_id": thread_id}}
    options: Any = {"stream_mode": MODES, "subgraphs": True}
    native = build().copy({"checkpointer": InMemorySaver()})
    wanted = [each async for each in native.astream({"words": []}, config, durability="sync", **options)]
    stage.host(Hosted(build=build, unit=unit))
    stage.moments.follow(thread_id)
    hold, seen = stage.moments.hold_next(moment), list[Any]()
    async with (
        DaprSaver(EXECUTION_STATE, address=stage.sidecar.address) as saver,
        DurableGraph(build(), name=OTHER, saver=saver, address=stage.sidecar.address, events=EVENTS) as graph,
    ):

        async def watch() -> None:
            async for each in graph.astream({"words": []}, config, run_id=f"{thread_id}.1", **options):
                seen.append(each)

        watching = asyncio.create_task(watch())
        assert await asyncio.to_thread(stage.moments.wait_until_reached, hold, unless=watching.done, seconds=60)
        await strike(stage, blow, hold)
        await watching

    for mode in MODES:
        assert told(seen, mode) == told(wanted, mode)


async def strike(stage: Stage, blow: Blow, hold: Hold) -> None:
    """Do what is to be done to the worker that stands at a moment, and let it go when another one has had its time."""
    pid = stage.workers[0].pid
    if blow == "killed":
        await asyncio.to_thread(stage.kill, "worker")
    else:
        if blow == "stopped":
            os.kill(pid, signal.SIGSTOP)
        await asyncio.to_thread(stage.cut_off)
        await asyncio.sleep(0.6)
    stage.moments.release(hold, drop=blow == "killed")
    if blow == "stopped":
        os.kill(pid, signal.SIGCONT)


def told(events: Sequence[Any], mode: str) -> list[str]:
    """Return what a stream mode tells, in order; what tasks side by side tell is in no order."""
    found = [(bool(namespace), payload) for namespace, kind, payload in events if kind == mode]
    if mode in ("values", "checkpoints"):
        return [comparable((is_nested, _ordered(payload))) for is_nested, payload in found]
    # The end of a task that had saved its output is told as LangGraph does it: by an update, said to be from a cache.
    kept = [
        (is_nested, {key: each for key, each in payload.items() if key != "__metadata__"})
        for is_nested, payload in found
        if "result" not in payload
    ]
    return sorted(comparable(each) for each in kept)


def _ordered(value: Any) -> Any:
    """Return a checkpoint with its keys in one order: those that are read have another one than those just made."""
    if isinstance(value, dict):
        return {str(key): _ordered(value[key]) for key in sorted(value)}
    return value
