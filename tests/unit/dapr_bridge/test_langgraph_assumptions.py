"""What the bridge relies on in LangGraph and LangGraph does not promise: each test says what broke."""

from __future__ import annotations

import copy
import operator
import weakref
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, cast

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph._internal import _config, _constants
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.graph import START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.pregel import Pregel, _task_status
from langgraph.types import Interrupt, RetryPolicy, Send, interrupt

from dapr_bridge import _langgraph
from dapr_bridge._fan_out import FanOut
from dapr_bridge._langgraph import (
    NO_WRITES,
    Called,
    StepMade,
    bound_with,
    call_anew,
    called_by,
    called_with,
    going_on,
    idle_send,
    is_hidden,
    listening,
    nodes_with_idle,
    outer_of,
    path_of,
    resuming,
)
from dapr_bridge._pending import PendingTasks
from dapr_bridge._saver_view import SaverView
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


def test_a_call_has_what_is_given_and_no_limit_of_langgraphs_own() -> None:
    bound: RunnableConfig = {"tags": ["b", "a"], "configurable": {"thread_id": "t"}}

    called = called_with(bound, {"tags": ["a"], "configurable": {"more": 1}})

    assert type(_config.DEFAULT_RECURSION_LIMIT) is not int, "LangGraph's default limit is told from no other number"
    assert "recursion_limit" not in called, "LangGraph's default limit would override that of the worker's graph"
    assert called.get("tags") == ["b", "a", "a"]
    assert called.get("configurable") == {"thread_id": "t", "more": 1}
    assert called_with({"recursion_limit": 25}).get("recursion_limit") == 25, "LangChain's default is no limit"
    assert bound_with({"recursion_limit": 100}, {"recursion_limit": 25}).get("recursion_limit") == 25


async def test_a_task_is_known_by_its_config_in_each_of_its_attempts() -> None:
    seen: list[Any] = []

    async def node(_: State) -> State:
        seen.append(_langgraph.task_around(called_with(None)))
        if len(seen) == 1:
            raise ConnectionError
        return {}

    graph = StateGraph(State)
    graph.add_node("node", node, retry_policy=RetryPolicy(initial_interval=0.01, jitter=False))
    graph.add_edge(START, "node")
    await graph.compile(checkpointer=InMemorySaver()).ainvoke({"words": []}, THREAD)

    first, second = seen
    assert [first.attempt, second.attempt] == [1, 2], "a node's attempts are no longer told apart"
    assert first.mark is second.mark, "the attempts at one task no longer have anything in common"
    assert weakref.ref(first.mark)() is first.mark
    assert first.namespace.startswith("node:")
    assert _langgraph.task_around(called_with(THREAD)) is None


def after_steps(graph: Graph, made: int) -> Graph:
    """Return a graph whose next call finds that so many steps are made."""

    class View(SaverView):
        def shown(self, found: CheckpointTuple) -> CheckpointTuple:
            return going_on(found, made=made)

    return graph.copy({"checkpointer": View(cast("InMemorySaver", graph.checkpointer))})


async def test_a_used_up_recursion_limit_leaves_no_further_superstep() -> None:
    graph = chain("a", "b", "c", "d").compile(checkpointer=InMemorySaver())
    await stopped_before(graph, "b", {"words": []})

    with pytest.raises(GraphRecursionError, match="limit of 25 reached"):
        await after_steps(graph, 26).ainvoke(None, {**THREAD, "recursion_limit": 25})

    assert (await graph.aget_state(THREAD)).values["words"] == ["a", "b"], (
        "a limit of n no longer allows n + 2 supersteps"
    )


def test_a_step_may_be_copied() -> None:
    step = StepMade(9, made=4)

    for copied in (copy.copy(step), copy.deepcopy(step)):
        assert type(copied) is int
        assert copied + 1 == 10


@pytest.mark.parametrize("limit", [7, 25, None])
async def test_of_a_recursion_limit_a_loop_that_goes_on_gets_the_rest_and_those_in_it_all(limit: int | None) -> None:
    class Counted(State, total=False):
        left_over: RemainingSteps

    async def note(state: Counted) -> State:
        return {"words": [str(state["left_over"])]}  # pyright: ignore[reportTypedDictNotRequiredAccess]

    inner = StateGraph(Counted).add_node("note", note).add_edge(START, "note").compile()
    outer = StateGraph(Counted).add_node("note", note).add_node("inner", inner).add_edge(START, "note")
    graph = outer.add_edge("note", "inner").compile(checkpointer=InMemorySaver())

    async def noted(thread_id: str, made: int) -> list[int]:
        given: Any = {"configurable": {"thread_id": thread_id}, **({"recursion_limit": limit} if limit else {})}
        await graph.aupdate_state(given, {"words": []}, as_node=START)
        return [int(each) for each in (await after_steps(graph, made).ainvoke(None, given))["words"]]

    own, _, *of_inner = await noted("whole", 0)

    assert await noted("in part", 3) == [own - 3, own - 3, *of_inner], (
        "loops no longer add one to the step of the checkpoint that they find, and then, once, their limit"
    )


