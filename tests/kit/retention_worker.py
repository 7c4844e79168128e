"""A worker process whose threads keep one checkpoint, and which dies while it deletes the others.

Run as `python -m tests.kit.retention_worker`, with the far end's URL in FAR_END, the state store in STORE and the
sidecar in DAPR_GRPC_PORT. With DIES_AFTER it ends itself with SIGKILL after so many answers of the store, once: MARKER
is the file by which it knows.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
import signal
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, GraphWorker, call_graph, wait_for
from dapr_bridge.saver.effects import Steps, arun
from dapr_bridge.saver.keeping import keep_last
from tests.kit.counter import leave_mark
from tests.kit.own_types import Offer
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


def build_chain(url: str) -> Any:
    """Two nodes that leave marks."""

    def step(name: str) -> Any:
        async def node(_: State) -> State:
            await asyncio.to_thread(leave_mark, url, name)
            return {"words": [name]}

        return node

    graph = StateGraph(State)
    graph.add_node("one", step("one"))
    graph.add_node("two", step("two"))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile()


def build_question() -> Any:
    """A node that asks something."""

    async def ask(_: State) -> State:
        return {"words": [interrupt("well?")]}

    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


def build_offer() -> Any:
    """A node that asks with a value of a type of its own."""

    async def ask(_: State) -> State:
        return {"words": [interrupt(Offer(7))]}

    return StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()


def build_graphs(url: str) -> dict[str, Any]:
    """The graphs, by the names under which the worker hosts them."""
    return {"chain": build_chain(url), "question": build_question(), "offer": build_offer()}


def patient(ctx: DaprWorkflowContext, _: Any) -> Generator[Any, Any, str]:
    """Run a graph, then wait for an event."""
    yield from call_graph(ctx, "chain", {"words": ["in"]}, thread_id=f"{ctx.instance_id}/chain")
    yield ctx.wait_for_external_event("go on")
    return "done"


def asking(ctx: DaprWorkflowContext, _: Any) -> Generator[Any, Any, str]:
    """Run a graph that asks something, until somebody answers."""
    wait = wait_for("answer", timeout=timedelta(hours=1))
    yield from call_graph(ctx, "question", {"words": ["in"]}, thread_id=f"{ctx.instance_id}/q", on_interrupt=wait)
    return "done"


class DyingSaver(DaprSaver):
    """Ends its process while it deletes what a thread is not to keep."""

    async def akeep_last(self, thread_id: str, count: int) -> None:
        await arun(_dying(keep_last(self._documents, thread_id, count)))


def _dying(steps: Steps[None]) -> Steps[None]:
    marker, left = Path(os.environ["MARKER"]), int(os.environ["DIES_AFTER"])
    for effect in steps:
        yield effect
        left -= 1
        if left == 0 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    make = DyingSaver if "DIES_AFTER" in os.environ else DaprSaver
    with make(os.environ["STORE"], allowed_types=[Offer]) as saver:
        worker = GraphWorker(
            graphs=build_graphs(os.environ["FAR_END"]), saver=saver, events=None, keep_checkpoints={"chain": 1}
        )
        worker.runtime.register_workflow(patient, name="patient")
        worker.runtime.register_workflow(asking, name="asking")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
