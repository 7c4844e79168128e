"""What Dapr adds to the desk's two graphs, over plain `ainvoke` of the same graphs in the same process."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
from langgraph.checkpoint.memory import InMemorySaver

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker, Unit
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
UNITS: tuple[Unit, ...] = ("run", "task")
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
            GraphWorker(
                graphs={hosted_name(name, unit): graph for name, graph in hosted.items() for unit in UNITS},
                unit={hosted_name(name, unit): unit for name in hosted for unit in UNITS},
                saver=saver,
                address=sidecar.address,
            ),
        ):
            report = (await plain["triage"].ainvoke(triage_input()))["triage"]
            inputs = {"triage": triage_input(), "expert": {**triage_input(), "triage": report, "feedback": None}}
            figures: list[Figure] = []
            for name, graph in plain.items():
                async with AsyncExitStack() as stack:
                    durable = {
                        unit: await stack.enter_async_context(
                            DurableGraph(
                                graph, name=hosted_name(name, unit), saver=saver, address=sidecar.address, events=None
                            )
                        )
                        for unit in UNITS
                    }
                    figures += await compare(name, graph, durable, inputs[name])
    return figures


def hosted_name(graph: str, unit: Unit) -> str:
    """Return the name under which the worker hosts a graph in one unit."""
    return f"{graph}-{unit}"


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


async def compare(name: str, graph: Any, durable: Mapping[Unit, DurableGraph], given: dict[str, Any]) -> list[Figure]:
    """Time all ways in turn, so that the machine's noise hits each of them."""
    native = graph.copy({"checkpointer": InMemorySaver()})
    plain: list[float] = []
    kept: dict[Unit, list[float]] = {unit: [] for unit in durable}
    for _ in range(RUNS + 1):
        plain.append(await seconds(lambda: native.ainvoke(given, thread())))
        for unit, each in durable.items():
            kept[unit].append(await seconds(lambda each=each: each.ainvoke(given, thread())))
    last = {"configurable": {"thread_id": f"bench-{next(threads) - 1}"}}
    supersteps = len([state async for state in durable["run"].aget_state_history(last)])
    figures = [Figure(what=f"{name}: plain `ainvoke`, state in memory", value=milliseconds(plain[1:]))]
    for unit, took in kept.items():
        ratio = median(took[1:]) / median(plain[1:])
        added = (median(took[1:]) - median(plain[1:])) / supersteps
        figures += [
            Figure(what=f"{name}: as a Dapr workflow, unit `{unit}`, SQLite", value=milliseconds(took[1:])),
            Figure(
                what=f"{name}: what Dapr adds in unit `{unit}`",
                value=f"{ratio:.2f} times; {added * 1e3:.1f} ms for each of {supersteps} checkpoints",
            ),
        ]
    return figures


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


def thread() -> dict[str, Any]:
    return {"configurable": {"thread_id": f"bench-{next(threads)}"}}


def triage_input() -> dict[str, Any]:
    return {"ticket_id": "B-1", "customer_id": "CUST001", "description": QUESTION}
