"""What the bridge relies on in LangGraph and LangGraph does not promise: each test says what broke."""

from __future__ import annotations

import copy
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph._internal import _config, _constants
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph import START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.pregel import Pregel, _task_status
from langgraph.types import Interrupt, Send, interrupt

from dapr_bridge import _langgraph
from dapr_bridge._fan_out import FanOut
from dapr_bridge._langgraph import (
    NO_WRITES,
    Called,
    StepsLeft,
    called_by,
    idle_send,
    listening,
    nodes_with_idle,
    resuming,
)
from dapr_bridge._pending import PendingTasks
from tests.kit.stepping import THREAD

pytestmark = pytest.mark.anyio

Graph = Pregel[Any, Any, Any, Any]


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


def saying(word: str) -> Any:
    def say(_: State) -> State:
        return {"words": [word]}

    return say


def chain(*nodes: str) -> StateGraph[State]:
    graph = StateGraph(State)
    for name in nodes:
        graph.add_node(name, saying(name))
    for before, after in zip((START, *nodes), nodes, strict=False):
        graph.add_edge(before, after)
    return graph


def fork() -> Graph:
    graph = StateGraph(State)
    for name in ("left", "right"):
        graph.add_node(name, saying(name))
        graph.add_edge(START, name)
    return graph.compile(checkpointer=InMemorySaver())


async def stopped_before(graph: Graph, node: str, value: Any) -> list[dict[str, Any]]:
    """Run until `node` is announced, and return its superstep's tasks."""
    seen: list[Any] = []

    def decide(announced: Any) -> bool:
        seen[:] = announced["tasks"]
        return node in announced["next"]

    control = FanOut(decide)
    with pytest.raises(GraphDrained):
        await graph.ainvoke(value, listening(THREAD, control.stream), control=control, durability="sync")
    return seen


async def test_the_loop_announces_its_tasks_and_asks_its_control_before_it_runs_them() -> None:
    graph = chain("a", "b", "c").compile(checkpointer=InMemorySaver())

    tasks = await stopped_before(graph, "b", {"words": []})

    assert [task["name"] for task in tasks] == ["b"], "`checkpoints` events no longer come before the question to drain"
    assert (await graph.aget_state(THREAD)).values == {"words": ["a"]}, "a drained run no longer keeps what it has done"
    assert await graph.ainvoke(None, THREAD) == {"words": ["a", "b", "c"]}, "a drained run no longer goes on with None"


async def test_a_subgraph_asks_the_same_control_and_is_not_stopped_by_what_is_decided_on_the_root() -> None:
    outer = StateGraph(State)
    outer.add_node("inner", chain("x", "y").compile())
    outer.add_node("last", saying("last"))
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "last")

    graph = outer.compile(checkpointer=InMemorySaver())
    await stopped_before(graph, "last", {"words": []})

    assert (await graph.aget_state(THREAD)).values == {"words": ["x", "y"]}, "a subgraph is announced like the root"


async def test_a_task_with_a_write_to_no_channel_is_not_run_again() -> None:
    graph = fork()
    tasks = {task["name"]: task["id"] for task in await stopped_before(graph, "left", {"words": []})}
    config = (await graph.aget_state(THREAD)).config

    assert isinstance(graph.checkpointer, InMemorySaver)
    await graph.checkpointer.aput_writes(config, [(NO_WRITES, None)], tasks["left"])

    assert await graph.ainvoke(None, THREAD) == {"words": ["right"]}, f"{NO_WRITES!r} no longer marks a task as done"


async def test_a_task_has_the_same_id_each_time_its_superstep_is_planned() -> None:
    graph = fork()
    first = await stopped_before(graph, "left", {"words": []})

    again = await stopped_before(graph, "left", None)

    assert [task["id"] for task in first] == [task["id"] for task in again], "task ids are no longer stable"


