"""A worker process with a small graph of every kind that tests of both units need.

Run as `python -m tests.kit.sample_worker`, with the far end's URL in FAR_END, the sidecar in DAPR_GRPC_PORT, and `run`
or `task` in UNIT.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
from collections.abc import Generator
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt

from dapr_bridge import DaprSaver, GraphFailedError, GraphWorker, call_graph
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """What the sample graph gathers."""

    words: Annotated[list[str], operator.add]


def build_sample_graph(url: str) -> Any:
    """A chain, three parallel Sends, a join, a question."""

    async def mark(name: str) -> None:
        await asyncio.to_thread(leave_mark, url, name)

    async def first(_: State) -> State:
        await mark("first")
        return {"words": ["first"]}

    async def work(sent: dict[str, int]) -> State:
        await mark(f"work-{sent['number']}")
        return {"words": [f"work-{sent['number']}"]}

    async def join(state: State) -> State:
        await mark("join")
        return {"words": [f"{len(state['words'])} words"]}

    async def ask(_: State) -> State:
        answer = interrupt("go on?")
        await mark("ask")
        return {"words": [answer]}

    graph = StateGraph(State)
    for node in (first, work, join, ask):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "first")
    graph.add_conditional_edges("first", lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "join")
    graph.add_edge("join", "ask")
    return graph.compile()


def build_failing_graph(url: str) -> Any:
    """A node that succeeds, then one that fails while the far end answers it with an error."""

    async def before(_: State) -> State:
        await asyncio.to_thread(leave_mark, url, "before")
        return {"words": ["before"]}

    async def fragile(_: State) -> State:
        await asyncio.to_thread(leave_mark, url, "fragile")
        if not os.path.exists(os.environ["MENDED"]):  # noqa: ASYNC240, PTH110 - a test's own switch
            raise RuntimeError("the far end is broken")
        return {"words": ["mended"]}

    graph = StateGraph(State)
    graph.add_node("before", before)
    graph.add_node("fragile", fragile)
    graph.add_edge(START, "before")
    graph.add_edge("before", "fragile")
    return graph.compile()


def retrying(ctx: DaprWorkflowContext, thread_id: str) -> Generator[Any, Any, dict[str, Any]]:
    """Call the failing graph; after a failure wait for `mended`, then call the same run again."""
    failures: list[str] = []
    while True:
        try:
            result = yield from call_graph(ctx, "failing", {"words": ["in"]}, thread_id=thread_id, run_id="the-run")
        except GraphFailedError as error:
            failures.append(f"{error.node}: {error.error_type}: {error.message}")
            yield ctx.wait_for_external_event("mended")
        else:
            return {"failures": failures, "output": result.output}


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    url = os.environ["FAR_END"]
    with DaprSaver(os.environ.get("STORE", "execution-state")) as saver:
        worker = GraphWorker(
            graphs={"sample": build_sample_graph(url), "failing": build_failing_graph(url)},
            saver=saver,
            unit="task" if os.environ.get("UNIT") == "task" else "run",
        )
        worker.runtime.register_workflow(retrying, name="retrying")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
