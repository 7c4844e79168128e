"""One daprd with a worker that hosts the measured graphs in both units, and a native LangGraph beside it."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dapr.ext.workflow import DaprWorkflowClient, WorkflowState
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker, Unit
from dapr_bridge._workflows import Workflows
from dapr_bridge.testing import ControlPlane, Sidecar, free_port
from tests.bench.bridge_graphs import (
    GO_ON,
    LOOP_FAN,
    PLAIN_CHAIN,
    PLAIN_FAN,
    PLAIN_JOIN,
    WAITING,
    build_chain,
    build_fan,
    register_loops,
    register_plain_workflows,
)
from tests.kit.sidecar_calls import CallCounter
from tests.kit.stores import write_sqlite_store

Shape = Literal["chain", "fan"]
PLAIN: Mapping[Shape, str] = {"chain": PLAIN_CHAIN, "fan": PLAIN_FAN}
UNITS: tuple[Unit, ...] = ("run", "task")
STORE = "bench-state"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is run: how many supersteps or tasks, and how large the state is."""

    shape: Shape
    goal: int
    ballast: int = 0

    def __str__(self) -> str:
        return f"{self.shape} of {self.goal}, state {self.ballast} B"

    @property
    def state(self) -> dict[str, Any]:
        """LangGraph's input."""
        return {"count": 0, "goal": self.goal, "ballast": "x" * self.ballast}


@dataclass(kw_only=True)
class Rig:
    """Everything that can be measured, and the counters beside it."""

    sidecar: Sidecar
    metrics_port: int
    database: Path
    saver: DaprSaver
    workflows: Workflows
    native: Mapping[Shape, Any]
    durable: Mapping[tuple[Shape, Unit], DurableGraph]
    worker: GraphWorker
    late: list[float] = field(default_factory=list[float])
    _names: Any = field(default_factory=lambda: itertools.count(1))

    async def natively(self, load: Load) -> float:
        """Seconds of a run in this process, each superstep saved in a SQLite file."""
        began = time.perf_counter()
        output = await self.native[load.shape].ainvoke(load.state, _config(self._name(), load), durability="sync")
        assert output["count"] == load.goal
        return time.perf_counter() - began

    async def plainly(self, load: Load, *, joined: bool = False) -> float:
        """Seconds of a workflow of as many activities that do nothing; joined, with one before and one after them."""
        return await self._through(PLAIN_JOIN if joined else PLAIN[load.shape], load)

    async def in_loops(self, load: Load) -> float:
        """Seconds of a fan-out of as many activities that each run LangGraph's loop and save one value."""
        return await self._through(LOOP_FAN, load)

    async def _through(self, workflow: str, load: Load) -> float:
        name, began = self._name(), datetime.now(UTC)
        await self.workflows.start(workflow, instance_id=name, record={"goal": load.goal})
        return _seconds(began, await self.workflows.end(name))

    async def durably(self, load: Load, unit: Unit) -> tuple[float, str]:
        """Seconds of a run over the bridge, and its name: thread and workflow instance."""
        name, began = self._name(), datetime.now(UTC)
        result = await self.durable[load.shape, unit].arun(load.state, _config(name, load), run_id=name)
        known = (datetime.now(UTC) - began).total_seconds()
        assert result.status == "finished", result
        seconds = _seconds(began, await self.workflows.state(name))
        self.late.append(known - seconds)
        return seconds, name

    async def resumed(self, workflow: str, goal: int) -> float:
        """Seconds from an event to the end of a workflow with so many activities, in a worker that has to replay it."""
        name = self._name()
        await self.workflows.start(workflow, instance_id=name, record={"goal": goal})
        while not await self._waits(name):
            await asyncio.sleep(0.05)
        await self._restart_worker()
        began = datetime.now(UTC)
        host, _, port = self.sidecar.address.rpartition(":")
        client = DaprWorkflowClient(host=host, port=port)
        await asyncio.to_thread(client.raise_workflow_event, name, GO_ON)
        client.close()
        return _seconds(began, await self.workflows.end(name))

    async def _waits(self, name: str) -> bool:
        state = await self.workflows.state(name)
        return WAITING in str(state.serialized_custom_status if state else "")

    async def _restart_worker(self) -> None:
        await asyncio.to_thread(self.worker.stop)
        self.worker = make_worker(self.saver, self.sidecar)
        await asyncio.to_thread(self.worker.start)

    def counter(self) -> CallCounter:
        """Count the calls that the sidecar answers from now on."""
        return CallCounter(self.metrics_port)

    def history_bytes(self, instance_id: str) -> int:
        """Bytes that the workflow engine keeps of an instance, and of the workflows that it has started."""
        with closing(sqlite3.connect(self.database)) as database:
            query = "SELECT COALESCE(SUM(LENGTH(value)), 0) FROM state WHERE key LIKE ? OR key LIKE ?"
            own, children = f"%.workflow||{instance_id}||%", f"%.workflow||{instance_id}:%"
            return database.execute(query, (own, children)).fetchone()[0]

    def _name(self) -> str:
        return f"bench-{next(self._names)}"


