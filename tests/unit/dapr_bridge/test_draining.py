"""Runs that are drained in unit `task` stop where LangGraph's own stop, and go on from there."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl, Runtime
from langgraph.types import Send, StateSnapshot, interrupt

from tests.kit.stepping import THREAD, Drive

pytestmark = pytest.mark.anyio

Graph = Pregel[Any, Any, Any, Any]


class State(TypedDict, total=False):
    """Words, in the order in which LangGraph applies them."""

    words: Annotated[list[str], operator.add]


def say(word: str) -> Callable[[State], State]:
    return lambda _: {"words": [word]}


def drain(_: State, runtime: Runtime) -> State:
    assert runtime.control is not None
    runtime.control.request_drain("shift ends")
    return {"words": ["drain"]}


def ask(_: State) -> State:
    return {"words": [interrupt("well?")]}


def chain() -> StateGraph[State]:
    graph = StateGraph(State).add_node("drain", drain).add_node("after", say("after"))
    return graph.add_edge(START, "drain").add_edge("drain", "after")


def in_a_chain() -> Graph:
    return chain().compile()


def in_a_fan_out() -> Graph:
    graph = StateGraph(State).add_node("drain", drain).add_node("beside", say("beside")).add_node("join", say("join"))
    return graph.add_edge(START, "drain").add_edge(START, "beside").add_edge(["drain", "beside"], "join").compile()


def before_a_fan_out() -> Graph:
    graph = StateGraph(State).add_node("drain", drain).add_node("work", say("work"))
    return graph.add_edge(START, "drain").add_conditional_edges("drain", lambda _: [Send("work", {})] * 3).compile()


def in_a_subgraph() -> Graph:
    graph = StateGraph(State).add_node("child", chain().compile()).add_node("join", say("join"))
    return graph.add_edge(START, "child").add_edge("child", "join").compile()


def in_a_subgraph_beside_a_node() -> Graph:
    graph = StateGraph(State).add_node("child", chain().compile()).add_node("beside", say("beside"))
    return graph.add_edge(START, "child").add_edge(START, "beside").compile()


def in_the_last_superstep() -> Graph:
    return StateGraph(State).add_node("drain", drain).add_edge(START, "drain").compile()


def in_front_of_a_breakpoint() -> Graph:
    return chain().compile(interrupt_before=["after"])


def beside_a_question() -> Graph:
    return (
        StateGraph(State)
        .add_node("drain", drain)
        .add_node("ask", ask)
        .add_edge(START, "drain")
        .add_edge(START, "ask")
        .compile()
    )


GRAPHS = (
    in_a_chain,
    in_a_fan_out,
    before_a_fan_out,
    in_a_subgraph,
    in_a_subgraph_beside_a_node,
    in_the_last_superstep,
    in_front_of_a_breakpoint,
    beside_a_question,
)


async def seen(graph: Graph, call: Callable[[Any], Any], renew: Callable[[], None]) -> list[Any]:
    """Return how two calls end, and where the thread stands after each."""
    ends: list[Any] = []
    for value in ({"words": ["in"]}, None):
        try:
            ends.append(await call(value))
        except GraphDrained as drained:
            ends.append(drained.reason)
        ends.append(_told(await graph.aget_state(THREAD, subgraphs=True)))
        renew()
    return ends


def _told(state: StateSnapshot | None) -> Any:
    if state is None:
        return None
    inner = [_told(each.state) for each in state.tasks if isinstance(each.state, StateSnapshot)]
    return state.values, state.next, [each.value for each in state.interrupts], inner


@pytest.mark.parametrize("build", GRAPHS)
async def test_a_run_that_a_node_drains_stops_where_langgraphs_own_does(build: Callable[[], Graph]) -> None:
    plain = build().copy({"checkpointer": InMemorySaver()})
    native = await seen(plain, lambda value: plain.ainvoke(value, THREAD, durability="sync"), lambda: None)
    drive = Drive(build())

    def renew() -> None:
        drive.control = RunControl()

    driven = await seen(drive.graph, drive.invoke, renew)

    assert [without_questions(each) for each in driven] == [without_questions(each) for each in native]


def without_questions(end: Any) -> Any:
    """Leave out of an output what it asks: a driver has it beside the output."""
    return {name: each for name, each in end.items() if name != "__interrupt__"} if isinstance(end, dict) else end


def alone() -> Graph:
    return StateGraph(State).add_node("a", say("a")).add_edge(START, "a").compile()


def two_at_once() -> Graph:
    graph = StateGraph(State).add_node("a", say("a")).add_node("b", say("b"))
    return graph.add_edge(START, "a").add_edge(START, "b").compile()


@pytest.mark.parametrize("build", [alone, two_at_once])
async def test_a_run_that_is_drained_from_the_start_keeps_its_input_and_runs_nothing(
    build: Callable[[], Graph],
) -> None:
    plain, drained = build().copy({"checkpointer": InMemorySaver()}), RunControl()
    drained.request_drain("no time")
    with pytest.raises(GraphDrained):
        await plain.ainvoke({"words": ["in"]}, THREAD, control=drained)
    drive = Drive(build())
    drive.control.request_drain("no time")

    with pytest.raises(GraphDrained, match="no time"):
        await drive.invoke({"words": ["in"]})
    stopped = await drive.graph.aget_state(THREAD)
    drive.control = RunControl()

    assert _told(stopped) == _told(await plain.aget_state(THREAD))
    assert await drive.invoke(None) == await plain.ainvoke(None, THREAD)


async def test_a_superstep_whose_tasks_run_apart_is_ended_before_its_run_stops() -> None:
    drive = Drive(in_a_fan_out_of_words())
    plan = await drive.begin({"words": ["in"]})
    drive.control.request_drain("no time")

    ends = [await drive.run(task, plan) for task in plan.tasks]
    with pytest.raises(GraphDrained, match="no time"):
        await drive.go_on(plan)
    stopped = await drive.graph.aget_state(THREAD)

    assert ends == ["saved", "saved"]
    assert (stopped.values, stopped.next) == ({"words": ["in", "a", "b"]}, ("join",))


async def test_a_graph_that_a_node_calls_under_a_control_of_its_own_drains_the_run_around_it() -> None:
    own = RunControl()
    own.request_drain("inner shift ends")
    inner = StateGraph(State).add_node("say", say("said")).add_edge(START, "say").compile()

    async def call(state: State) -> State:
        return await inner.ainvoke(state, control=own)

    graph = StateGraph(State).add_node("call", call).add_node("beside", say("beside"))
    drive = Drive(graph.add_edge(START, "call").add_edge(START, "beside").compile())

    with pytest.raises(GraphDrained, match="inner shift ends"):
        await drive.invoke({"words": ["in"]})
    stopped = await drive.graph.aget_state(THREAD)

    assert stopped.next == ("call",)
    assert stopped.values == {"words": ["in", "beside"]}


def in_a_fan_out_of_words() -> Graph:
    graph = StateGraph(State).add_node("a", say("a")).add_node("b", say("b")).add_node("join", say("join"))
    return graph.add_edge(START, "a").add_edge(START, "b").add_edge(["a", "b"], "join").compile()
