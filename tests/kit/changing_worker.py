"""A worker process whose graphs differ from release to release.

Run as `python -m tests.kit.changing_worker`, with the far end's URL in FAR_END, the sidecar in DAPR_GRPC_PORT, `run` or
`task` in UNIT, and in RELEASE: `first`; `lacking`, which lacks nodes that runs of the first go on with; `mended`, which
has them, and more.
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
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, GraphChangedError, GraphWorker, call_graph
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


class Inner(TypedDict, total=False):
    """What the subgraph knows."""

    words: list[str]


def build_fork(url: str, release: str) -> Any:
    """A node, two side by side (one is lacking), and a join."""

    def marking(name: str) -> Any:
        async def node(_: State) -> State:
            await asyncio.to_thread(leave_mark, url, name)
            return {"words": [name]}

        return node

    sides = ["left"] if release == "lacking" else ["left", "right"]
    graph = StateGraph(State)
    for name in ("first", *sides, "join"):
        graph.add_node(name, marking(name))
    graph.add_edge(START, "first")
    for name in sides:
        graph.add_edge("first", name)
    graph.add_edge(sides, "join")
    if release == "mended":
        graph.add_node("last", marking("last")).add_edge("join", "last")
    return graph.compile()


def build_nested(release: str) -> Any:
    """A subgraph whose node asks something, under another name in the release that lacks it."""

    async def ask(_: Inner) -> Inner:
        return {"words": [str(interrupt("well?"))]}

    name = "renamed" if release == "lacking" else "ask"
    inner = StateGraph(Inner).add_node(name, ask).add_edge(START, name).compile()
    return StateGraph(State).add_node("outer", inner).add_edge(START, "outer").compile()


def build_graphs(url: str, release: str) -> dict[str, Any]:
    """Both graphs of a release."""
    return {"fork": build_fork(url, release), "nested": build_nested(release)}


def patient(ctx: DaprWorkflowContext, _: Any) -> Generator[Any, Any, dict[str, Any]]:
    """Call the fork; each time that the graph lacks something, wait for `mended` and call the same run again."""
    lacked: list[str] = []
    while True:
        try:
            result = yield from call_graph(
                ctx, "fork", {"words": ["in"]}, thread_id=ctx.instance_id, run_id=f"{ctx.instance_id}/run"
            )
        except GraphChangedError as error:
            lacked.append(error.message)
            ctx.set_custom_status("lacks")
            yield ctx.wait_for_external_event("mended")
        else:
            return {"lacked": lacked, "words": result.output["words"]}


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    unit = "task" if os.environ.get("UNIT") == "task" else "run"
    graphs = build_graphs(os.environ["FAR_END"], os.environ["RELEASE"])
    with DaprSaver("execution-state") as saver:
        worker = GraphWorker(graphs=graphs, saver=saver, unit=unit, events=None)
        worker.runtime.register_workflow(patient, name="patient")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
