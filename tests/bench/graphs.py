"""What Dapr adds to the desk's two graphs, over plain `ainvoke` of the same graphs in the same process."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
from langgraph.checkpoint.memory import InMemorySaver

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker
from dapr_bridge.testing import ControlPlane, Sidecar
from graph.expert import build_expert_graph
from graph.file_directory import FileDirectory
from graph.knowledge_base import McpKnowledgeBase
from graph.model import build_chat_model
from graph.settings import ModelSettings
from graph.triage import build_triage_graph
from tests.bench.figures import Figure, milliseconds
from tests.kit.desk_stack import PROJECT, DeskStack
from tests.kit.stores import write_sqlite_store

RUNS = 15
QUESTION = "Service invocation fails with ERR_DIRECT_INVOKE after the upgrade to Dapr 1.16."

threads = itertools.count(1)


async def measure_graphs(desk: DeskStack, folder: Path, plane: ControlPlane) -> list[Figure]:
    """Run each graph natively and durably, in turn, and compare."""
    write_sqlite_store(folder / "resources", "bench-state", folder / "bench.db", actors=True)
    url = f"http://127.0.0.1:{desk.knowledge_port}/mcp"
    settings = ModelSettings(openai_base_url=f"{desk.model_url}/v1")
    with (
        Sidecar("bench", control_plane=plane, resources=folder / "resources", folder=folder) as sidecar,
        DaprSaver("bench-state", address=sidecar.address) as saver,
    ):
        # Connections belong to one event loop, and the worker has a loop of its own.
        async with (
            open_graphs(settings, url) as plain,
            open_graphs(settings, url) as hosted,
            GraphWorker(graphs=hosted, saver=saver, address=sidecar.address),
        ):
            report = (await plain["triage"].ainvoke(triage_input()))["triage"]
            inputs = {"triage": triage_input(), "expert": {**triage_input(), "triage": report, "feedback": None}}
            figures: list[Figure] = []
            for name, graph in plain.items():
                async with DurableGraph(graph, name=name, saver=saver, address=sidecar.address) as durable:
                    figures += await compare(name, graph, durable, inputs[name])
    return figures


@asynccontextmanager
async def open_graphs(settings: ModelSettings, url: str) -> AsyncIterator[dict[str, Any]]:
    """Build both graphs with connections of their own."""
    data = PROJECT / "seed" / "data"
    directory = FileDirectory(customers=data / "customers.json", systems=data / "systems.json")
    async with McpKnowledgeBase(url) as knowledge_base, httpx2.AsyncClient() as http:
        model = build_chat_model(settings, http_client=http)
        yield {
            "triage": build_triage_graph(directory=directory, model=model),
            "expert": build_expert_graph(knowledge_base=knowledge_base, model=model),
        }


async def compare(name: str, graph: Any, durable: DurableGraph, given: dict[str, Any]) -> list[Figure]:
    """Time both ways in turn, so that the machine's noise hits both."""
    plain, kept = [], []
    native = graph.copy({"checkpointer": InMemorySaver()})
    for _ in range(RUNS + 1):
        plain.append(await seconds(lambda: native.ainvoke(given, thread())))
        kept.append(await seconds(lambda: durable.ainvoke(given, thread())))
    last = {"configurable": {"thread_id": f"bench-{next(threads) - 1}"}}
    supersteps = len([state async for state in durable.aget_state_history(last)])
    ratio = median(kept[1:]) / median(plain[1:])
    added = (median(kept[1:]) - median(plain[1:])) / supersteps
    return [
        Figure(what=f"{name}: plain `ainvoke`, state in memory", value=milliseconds(plain[1:])),
        Figure(what=f"{name}: as a Dapr workflow, unit `run`, SQLite", value=milliseconds(kept[1:])),
        Figure(
            what=f"{name}: what Dapr adds",
            value=f"{ratio:.2f} times; {added * 1e3:.1f} ms for each of {supersteps} checkpoints",
        ),
    ]


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def thread() -> dict[str, Any]:
    return {"configurable": {"thread_id": f"bench-{next(threads)}"}}


def triage_input() -> dict[str, Any]:
    return {"ticket_id": "B-1", "customer_id": "CUST001", "description": QUESTION}
