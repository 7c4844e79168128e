"""A fan-out over two worker processes of one app: each `Send` is a Dapr activity, and goes to whichever is free.

Run it: `.venv/bin/python -m examples.fan_out`
"""

import asyncio
import operator
import os
import sys
from collections import Counter
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from examples.local import sidecar_address, worker_process


class Page(TypedDict):
    number: int


class Book(TypedDict):
    pages: int
    read_by: Annotated[list[tuple[int, int]], operator.add]


async def read(state: Page) -> dict[str, list[tuple[int, int]]]:
    await asyncio.sleep(0.3)  # a model call
    return {"read_by": [(state["number"], os.getpid())]}


def each_page(state: Book) -> list[Send]:
    return [Send("read", Page(number=number)) for number in range(1, state["pages"] + 1)]


graph = StateGraph(Book).add_node(read).add_conditional_edges(START, each_page, ["read"]).compile()


async def work(address: str) -> None:
    """Serve the graph until this process is ended."""
    with DaprSaver("execution-state", address=address) as saver:
        async with GraphWorker(graphs={"reader": graph}, unit="task", saver=saver, address=address):
            print("ready", flush=True)
            await asyncio.Event().wait()


async def ask(address: str) -> None:
    """Run the graph on whatever workers there are, and tell who did what."""
    with DaprSaver("execution-state", address=address) as saver:
        async with DurableGraph(graph, name="reader", saver=saver, address=address) as reader:
            state = await reader.ainvoke({"pages": 8})
    for number, process in state["read_by"]:
        print(f"page {number} was read by process {process}")
    print("pages read by each process:", *Counter(process for _, process in state["read_by"]).values())


def main() -> None:
    module = "examples.fan_out"
    with sidecar_address() as address, worker_process(module, address), worker_process(module, address):
        asyncio.run(ask(address))


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(work(sys.argv[1]))
    else:
        main()
