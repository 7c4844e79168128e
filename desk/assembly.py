"""Puts the desk together from its settings: connections, graphs, background work."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from dapr_bridge import DaprSaver, DaprStore, DurableGraph
from desk.activities import DeskActivities
from desk.approvals import Approvals
from desk.casework import Casework
from desk.database import Database
from desk.directory import DaprCustomerDirectory
from desk.engine import DaprWorkflowEngine
from desk.graph_data import BridgeGraphData, StoredMemory
from desk.home import HomeLoop
from desk.notify import LogChannel
from desk.outbox import Outbox
from desk.probes import Probes
from desk.progress import ExpertProgress
from desk.settings import Settings
from desk.sidecar import Sidecar
from desk.support_desk import SupportDesk
from desk.sweep import Sweep
from desk.tickets import Tickets
from desk.worker import DeskWorker
from graph.expert import build_expert_graph
from graph.knowledge_base import McpKnowledgeBase
from graph.model import build_chat_model
from graph.triage import build_triage_graph

Graph = CompiledStateGraph[Any, Any, Any, Any]
Graphs = Mapping[str, Graph]


class Role(StrEnum):
    """What a process of the desk does: answer requests, work on tickets, or both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Premises:
    """A desk that is open, with what tells its health."""

    desk: SupportDesk
    directory: DaprCustomerDirectory
    probes: Probes


@dataclass(frozen=True, kw_only=True)
class _Connections:
    """Everything that is opened and closed."""

    database: Database
    sidecar: Sidecar
    engine: DaprWorkflowEngine
    saver: DaprSaver
    store: DaprStore
    knowledge_base: McpKnowledgeBase


@contextlib.asynccontextmanager
async def open_premises(settings: Settings, *, role: Role = Role.ALL) -> AsyncGenerator[Premises]:
    """Open the desk; it belongs to the running event loop, and its background work ends with the block.

    The sidecar need not be there: whatever needs it waits for it, and says so.
    """
    home = HomeLoop()
    async with _connect(settings) as connections:
        directory = DaprCustomerDirectory(
            connections.sidecar,
            home=home,
            customer_store=settings.customer_store,
            system_store=settings.system_store,
        )
        graphs = _build_graphs(settings, connections, directory)
        desk = _build_desk(settings, connections, graphs["expert"])
        work = [Sweep(desk, interval=settings.sweep_interval).run()]
        if role is not Role.API:
            work.append(_build_worker(settings, connections, desk, graphs, home).run())
        async with _in_background(*work):
            yield Premises(desk=desk, directory=directory, probes=Probes(settings, needs_worker=role is not Role.API))


@contextlib.asynccontextmanager
async def _connect(settings: Settings) -> AsyncGenerator[_Connections]:
    address = settings.dapr_address
    async with (
        Database(settings.database_url) as database,
        Sidecar(address) as sidecar,
        DaprWorkflowEngine(host="127.0.0.1", port=settings.dapr_grpc_port) as engine,
        DaprSaver(settings.execution_store, address=address) as saver,
        McpKnowledgeBase(str(settings.knowledge_base_url)) as knowledge_base,
    ):
        with DaprStore(settings.memory_store, address=address) as store:
            yield _Connections(
                database=database,
                sidecar=sidecar,
                engine=engine,
                saver=saver,
                store=store,
                knowledge_base=knowledge_base,
            )


def _build_graphs(settings: Settings, connections: _Connections, directory: DaprCustomerDirectory) -> Graphs:
    model = build_chat_model(settings)
    return {
        "triage": build_triage_graph(directory=directory, model=model),
        "expert": build_expert_graph(knowledge_base=connections.knowledge_base, model=model),
    }


def _build_desk(settings: Settings, connections: _Connections, expert: Graph) -> SupportDesk:
    thread_reader = DurableGraph(expert, name="expert", saver=connections.saver, address=settings.dapr_address)
    return SupportDesk(
        tickets=Tickets(connections.database),
        casework=Casework(connections.database),
        approvals=Approvals(connections.database),
        engine=connections.engine,
        heartbeat=connections.sidecar,
        progress=ExpertProgress(thread_reader),
        max_description=settings.max_description,
    )


def _build_worker(
    settings: Settings, connections: _Connections, desk: SupportDesk, graphs: Graphs, home: HomeLoop
) -> DeskWorker:
    activities = DeskActivities(
        settings=settings,
        tickets=desk.tickets,
        casework=desk.casework,
        approvals=desk.approvals,
        outbox=Outbox(connections.database),
        graphs=BridgeGraphData(connections.saver),
        state=connections.sidecar,
        publisher=connections.sidecar,
        conversation=connections.sidecar,
        channel=LogChannel(),
        memory=StoredMemory(connections.store),
    )
    return DeskWorker(
        settings,
        graphs=graphs,
        saver=connections.saver,
        store=connections.store,
        activities=activities,
        sidecar=connections.sidecar,
        home=home,
    )


@contextlib.asynccontextmanager
async def _in_background(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
