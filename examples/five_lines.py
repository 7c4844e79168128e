"""A graph of five lines, run as a Dapr workflow.

Run it: `.venv/bin/python -m examples.five_lines`
"""

import asyncio
from typing import TypedDict

from langgraph.graph import START, StateGraph

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from examples.local import sidecar_address


class State(TypedDict):
    name: str
    greeting: str


async def greet(state: State) -> dict[str, str]:
    return {"greeting": f"Hello, {state['name']}!"}


graph = StateGraph(State).add_node(greet).add_edge(START, "greet").compile()


async def main() -> None:
    with sidecar_address() as address, DaprSaver("execution-state", address=address) as saver:
        worker = GraphWorker(graphs={"greeter": graph}, saver=saver, address=address)
        client = DurableGraph(graph, name="greeter", saver=saver, address=address)
        async with worker, client as greeter:
            print(await greeter.ainvoke({"name": "Ada"}, {"configurable": {"thread_id": "t-1"}}))


if __name__ == "__main__":
    asyncio.run(main())