def _config(name: str, load: Load) -> RunnableConfig:
    return {"configurable": {"thread_id": name}, "recursion_limit": load.goal + 10}


def _seconds(began: datetime, state: WorkflowState | None) -> float:
    # By the workflow's own clock: how late its end is noticed is another matter.
    assert state is not None
    ended = state.last_updated_at
    return (ended.replace(tzinfo=ended.tzinfo or UTC) - began).total_seconds()


@asynccontextmanager
async def open_rig(folder: Path, plane: ControlPlane) -> AsyncIterator[Rig]:
    """Start daprd and the worker."""
    database, metrics_port = folder / "bench.db", free_port()
    write_sqlite_store(folder / "resources", STORE, database, actors=True)
    sidecar = Sidecar(
        "bench-bridge",
        control_plane=plane,
        resources=folder / "resources",
        folder=folder,
        flags=[f"--metrics-port={metrics_port}"],
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(sidecar)
        saver = stack.enter_context(DaprSaver(STORE, address=sidecar.address))
        graphs: dict[Shape, Any] = {"chain": build_chain(), "fan": build_fan()}
        worker = make_worker(saver, sidecar)
        await asyncio.to_thread(worker.start)
        lite = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(folder / "native.db")))
        durable: dict[tuple[Shape, Unit], DurableGraph] = {}
        for shape, graph in graphs.items():
            for unit in UNITS:
                client = DurableGraph(graph, name=f"{shape}-{unit}", saver=saver, address=sidecar.address, events=None)
                durable[shape, unit] = await stack.enter_async_context(client)
        rig = Rig(
            worker=worker,
            sidecar=sidecar,
            metrics_port=metrics_port,
            database=database,
            saver=saver,
            workflows=stack.enter_context(Workflows(sidecar.address)),
            native={shape: graph.copy({"checkpointer": lite}) for shape, graph in graphs.items()},
            durable=durable,
        )
        try:
            yield rig
        finally:
            await asyncio.to_thread(rig.worker.stop)


def make_worker(saver: DaprSaver, sidecar: Sidecar) -> GraphWorker:
    """Return a worker of both graphs in both units, and of the plain workflows."""
    graphs: dict[Shape, Any] = {"chain": build_chain(), "fan": build_fan()}
    worker = GraphWorker(
        graphs={f"{shape}-{unit}": graph for shape, graph in graphs.items() for unit in UNITS},
        unit={f"{shape}-{unit}": unit for shape in graphs for unit in UNITS},
        saver=saver,
        address=sidecar.address,
        events=None,
    )
    register_plain_workflows(worker.runtime)
    register_loops(worker.runtime, saver)
    return worker
