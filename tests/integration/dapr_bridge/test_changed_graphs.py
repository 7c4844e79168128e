"""Runs that go on, or say what is missing, when a worker with another release of their graph has taken over."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowClient
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, GraphChangedError
from dapr_bridge.testing import ControlPlane, Process, Sidecar, wait_until
from tests.kit.changing_worker import build_graphs
from tests.kit.counter import FarEnd, far_end
from tests.kit.serving import start_serving
from tests.kit.sidecars import output_of, sqlite_sidecar, workflow_client

pytestmark = pytest.mark.anyio


@dataclass(kw_only=True)
class Rig:
    """One sidecar, and a worker of one release at a time."""

    sidecar: Sidecar
    far: FarEnd
    saver: DaprSaver
    client: DaprWorkflowClient
    folder: Path
    unit: str
    workers: list[Process] = field(default_factory=list[Process])

    def deploy(self, release: str) -> Process:
        """Kill the worker that there is and start one of a release."""
        if self.workers:
            self.workers[-1].kill()
        env = {**self.sidecar.environment(), "FAR_END": self.far.url, "UNIT": self.unit, "RELEASE": release}
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = Process([sys.executable, "-m", "tests.kit.changing_worker"], log=log, env=env)
        self.workers.append(worker)
        start_serving(worker)
        return worker

    def graph(self, name: str, release: str) -> DurableGraph:
        """Return a graph of a release as a client sees it."""
        built = build_graphs(self.far.url, release)[name]
        return DurableGraph(built, name=name, saver=self.saver, address=self.sidecar.address, events=None)


@pytest.fixture(params=["run", "task"])
def rig(control_plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A sidecar with a SQLite store, and a worker of the first release."""
    sidecar = sqlite_sidecar("changing", control_plane=control_plane, folder=tmp_path)
    with (
        far_end() as far,
        sidecar,
        DaprSaver("execution-state", address=sidecar.address) as saver,
        workflow_client(sidecar) as client,
    ):
        rig = Rig(sidecar=sidecar, far=far, saver=saver, client=client, folder=tmp_path, unit=request.param)
        try:
            rig.deploy("first")
            yield rig
        finally:
            for worker in rig.workers:
                worker.stop()


def thread(name: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": name}}


async def _until_saved(rig: Rig, node: str) -> None:
    async with rig.graph("fork", "first") as graph, asyncio.timeout(30):
        while not any(each.name == node and each.result for each in (await graph.aget_state(thread("t"))).tasks):
            await asyncio.sleep(0.05)


async def test_a_run_that_was_killed_stops_at_a_graph_without_its_next_node_and_goes_on_with_one_that_has_it(
    rig: Rig,
) -> None:
    rig.far.hold("right")
    await asyncio.to_thread(rig.client.schedule_new_workflow, "patient", input={}, instance_id="t")
    for mark in ("left", "right"):
        await asyncio.to_thread(rig.far.wait_for, mark)
    await _until_saved(rig, "left")

    await asyncio.to_thread(rig.deploy, "lacking")
    rig.far.release("right")
    await asyncio.to_thread(wait_until, lambda: _custom_status(rig) == "lacks", what="the run to say what is missing")
    mended = await asyncio.to_thread(rig.deploy, "mended")
    await asyncio.to_thread(rig.client.raise_workflow_event, "t", "mended")
    ended = await asyncio.to_thread(output_of, rig.client, "t")

    assert ended["words"] == ["in", "first", "left", "right", "join", "last"]
    (message,) = ended["lacked"]
    assert message.startswith("the run has to go on with 'right', 'join:left+right:join', and graph 'fork'")
    assert "it has 'first', 'join', 'left'. Start a worker whose graph has it" in message
    assert rig.far.counts() == {"first": 1, "left": 1, "right": 2, "join": 1, "last": 1}
    assert mended.text().count("graph 'fork' has changed from") == 1


def _custom_status(rig: Rig) -> Any:
    state = rig.client.get_workflow_state("t")
    return state.serialized_custom_status if state else None


@pytest.mark.parametrize("rig", ["run"], indirect=True)
async def test_a_subgraph_that_has_changed_takes_a_new_input_but_no_answer_until_it_is_mended(rig: Rig) -> None:
    async with rig.graph("nested", "first") as nested:
        asked = await nested.ainvoke({"words": ["in"]}, thread("answered"))
        await nested.ainvoke({"words": ["in"]}, thread("anew"))
        answer = Command(resume={asked["__interrupt__"][0].id: "yes"})

        lacking = await asyncio.to_thread(rig.deploy, "lacking")
        for _ in range(2):
            with pytest.raises(GraphChangedError, match="has to go on with 'outer/ask', and graph 'nested'"):
                await nested.ainvoke(answer, thread("answered"))
        anew = await nested.ainvoke({"words": ["again"]}, thread("anew"))
        assert anew["__interrupt__"][0].value == "well?"
        assert "has changed from" not in lacking.text()

        await asyncio.to_thread(rig.deploy, "mended")
        assert (await nested.ainvoke(answer, thread("answered")))["words"][-1] == "yes"
