"""A worker whose graphs give and ask with a type of their own.

Run as `python -m tests.kit.offering_worker`, with the sidecar in DAPR_GRPC_PORT; with ALLOWS its saver allows the type.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator
from typing import Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, GraphWorker, call_graph
from tests.kit.own_types import Offer
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """One thing."""

    offer: Any


async def give(_: State) -> State:
    """Give an offer."""
    return {"offer": Offer(7)}


async def ask(_: State) -> State:
    """Ask whether an offer is good."""
    return {"offer": interrupt(Offer(8))}


async def spoil(_: State) -> State:
    """Give what no serializer can keep."""
    return {"offer": len}


def build_graphs() -> dict[str, Any]:
    """The graphs, by the names under which the worker hosts them."""
    return {
        each.__name__: StateGraph(State).add_node(each).add_edge(START, each.__name__).compile()
        for each in (give, ask, spoil)
    }


def selling(ctx: DaprWorkflowContext, thread_id: str) -> Generator[Any, Any, list[int]]:
    """Tell the price that a graph gives, and the one about which another asks."""
    given = yield from call_graph(ctx, "give", {}, thread_id=f"{thread_id}/give")
    asked = yield from call_graph(ctx, "ask", {}, thread_id=f"{thread_id}/ask")
    return [given.output["offer"].price, asked.interrupts[0].value.price]


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    allowed = [Offer] if "ALLOWS" in os.environ else []
    with DaprSaver("execution-state", allowed_types=allowed) as saver:
        worker = GraphWorker(graphs=build_graphs(), saver=saver, events=None)
        worker.runtime.register_workflow(selling)
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
