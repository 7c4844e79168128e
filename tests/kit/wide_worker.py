"""A worker process with a graph of one wide superstep, in unit `task`.

Run as `python -m tests.kit.wide_worker`, with the far end's URL in FAR_END and the sidecar in DAPR_GRPC_PORT. RELEASE
names what an earlier release did: `without-apart` runs every task in the run's own workflow, and `without-workflow`
knows nothing of the other one.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt

from dapr_bridge import DaprSaver, GraphWorker, _names, _workflow
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """How many tasks there are, which of them fails or asks, and what they have brought."""

    width: int
    fails: int
    asks: int
    brought: Annotated[list[str], operator.add]


class Order(TypedDict):
    """What one task is sent."""

    number: int
    state: State


def build_wide_graph(url: str, mended: Path) -> Any:
    """As many Sends as the state says, then a node that has the last word."""

    async def work(order: Order) -> State:
        number, state = order["number"], order["state"]
        await asyncio.to_thread(leave_mark, url, f"work {number}")
        if number == state.get("fails") and not await asyncio.to_thread(mended.exists):
            raise ValueError(f"{number} is broken")
        said = interrupt(f"what of {number}?") if number == state.get("asks") else "done"
        return {"brought": [f"{number}: {said}"]}

    async def close(state: State) -> State:
        await asyncio.to_thread(leave_mark, url, "close")
        return {"brought": [f"{len(state['brought'])} in all"]}

    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_node("close", close)
    graph.add_conditional_edges(
        START, lambda state: [Send("work", {"number": n, "state": state}) for n in range(state["width"])], ["work"]
    )
    graph.add_edge("work", "close")
    return graph.compile()


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    release = os.environ.get("RELEASE")
    if release == "without-apart":
        _workflow._MOST_TASKS = 1 << 30
    if release == "without-workflow":
        _names.tasks_workflow = lambda graph: f"unknown.{graph}"
    graph = build_wide_graph(os.environ["FAR_END"], Path(os.environ["MENDED"]))
    with DaprSaver("execution-state") as saver:
        await serve_until_stopped(GraphWorker(graphs={"wide": graph}, saver=saver, unit="task", events=None))


if __name__ == "__main__":
    asyncio.run(main())
