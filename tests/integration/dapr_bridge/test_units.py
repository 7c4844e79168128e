"""Graphs in both units, on a real daprd, in a worker process that is killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, GraphFailedError
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.counter import FarEnd, far_end
from tests.kit.sample_worker import build_failing_graph, build_sample_graph
from tests.kit.serving import start_serving
from tests.kit.sidecars import output_of, sqlite_sidecar, workflow_client

pytestmark = pytest.mark.anyio


@dataclass(kw_only=True)
class Rig:
    """One sidecar, one worker process, one far end."""

    sidecar: Sidecar
    worker: Process
    far: FarEnd
    mended: Path

    def start_worker(self) -> None:
        """Start the worker, also after a kill, and wait until it serves."""
        start_serving(self.worker)


@pytest.fixture(params=["run", "task"])
def rig(control_plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A fresh sidecar with a SQLite store, and a worker on it."""
    sidecar = sqlite_sidecar("sample", control_plane=control_plane, folder=tmp_path)
    with far_end() as far, sidecar:
        env = {**sidecar.environment(), "FAR_END": far.url, "MENDED": str(tmp_path / "mended"), "UNIT": request.param}
        worker = Process([sys.executable, "-m", "tests.kit.sample_worker"], log=tmp_path / "worker.log", env=env)
        built = Rig(sidecar=sidecar, worker=worker, far=far, mended=tmp_path / "mended")
        built.start_worker()
        try:
            yield built
        finally:
            worker.stop()


@pytest.fixture
async def sample(rig: Rig) -> AsyncIterator[DurableGraph]:
    """The sample graph as a client sees it."""
    with DaprSaver("execution-state", address=rig.sidecar.address) as saver:
        graph = build_sample_graph(rig.far.url)
        async with DurableGraph(graph, name="sample", saver=saver, address=rig.sidecar.address) as durable:
            yield durable


def thread(name: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": name}}


async def native(url: str) -> tuple[list[str], list[str]]:
    """What plain LangGraph makes of the sample graph: the words at the question and at the end."""
    graph = build_sample_graph(url).copy({"checkpointer": InMemorySaver()})
    asked = await graph.ainvoke({"words": ["in"]}, thread("native"))
    ended = await graph.ainvoke(Command(resume="yes"), thread("native"))
    return asked["words"], ended["words"]


async def test_a_graph_means_the_same_as_with_ainvoke(rig: Rig, sample: DurableGraph) -> None:
    asked_words, ended_words = await native(rig.far.url)

    asked = await sample.ainvoke({"words": ["in"]}, thread("t"))
    state = await sample.aget_state(thread("t"))
    ended = await sample.ainvoke(Command(resume={asked["__interrupt__"][0].id: "yes"}), thread("t"))

    assert asked["words"] == asked_words
    assert asked["__interrupt__"][0].value == "go on?"
    assert state.next == ("ask",)
    assert ended == {"words": ended_words}
    assert [each.metadata["step"] async for each in sample.aget_state_history(thread("t"))] == [4, 3, 2, 1, 0, -1]


async def test_nodes_that_were_saved_are_not_run_again_after_the_worker_is_killed(
    rig: Rig, sample: DurableGraph
) -> None:
    rig.far.hold("work-1")
    running = asyncio.create_task(sample.ainvoke({"words": ["in"]}, thread("t")))
    for mark in ("work-0", "work-1", "work-2"):
        await asyncio.to_thread(rig.far.wait_for, mark)
    await _until_saved(sample, 2)

    rig.worker.kill()
    rig.far.release("work-1")
    await asyncio.to_thread(rig.start_worker)
    asked = await asyncio.wait_for(running, 60)

    assert asked["words"] == ["in", "first", "work-0", "work-1", "work-2", "5 words"]
    assert rig.far.counts() == {"first": 1, "work-0": 1, "work-1": 2, "work-2": 1, "join": 1}


async def test_a_run_that_is_delivered_again_to_a_living_worker_is_joined(rig: Rig, sample: DurableGraph) -> None:
    rig.far.hold("work-1")
    running = asyncio.create_task(sample.ainvoke({"words": ["in"]}, thread("t")))
    for mark in ("work-0", "work-1", "work-2"):
        await asyncio.to_thread(rig.far.wait_for, mark)

    rig.sidecar.kill()
    await asyncio.to_thread(rig.sidecar.start)
    running.cancel()
    await _until_logged(rig, "delivered again and joined")
    rig.far.release("work-1")
    await asyncio.to_thread(rig.far.wait_for, "join")

    assert rig.far.counts() == {"first": 1, "work-0": 1, "work-1": 1, "work-2": 1, "join": 1}


async def test_a_failed_node_is_an_error_and_the_same_run_goes_on_when_it_is_mended(rig: Rig) -> None:
    output = await _mend_after_failure(rig, lambda: asyncio.to_thread(rig.mended.touch))

    assert output["failures"] == ["fragile: RuntimeError: the far end is broken"]
    assert output["output"] == {"words": ["in", "before", "mended"]}
    assert rig.far.counts() == {"before": 1, "fragile": 2}


async def test_a_run_goes_on_from_a_state_that_was_mended_by_hand(rig: Rig) -> None:
    async def mend() -> None:
        with DaprSaver("execution-state", address=rig.sidecar.address) as saver:
            graph = build_failing_graph(rig.far.url).copy({"checkpointer": saver})
            await graph.aupdate_state(thread("t"), {"words": ["by hand"]}, as_node="before")
        rig.mended.touch()

    output = await _mend_after_failure(rig, mend)

    assert output["output"] == {"words": ["in", "before", "by hand", "mended"]}
    assert rig.far.counts() == {"before": 1, "fragile": 2}


async def test_a_failed_run_raises_at_its_caller_with_node_and_task(rig: Rig) -> None:
    with DaprSaver("execution-state", address=rig.sidecar.address) as saver:
        graph = build_failing_graph(rig.far.url)
        async with DurableGraph(graph, name="failing", saver=saver, address=rig.sidecar.address) as failing:
            with pytest.raises(GraphFailedError) as caught:
                await failing.ainvoke({"words": ["in"]}, thread("t"))
            state = await failing.aget_state(thread("t"))

    assert (caught.value.node, caught.value.error_type) == ("fragile", "RuntimeError")
    assert caught.value.task_id == state.tasks[0].id


async def _mend_after_failure(rig: Rig, mend: Callable[[], Awaitable[None]]) -> Any:
    """Start the workflow `retrying`, mend what fails in it, and return its output."""
    with workflow_client(rig.sidecar) as client:
        instance = await asyncio.to_thread(
            client.schedule_new_workflow, "retrying", input="t", instance_id="retrying-1"
        )
        await _until_logged(rig, "run failed")
        await mend()
        await asyncio.to_thread(client.raise_workflow_event, instance, "mended")
        return await asyncio.to_thread(output_of, client, instance)


async def _until_saved(graph: DurableGraph, tasks: int) -> None:
    async with asyncio.timeout(30):
        while True:
            state = await graph.aget_state(thread("t"))
            if len([task for task in state.tasks if task.result is not None]) == tasks:
                return
            await asyncio.sleep(0.02)


async def _until_logged(rig: Rig, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in rig.worker.text():
            await asyncio.sleep(0.05)
