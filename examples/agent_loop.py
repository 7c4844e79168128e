"""An agent that thinks and acts a thousand times: its state grows, the history that Dapr replays does not.

Run it: `.venv/bin/python -m examples.agent_loop` (`--supersteps 60` for a short one)
"""

import argparse
import asyncio
import operator
from typing import Annotated, Literal, TypedDict

from dapr.ext.workflow import DaprWorkflowClient
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from examples.local import sidecar_address


class Talk(TypedDict):
    supersteps: int
    notes: Annotated[list[str], operator.add]


async def think(state: Talk) -> dict[str, list[str]]:
    return {"notes": [f"look up number {len(state['notes'])}"]}


async def act(state: Talk) -> dict[str, list[str]]:
    return {"notes": [f"done: {state['notes'][-1]}"]}


def is_enough(state: Talk) -> Literal["think", "__end__"]:
    return "__end__" if len(state["notes"]) >= state["supersteps"] else "think"


builder = StateGraph(Talk).add_node(think).add_node(act)
builder.add_edge(START, "think").add_edge("think", "act").add_conditional_edges("act", is_enough)
graph = builder.compile()


async def run(address: str, *, supersteps: int) -> None:
    with DaprSaver("execution-state", address=address) as saver:
        worker = GraphWorker(graphs={"agent": graph}, unit="task", saver=saver, address=address)
        client = DurableGraph(graph, name="agent", saver=saver, address=address)
        async with worker, client as agent:
            for number in (supersteps // 10, supersteps):
                limit: RunnableConfig = {"recursion_limit": number + 1}
                state = await agent.ainvoke({"supersteps": number}, limit, run_id=f"run-{number}")
                events, size = measure_history(address, f"run-{number}")
                kept = len("".join(state["notes"]))
                print(f"{number} supersteps: state of {kept} bytes, {events} events in Dapr's history of {size} bytes")


def measure_history(address: str, run_id: str) -> tuple[int, int]:
    """Count what a replay of the run's workflow would read."""
    host, port = address.split(":")
    client = DaprWorkflowClient(host=host, port=port)
    history = client.get_workflow_history(run_id)
    client.close()
    return len(history), sum(len(str(event)) for event in history)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--supersteps", type=int, default=1000)
    given = parser.parse_args()
    with sidecar_address() as address:
        asyncio.run(run(address, supersteps=given.supersteps))
