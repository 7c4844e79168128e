"""A run whose worker is killed with SIGKILL at the worst moment: the card is charged, and nobody has noted it yet.

Run it: `.venv/bin/python -m examples.survives_a_kill`
"""

import asyncio
import operator
import sys
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from dapr_bridge.testing import Process
from examples.local import sidecar_address, worker_process
from examples.shop import Shop, call_shop, open_shop


class Order(TypedDict):
    shop: str
    done: Annotated[list[str], operator.add]


async def reserve(state: Order, runtime: Runtime) -> dict[str, list[str]]:
    return await do("reserve", state, runtime)


async def charge(state: Order, runtime: Runtime) -> dict[str, list[str]]:
    return await do("charge", state, runtime)


async def ship(state: Order, runtime: Runtime) -> dict[str, list[str]]:
    return await do("ship", state, runtime)


async def do(step: str, state: Order, runtime: Runtime) -> dict[str, list[str]]:
    """Have the shop do it; the task's id is the same on every attempt, by which the shop knows a repeat."""
    assert runtime.execution_info
    await asyncio.to_thread(call_shop, state["shop"], step, key=runtime.execution_info.task_id)
    return {"done": [step]}


graph = StateGraph(Order).add_sequence([reserve, charge, ship]).add_edge(START, "reserve").compile()


async def work(address: str) -> None:
    """Serve the graph until this process is ended."""
    with DaprSaver("execution-state", address=address) as saver:
        async with GraphWorker(graphs={"order": graph}, saver=saver, address=address):
            print("ready", flush=True)
            await asyncio.Event().wait()


async def order(address: str, shop: Shop, worker: Process) -> None:
    """Run the graph, and kill its worker in the middle."""
    with DaprSaver("execution-state", address=address) as saver:
        async with DurableGraph(graph, name="order", saver=saver, address=address) as orders:
            run = asyncio.create_task(orders.ainvoke({"shop": shop.url}))
            await asyncio.to_thread(shop.is_charging.wait, 60)
            print(f"The card is charged, and process {worker.pid} has not heard so: SIGKILL.")
            worker.kill()
            shop.may_answer.set()
            worker.start()
            print(f"Process {worker.pid} takes its place.")
            print(f"The run has ended: {(await run)['done']}")


def main() -> None:
    with sidecar_address() as address, open_shop() as shop:
        with worker_process("examples.survives_a_kill", address) as worker:
            asyncio.run(order(address, shop, worker))
        print(shop.report())


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(work(sys.argv[1]))
    else:
        main()