async def test_a_checkpoint_that_follows_a_step_is_as_any_other() -> None:
    graph = chain("a", "b", "c").compile(checkpointer=InMemorySaver())
    await stopped_before(graph, "b", {"words": []})

    await after_steps(graph, 2).ainvoke(None, THREAD)

    steps = [each.metadata["step"] async for each in graph.aget_state_history(THREAD) if each.metadata]
    assert steps == [3, 2, 1, 0, -1]


@pytest.mark.parametrize("is_called_anew", [False, True])
async def test_a_subgraph_reads_whether_it_goes_on_after_its_checkpoint(is_called_anew: bool) -> None:
    class Reads:
        def read(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
            return saver.get_tuple(config)

        async def aread(self, saver: BaseCheckpointSaver[Any], config: RunnableConfig) -> CheckpointTuple | None:
            if is_called_anew:
                call_anew(config)
            return await saver.aget_tuple(config)

    inner = chain("said").compile(checkpointer=True)
    graph = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=InMemorySaver())
    await graph.ainvoke({"words": ["in"]}, THREAD)
    await stopped_before(graph, "inner", {"words": ["again"]})
    view = SaverView(cast("InMemorySaver", graph.checkpointer), nested=Reads())

    output = await graph.copy({"checkpointer": view}).ainvoke(None, THREAD)

    went_on = ["in", "in", "said", "again", "in", "said"]
    took_input = ["in", "in", "said", "again", "in", "said", "in", "in", "said", "again", "said"]
    assert output["words"] == (took_input if is_called_anew else went_on), (
        "it is no longer the config that a subgraph reads its checkpoint with that says whether it goes on"
    )


def test_further_subgraphs_of_a_task_are_in_the_same_graph() -> None:
    assert [outer_of(each) for each in ("a:1", "a:1|2", "a:1|b:2", "a:1|b:2|1")] == ["", "", "a:1", "a:1"]


async def test_a_subgraph_is_known_by_its_namespace() -> None:
    seen: list[str] = []

    async def look(_: State, config: RunnableConfig) -> State:
        seen.append(config.get("configurable", {})["checkpoint_ns"])
        return {"words": ["looked"]}

    innermost = StateGraph(State).add_node("look", look).add_edge(START, "look").compile()
    inner = StateGraph(State).add_node("innermost", innermost).add_edge(START, "innermost").compile()
    graph = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile(checkpointer=InMemorySaver())
    await graph.ainvoke({"words": []}, THREAD)

    (path,) = {path_of(each.rpartition("|")[0]) for each in seen}
    assert [found for found, _ in graph.get_subgraphs(namespace=path, recurse=True)] == ["inner|innermost"]


def test_a_breakpoint_at_every_node_is_not_meant_for_langgraphs_own() -> None:
    graph = chain("a").compile()

    assert is_hidden(graph, START)
    assert not is_hidden(graph, "a")


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


@pytest.mark.parametrize("subgraphs", [False, True])
async def test_who_listens_to_the_root_alone_hears_of_a_subgraph_what_is_asked_for(subgraphs: bool) -> None:
    def write(_: State) -> None:
        get_stream_writer()("from within")

    inner = StateGraph(State).add_node("write", write).add_edge(START, "write").compile()
    graph = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()
    options: dict[str, Any] = {"stream_mode": "custom", "subgraphs": subgraphs}
    native = [event async for event in graph.astream({"words": []}, **options)]
    view = SaverView(InMemorySaver())

    control = FanOut(lambda _: False)
    heard = [
        event
        async for event in graph.copy({"checkpointer": view}).astream(
            {"words": []}, listening(THREAD, control.stream), control=control, **options
        )
    ]

    assert len(heard) == len(native) == int(subgraphs), (
        "it is no longer the config that a loop reads its checkpoint with that its subgraphs get"
    )


async def test_a_copy_of_a_graph_streams_dictionaries_whatever_its_state() -> None:
    @dataclass
    class Typed:
        number: int = 1

    typed = StateGraph(Typed).add_node("nothing", lambda _: None).add_edge(START, "nothing").compile()
    graph = typed.copy({"checkpointer": InMemorySaver()})

    values = [part["data"] async for part in graph.astream({"number": 2}, THREAD, stream_mode="values", version="v2")]

    assert values == [{"number": 2}], "a worker's stream has the state's own type: `_backlog` has to tell dictionaries"