async def test_a_failed_task_with_an_error_handler_is_marked_before_the_handler_runs() -> None:
    marked: list[bool] = []

    def fail(_: State) -> State:
        raise ValueError("as asked")

    def handle(_: State) -> State:
        assert isinstance(graph.checkpointer, InMemorySaver)
        head = graph.checkpointer.get_tuple(THREAD)
        writes = (head.pending_writes or []) if head else []
        marked.append(any(channel == _langgraph.ERROR_SOURCE for _, channel, _ in writes))
        return {"words": ["handled"]}

    graph = (
        StateGraph(State)
        .add_node("fail", fail, error_handler=handle)
        .add_edge(START, "fail")
        .compile(checkpointer=InMemorySaver())
    )
    updates = [each async for each in graph.astream({"words": []}, THREAD, stream_mode="updates", durability="sync")]

    assert marked == [True], "an error handler runs before its task's failure is saved"
    handler = _langgraph.error_handlers(graph)["fail"]
    assert updates == [{handler: {"words": ["handled"]}}], "an error handler's update is told under another name"


async def test_interrupt_ids_look_like_hashes_and_stand_in_the_writes_of_their_task() -> None:
    def ask(_: State) -> State:
        return {"words": [interrupt("well?")]}

    graph = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile(checkpointer=InMemorySaver())
    await graph.ainvoke({"words": []}, THREAD)
    assert isinstance(graph.checkpointer, InMemorySaver)

    (question,) = PendingTasks.on(await graph.checkpointer.aget_tuple(THREAD)).questions

    assert isinstance(question, Interrupt)
    assert len(question.id) == 32
    assert set(question.id) <= set("0123456789abcdef"), "interrupt ids are no longer 32 hexadecimal digits"


def test_the_names_of_channels_and_config_keys_are_langgraphs() -> None:
    names = _constants
    assert (NO_WRITES, _langgraph.INTERRUPT, _langgraph.ERROR, _langgraph.RESUME, _langgraph.ERROR_SOURCE) == (
        names.NO_WRITES,
        names.INTERRUPT,
        names.ERROR,
        names.RESUME,
        names.ERROR_SOURCE_NODE,
    )
    assert _langgraph.CONTROL - {"__scheduled__"} == _task_status.CONTROL_WRITES
    heard = listening({}, FanOut(lambda _: False).stream)["configurable"]
    assert set(heard) == {names.CONFIG_KEY_STREAM, names.CONFIG_KEY_RUNTIME}
    assert _langgraph.TASKS == names.TASKS
    assert set(resuming({}, is_resumed=True)["configurable"]) == {names.CONFIG_KEY_RESUMING}


async def test_an_idle_send_keeps_the_places_of_the_others_and_becomes_no_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class WithIdleSends(InMemorySaver):
        async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
            found = await super().aget_tuple(config)
            if found and _langgraph.TASKS in found.checkpoint["channel_values"]:
                sends = found.checkpoint["channel_values"][_langgraph.TASKS]
                found.checkpoint["channel_values"][_langgraph.TASKS] = [idle_send(), idle_send(), sends[2]]
            return found

    saver = WithIdleSends()
    graph = StateGraph(State).add_node("say", saying("said"))
    graph.add_conditional_edges(START, lambda _: [Send("say", None)] * 3, ["say"])
    bare = graph.compile(checkpointer=saver)
    compiled = bare.copy({"nodes": nodes_with_idle(bare)})
    all_tasks = await stopped_before(compiled, "say", {"words": []})

    one = await stopped_before(compiled, "say", None)

    assert len(all_tasks) == 3, "a Send is no longer a task"
    assert [task["id"] for task in one] == [all_tasks[2]["id"]], "ids of tasks no longer tell places among the Sends"
    assert not caplog.records, "LangGraph complains about Sends to a node without code"


def test_without_a_limit_langgraph_allows_as_many_supersteps_as_the_bridge() -> None:
    assert _langgraph.steps_allowed(fork(), {}) == int(_config.DEFAULT_RECURSION_LIMIT)


