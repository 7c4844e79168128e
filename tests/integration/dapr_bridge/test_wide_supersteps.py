"""Supersteps of many tasks in unit `task`: in workflows of their own, on a real daprd."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, GraphFailedError, purge_threads
from dapr_bridge._workflows import Workflows
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.counter import FarEnd, far_end
from tests.kit.serving import start_serving
from tests.kit.sidecars import sqlite_sidecar
from tests.kit.wide_worker import build_wide_graph

pytestmark = pytest.mark.anyio


@dataclass(kw_only=True)
class Rig:
    """A sidecar, the worker, a far end, and the graph as a client sees it."""

    sidecar: Sidecar
    saver: DaprSaver
    far: FarEnd
    folder: Path
    worker: Process

    @property
    def mended(self) -> Path:
        """A file; while it is not there, a task fails."""
        return self.folder / "mended"

    def start_worker(self, release: str = "") -> None:
        """Start the worker in place of the one before."""
        env = {**self.sidecar.environment(), "FAR_END": self.far.url, "MENDED": str(self.mended), "RELEASE": release}
        log = self.folder / f"worker-{release or 'new'}.log"
        log.unlink(missing_ok=True)
        self.worker = Process([sys.executable, "-m", "tests.kit.wide_worker"], log=log, env=env)
        start_serving(self.worker)

    async def workflows_of(self, thread: str) -> list[str]:
        """Instance ids of the workflows that a run has led to; its own name is that of the thread."""
        with Workflows(self.sidecar.address) as workflows:
            return sorted(each for each in await workflows.instance_ids() if each.startswith(thread))

    async def history_of(self, instance_id: str) -> int:
        """How many events a workflow's history has."""
        with Workflows(self.sidecar.address) as workflows:
            return len(await workflows.history(instance_id))


