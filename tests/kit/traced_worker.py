"""A worker process that writes the spans of its graphs into a file.

Run as `python -m tests.kit.traced_worker`, with the file in SPANS, the far end's URL in FAR_END, the sidecar in
DAPR_GRPC_PORT, and `run` or `task` in UNIT.
"""

from __future__ import annotations

import asyncio
import operator
import os
from collections.abc import Generator
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy, Send, interrupt

from dapr_bridge import DaprSaver, GraphWorker, call_graph, wait_for
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped
from tests.kit.spans import record_to_file

WIDTH = 20
"""How many tasks run side by side: so many that two workers share them."""


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


def build_wide(url: str) -> Any:
    """Many Sends side by side; then a subgraph of two nodes, the first of which needs two attempts."""

    async def work(sent: dict[str, int]) -> State:
        return {"words": [f"work-{sent['number']}"]}

    async def flaky(_: State, runtime: Runtime) -> State:
        assert runtime.execution_info
        if runtime.execution_info.node_attempt == 1:
            raise ConnectionError("as expected")
        return {"words": ["flaky"]}

    async def last(_: State) -> State:
        await asyncio.to_thread(leave_mark, url, "last")
        return {"words": ["last"]}

    inside = StateGraph(State)
    inside.add_node("flaky", flaky, retry_policy=RetryPolicy(initial_interval=0.01, max_attempts=2))
    inside.add_node("last", last)
    inside.add_edge(START, "flaky")
    inside.add_edge("flaky", "last")
    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_node("inside", inside.compile())
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": n}) for n in range(WIDTH)], ["work"])
    graph.add_edge("work", "inside")
    return graph.compile()


def build_asking() -> Any:
    """A question."""

    async def ask(_: State) -> State:
        return {"words": [interrupt("go on?")]}

    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


def build_failing() -> Any:
    """A node that says in its error what it was given."""

    async def broken(state: State) -> State:
        raise ValueError(state["words"][0])

    return StateGraph(State).add_node("broken", broken).add_edge(START, "broken").compile()


def ticket(ctx: DaprWorkflowContext, order: dict[str, str]) -> Generator[Any, Any, list[str]]:
    """Run two graphs, one of which asks something."""
    place, traceparent = order["thread_id"], order.get("traceparent")
    given = {"words": ["in"]}
    wide = yield from call_graph(ctx, "wide", given, thread_id=f"{place}/wide", traceparent=traceparent)
    asked = yield from call_graph(
        ctx,
        "asking",
        given,
        thread_id=f"{place}/asking",
        run_id=f"{place}/asking",
        traceparent=traceparent,
        on_interrupt=wait_for("approval"),
    )
    return [*wide.output["words"], *asked.output["words"]]


async def main() -> None:
    """Serve until SIGTERM."""
    record_to_file(os.environ["SPANS"])
    with DaprSaver("execution-state") as saver:
        graphs = {"wide": build_wide(os.environ["FAR_END"]), "asking": build_asking(), "failing": build_failing()}
        unit = "task" if os.environ["UNIT"] == "task" else "run"
        worker = GraphWorker(graphs=graphs, unit=unit, saver=saver, events=None)
        worker.runtime.register_workflow(ticket, name="ticket")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