async def test_a_used_up_recursion_limit_is_taken_and_leaves_no_further_superstep() -> None:
    graph = chain("a", "b", "c", "d").compile(checkpointer=InMemorySaver())
    await stopped_before(graph, "b", {"words": []})

    with pytest.raises(GraphRecursionError, match="limit of 25 reached"):
        await graph.ainvoke(None, {**THREAD, "recursion_limit": StepsLeft(25, used=26)})

    assert (await graph.aget_state(THREAD)).values["words"] == ["a", "b"], (
        "a limit of n no longer allows n + 2 supersteps"
    )


def test_a_node_may_copy_its_config_with_a_limit_that_is_used_up_in_part() -> None:
    left = StepsLeft(9, used=4)

    for copied in (copy.copy(left), copy.deepcopy(left)):
        assert type(copied) is int
        assert 1 + copied == 10
    assert 1 + left == 6


@pytest.mark.parametrize("limit", [7, 25, 10_007])
async def test_of_a_limit_that_is_used_up_in_part_the_run_gets_the_rest_and_its_subgraphs_all(limit: int) -> None:
    class Counted(State, total=False):
        left_over: RemainingSteps

    async def note(state: Counted) -> State:
        return {"words": [str(state["left_over"])]}  # pyright: ignore[reportTypedDictNotRequiredAccess]

    inner = StateGraph(Counted).add_node("note", note).add_edge(START, "note").compile()
    outer = StateGraph(Counted).add_node("note", note).add_node("inner", inner).add_edge(START, "note")
    graph = outer.add_edge("note", "inner").compile(checkpointer=InMemorySaver())

    async def noted(thread_id: str, allowed: int) -> list[int]:
        given: Any = {"configurable": {"thread_id": thread_id}, "recursion_limit": allowed}
        return [int(each) for each in (await graph.ainvoke({"words": []}, given))["words"]]

    own, _, *of_inner = await noted("whole", limit)

    assert await noted("in part", StepsLeft(limit, used=3)) == [own - 3, own - 3, *of_inner], (
        "loops no longer add their limit to their step once, each its own, the run's first"
    )


async def test_a_graph_without_a_saver_runs_within_one_that_saves_each_superstep() -> None:
    _langgraph.mend_sync_durability()
    inner = chain("deep").compile(checkpointer=False)

    async def call(state: State) -> State:
        return await inner.ainvoke(state)

    def call_and_block(state: State) -> State:
        return inner.invoke(state)

    graph = StateGraph(State)
    for name, node in {"as node": inner, "called": call, "blocking": call_and_block}.items():
        graph.add_node(name, node)
        graph.add_edge(START, name)
    outer = graph.compile(checkpointer=InMemorySaver())

    ended = await outer.ainvoke({"words": ["in"]}, THREAD, durability="sync")

    said = ["in", "deep"]
    assert ended == {"words": ["in", *said * 3]}, (
        "LangGraph waits elsewhere for the checkpoints of a graph without a saver"
    )


async def test_the_channels_that_call_a_node_are_told_by_their_names() -> None:
    joined = chain("a", "b").add_node("c", saying("c")).add_edge(["a", "b"], "c").compile()

    called = {channel: called_by(channel, None) for channel in joined.channels}
    assert called["branch:to:b"] == Called(node="b", is_next=True), "LangGraph names the channel of an edge otherwise"
    assert called_by("join:a+b:c", {"a", "b"}) == Called(node="c", is_next=True)
    assert called_by("join:a+b:c", {"b"}) == Called(node="c", is_next=False)
    assert "join:a+b:c" in joined.channels, "LangGraph names the channel of a join otherwise"
    assert [each for each in joined.channels if called[each] is None] == [
        "words",
        "__start__",
        _constants.TASKS,
        "join:a+b:c",
    ], "LangGraph has other channels that may call a node"
    assert _langgraph.TASKS == _constants.TASKS, "LangGraph names the channel of its Sends otherwise"