@pytest.fixture(scope="module")
def shared(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One sidecar for the module."""
    folder = tmp_path_factory.mktemp("wide")
    sidecar = sqlite_sidecar("wide", control_plane=control_plane, folder=folder)
    with far_end() as far, sidecar, DaprSaver("execution-state", address=sidecar.address) as saver:
        worker = Process([sys.executable, "-c", ""], log=folder / "none.log", env={})
        rig = Rig(sidecar=sidecar, saver=saver, far=far, folder=folder, worker=worker)
        try:
            rig.start_worker()
            yield rig
        finally:
            rig.worker.stop()


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    """The same, with nothing mended and nothing counted yet."""
    shared.far.marks.clear()
    yield shared
    shared.mended.unlink(missing_ok=True)


@pytest.fixture
async def wide(rig: Rig) -> AsyncIterator[DurableGraph]:
    """The graph as a client sees it."""
    graph = build_wide_graph(rig.far.url, rig.mended)
    async with DurableGraph(graph, name="wide", saver=rig.saver, address=rig.sidecar.address, events=None) as durable:
        yield durable


def brought(width: int, **said: str) -> list[str]:
    """What comes of a run."""
    return [*(f"{n}: {said.get(f'n{n}', 'done')}" for n in range(width)), f"{width} in all"]


def works(width: int) -> dict[str, int]:
    """Each task once, and the last node."""
    return {**{f"work {n}": 1 for n in range(width)}, "close": 1}


async def test_a_wide_superstep_has_a_workflow_of_its_own(rig: Rig, wide: DurableGraph) -> None:
    output = await wide.ainvoke({"width": 25}, on_thread("own"), run_id="own")
    run, tasks = await rig.workflows_of("own")

    assert output["brought"] == brought(25)
    assert rig.far.counts() == works(25)
    assert await rig.history_of(tasks) > 50
    assert await rig.history_of(run) < 20


async def test_a_very_wide_one_has_several(rig: Rig, wide: DurableGraph) -> None:
    output = await wide.ainvoke({"width": 205}, {**on_thread("very"), "recursion_limit": 300}, run_id="very")

    assert output["brought"] == brought(205)
    assert rig.far.counts() == works(205)
    assert len(await rig.workflows_of("very")) == 1 + 9


async def test_a_narrow_one_has_none(rig: Rig, wide: DurableGraph) -> None:
    output = await wide.ainvoke({"width": 8}, on_thread("narrow"), run_id="narrow")

    assert output["brought"] == brought(8)
    assert await rig.workflows_of("narrow") == ["narrow"]


async def test_one_of_many_tasks_asks_and_the_others_are_not_run_again(rig: Rig, wide: DurableGraph) -> None:
    asked = await wide.ainvoke({"width": 20, "asks": 7}, on_thread("asks"))
    output = await wide.ainvoke(Command(resume="fine"), on_thread("asks"))

    assert [each.value for each in asked["__interrupt__"]] == ["what of 7?"]
    assert output["brought"] == brought(20, n7="fine")
    assert rig.far.counts() == {**works(20), "work 7": 2}


async def test_one_of_many_tasks_fails_and_is_run_again_alone(rig: Rig, wide: DurableGraph) -> None:
    with pytest.raises(GraphFailedError, match="11 is broken") as failed:
        await wide.ainvoke({"width": 20, "fails": 11}, on_thread("fails"))
    rig.mended.touch()
    output = await wide.ainvoke(None, on_thread("fails"))

    assert (failed.value.node, failed.value.error_type) == ("work", "ValueError")
    assert output["brought"] == brought(20)
    assert rig.far.counts() == {**works(20), "work 11": 2}


async def test_no_more_tasks_run_at_once_than_the_config_says(rig: Rig, wide: DurableGraph) -> None:
    for number in range(4):
        rig.far.hold(f"work {number}")
    config: Any = {**on_thread("few"), "max_concurrency": 4}
    running = asyncio.create_task(wide.ainvoke({"width": 60}, config))
    for number in range(4):
        await asyncio.to_thread(rig.far.wait_for, f"work {number}")
    # Were there others at work, they would come to an end.
    await asyncio.wait([running], timeout=1)
    at_first = rig.far.counts()
    for number in range(4):
        rig.far.release(f"work {number}")
    output = await running

    assert at_first == {f"work {n}": 1 for n in range(4)}
    assert output["brought"] == brought(60)
    assert rig.far.counts() == works(60)


async def test_a_killed_worker_repeats_only_what_was_not_saved(rig: Rig, wide: DurableGraph) -> None:
    held = {f"work {number}" for number in range(15, 20)}
    for mark in held:
        rig.far.hold(mark)
    running = asyncio.create_task(wide.ainvoke({"width": 20}, on_thread("killed")))
    await asyncio.to_thread(rig.far.wait_for, "work 19")
    while await _saved(wide, "killed") < 15:
        await asyncio.sleep(0.05)
    rig.worker.kill()
    for mark in held:
        rig.far.release(mark)
    await asyncio.to_thread(rig.start_worker)
    output = await running

    assert output["brought"] == brought(20)
    assert rig.far.counts() == {**works(20), **dict.fromkeys(held, 2)}


async def _saved(wide: DurableGraph, thread: str) -> int:
    """How many tasks of the superstep have their result saved."""
    state = await wide.aget_state(on_thread(thread))  # type: ignore[arg-type]
    return sum(task.result is not None for task in state.tasks)


async def test_purging_a_thread_takes_those_workflows_along(rig: Rig, wide: DurableGraph) -> None:
    await wide.ainvoke({"width": 20}, on_thread("purged"), run_id="purged")
    before = await rig.workflows_of("purged")
    await purge_threads(saver=rig.saver, threads=["purged"], dry_run=False)

    assert len(before) == 2
    assert await rig.workflows_of("purged") == []


async def test_a_run_that_an_earlier_release_began_ends_in_its_own_workflow(rig: Rig, wide: DurableGraph) -> None:
    await asyncio.to_thread(rig.worker.kill)
    await asyncio.to_thread(rig.start_worker, "without-apart")
    rig.far.hold("work 9")
    running = asyncio.create_task(wide.ainvoke({"width": 10}, on_thread("begun"), run_id="begun"))
    await asyncio.to_thread(rig.far.wait_for, "work 9")
    rig.worker.kill()
    rig.far.release("work 9")
    await asyncio.to_thread(rig.start_worker)
    output = await running

    assert output["brought"] == brought(10)
    assert await rig.workflows_of("begun") == ["begun"]


async def test_a_worker_of_an_earlier_release_is_made_do_with(rig: Rig, wide: DurableGraph) -> None:
    await asyncio.to_thread(rig.worker.kill)
    await asyncio.to_thread(rig.start_worker, "without-workflow")
    try:
        output = await wide.ainvoke({"width": 20}, on_thread("earlier"))
    finally:
        rig.worker.kill()
        await asyncio.to_thread(rig.start_worker)

    assert output["brought"] == brought(20)
    assert rig.far.counts() == works(20)
