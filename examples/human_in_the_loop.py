"""Two questions of one run, answered by id from another process.

Run it: `.venv/bin/python -m examples.human_in_the_loop`
"""

import asyncio
import os
import subprocess
import sys
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from examples.local import sidecar_address

CONFIG: RunnableConfig = {"configurable": {"thread_id": "offer-7"}}


class Offer(TypedDict):
    price: int
    legal: str
    sales: str
    sent: bool


async def ask_legal(state: Offer) -> dict[str, str]:
    return {"legal": interrupt(f"Legal: may we offer {state['price']}?")}


async def ask_sales(state: Offer) -> dict[str, str]:
    return {"sales": interrupt(f"Sales: is {state['price']} enough?")}


async def send(state: Offer) -> dict[str, bool]:
    return {"sent": state["legal"] == state["sales"] == "yes"}


builder = StateGraph(Offer).add_node(ask_legal).add_node(ask_sales).add_node(send)
builder.add_edge(START, "ask_legal").add_edge(START, "ask_sales").add_edge(["ask_legal", "ask_sales"], "send")
graph = builder.compile()


async def ask(address: str) -> None:
    """Run up to the questions, have another process answer them, and tell how it ended."""
    with DaprSaver("execution-state", address=address) as saver:
        worker = GraphWorker(graphs={"offer": graph}, saver=saver, address=address)
        client = DurableGraph(graph, name="offer", saver=saver, address=address)
        async with worker, client as offer:
            asked = await offer.ainvoke({"price": 100}, CONFIG)
            for question in asked["__interrupt__"]:
                print(f"{question.id}: {question.value}", flush=True)
            ids = [question.id for question in asked["__interrupt__"]]
            command = [sys.executable, "-m", "examples.human_in_the_loop", address, *ids]
            await asyncio.to_thread(subprocess.run, command, check=True)
            print((await offer.aget_state(CONFIG)).values)


async def answer(address: str, *question_ids: str) -> None:
    """Answer one question after the other; of the graph only its name is needed here."""
    with DaprSaver("execution-state", address=address) as saver:
        async with DurableGraph("offer", saver=saver, address=address) as offer:
            for question_id in question_ids:
                state = await offer.ainvoke(Command(resume={question_id: "yes"}), CONFIG)
                left = len(state.get("__interrupt__", ()))
                print(f"process {os.getpid()} says yes to {question_id}, {left} left open")


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(answer(*sys.argv[1:]))
    else:
        with sidecar_address() as address:
            asyncio.run(ask(address))
