"""A worker process of two apps: one hosts a graph that asks something, the other calls it from a workflow.

Run as `python -m tests.kit.other_app_worker`, with the far end's URL in FAR_END, and the sidecars of the caller and of
the host in CALLER and HOST.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from typing import Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, GraphWorker, RunCancelledError, call_graph, wait_for
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped

EVENT, HOST_APP = "approval", "host"


class State(TypedDict, total=False):
    """What was answered."""

    answer: str


def build() -> Any:
    """A question."""

    async def ask(_: State) -> State:
        return {"answer": interrupt("may I?")}

    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


def approve(ctx: DaprWorkflowContext, _: object) -> Generator[Any, Any, Any]:
    """Run the graph of the other app, under a run id and on a thread of this workflow's name."""
    wait = wait_for(EVENT, notify="tell")
    run_id, thread_id = f"{ctx.instance_id}/run", ctx.instance_id
    try:
        result = yield from call_graph(
            ctx, "asks", {"answer": ""}, thread_id=thread_id, run_id=run_id, app_id=HOST_APP, on_interrupt=wait
        )
    except RunCancelledError:
        return "cancelled"
    return result.output


async def main() -> None:
    """Serve until SIGTERM."""
    far_end = os.environ["FAR_END"]

    async def tell(_: WorkflowActivityContext, record: dict[str, Any]) -> None:
        await asyncio.to_thread(leave_mark, far_end, record["instance_id"])

    at_caller, at_host = os.environ["CALLER"], os.environ["HOST"]
    with DaprSaver("execution-state", address=at_host) as saver:
        host = GraphWorker(graphs={"asks": build()}, saver=saver, address=at_host, events=None)
        caller = GraphWorker(graphs={}, saver=saver, address=at_caller, events=None)
        caller.runtime.register_workflow(approve, name="approve")
        caller.runtime.register_activity(tell, name="tell")
        async with host:
            await serve_until_stopped(caller)


if __name__ == "__main__":
    asyncio.run(main())
