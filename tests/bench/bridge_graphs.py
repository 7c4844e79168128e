"""The graphs that the bridge is measured with, and their twins of plain Dapr activities."""

from __future__ import annotations

import operator
from collections.abc import Generator
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime, when_all
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from dapr_bridge import DaprSaver, call_graph

PLAIN_CHAIN, PLAIN_FAN, PLAIN_JOIN, _PLAIN = "bench_plain_chain", "bench_plain_fan", "bench_plain_join", "bench_plain"
LOOP_FAN, _LOOP = "bench_loop_fan", "bench_loop"
PLAIN_WAIT, GRAPH_WAIT, GO_ON, WAITING = "bench_plain_wait", "bench_graph_wait", "go_on", "waiting"


class State(TypedDict, total=False):
    """What changes in each superstep, how far to go, and ballast that stays as it is."""

    count: Annotated[int, operator.add]
    goal: int
    ballast: str


async def step(_: Any) -> State:
    """Do nothing, and say so."""
    return {"count": 1}


def spread(state: State) -> list[Send]:
    """Ask for as many tasks as the goal says."""
    return [Send("step", number) for number in range(state.get("goal", 0))]


def build_chain() -> Any:
    """One node that runs again and again, a superstep each."""
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < state["goal"] else END)
    return graph.compile()


def build_fan() -> Any:
    """As many Sends at once as the goal says."""
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_conditional_edges(START, spread, ["step"])
    return graph.compile()


def register_loops(runtime: WorkflowRuntime, saver: DaprSaver) -> None:
    """Register a fan-out of activities that run one node each and save what it says: no durable task can do less."""
    graph = StateGraph(State).add_node("step", step).add_edge(START, "step").compile()

    async def loop(ctx: WorkflowActivityContext, given: int) -> int:
        output = await graph.ainvoke({"count": 0})
        await saver.aput_value(f"{ctx.workflow_id}/{given}", output)
        return given

    def fan(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        yield when_all([ctx.call_activity(_LOOP, input=number) for number in range(record["goal"])])

    runtime.register_activity(loop, name=_LOOP)
    runtime.register_workflow(fan, name=LOOP_FAN)


def register_plain_workflows(runtime: WorkflowRuntime) -> None:
    """Register workflows of activities that do nothing: what Dapr alone costs; and two that wait at their ends."""

    async def plain(_: WorkflowActivityContext, given: int) -> int:
        return given

    def chain(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        for number in range(record["goal"]):
            yield ctx.call_activity(_PLAIN, input=number)

    def fan(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        yield when_all([ctx.call_activity(_PLAIN, input=number) for number in range(record["goal"])])

    def join(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        yield ctx.call_activity(_PLAIN, input=-1)
        yield from fan(ctx, record)
        yield ctx.call_activity(_PLAIN, input=-1)

    def plain_wait(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        yield from chain(ctx, record)
        ctx.set_custom_status(WAITING)
        yield ctx.wait_for_external_event(GO_ON)

    def graph_wait(ctx: DaprWorkflowContext, record: dict[str, int]) -> Generator[Any, Any, None]:
        for number in range(record["goal"]):
            thread_id = f"{ctx.instance_id}-{number}"
            yield from call_graph(ctx, "chain-run", {"count": 0, "goal": 1}, thread_id=thread_id, run_id=thread_id)
        ctx.set_custom_status(WAITING)
        yield ctx.wait_for_external_event(GO_ON)

    runtime.register_workflow(plain_wait, name=PLAIN_WAIT)
    runtime.register_workflow(graph_wait, name=GRAPH_WAIT)
    runtime.register_activity(plain, name=_PLAIN)
    runtime.register_workflow(chain, name=PLAIN_CHAIN)
    runtime.register_workflow(fan, name=PLAIN_FAN)
    runtime.register_workflow(join, name=PLAIN_JOIN)
