"""A worker that keeps one checkpoint a thread, and dies while it deletes the others."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from dapr_bridge import DaprSaver, DurableGraph
from dapr_bridge.testing import ControlPlane, Process, Sidecar, wait_until
from tests.kit.client_rig import on_thread
from tests.kit.counter import FarEnd, far_end
from tests.kit.retention_worker import build_graphs
from tests.kit.serving import start_serving
from tests.kit.sidecars import sqlite_sidecar

pytestmark = pytest.mark.anyio


@dataclass(kw_only=True)
class Rig:
    """A sidecar whose workers die, each at its place."""

    sidecar: Sidecar
    saver: DaprSaver
    far: FarEnd
    folder: Path

    def worker(self, *, dies_after: int) -> Process:
        marker = self.folder / f"died-{dies_after}"
        env = {**self.sidecar.environment(), "FAR_END": self.far.url, "STORE": "execution-state", "MARKER": str(marker)}
        command = [sys.executable, "-m", "tests.kit.retention_worker"]
        log = self.folder / f"worker-{dies_after}.log"
        return Process(command, log=log, env={**env, "DIES_AFTER": str(dies_after)})

    def kinds_of(self, thread: str) -> Counter[str]:
        """Return how many documents of a thread there are, by kind, read past Dapr."""
        with closing(sqlite3.connect(self.folder / "execution.db")) as database:
            keys = [key.split("/") for (key,) in database.execute("SELECT key FROM state WHERE key LIKE '%||lg/%'")]
        return Counter(parts[1] for parts in keys if thread in parts)


@pytest.fixture(scope="module")
def rig(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("keep")
    sidecar = sqlite_sidecar("keep", control_plane=control_plane, folder=folder)
    with far_end() as far, sidecar, DaprSaver("execution-state", address=sidecar.address) as saver:
        yield Rig(sidecar=sidecar, saver=saver, far=far, folder=folder)


# Answers of the store: while the list of checkpoints gets shorter, and when documents are deleted.
@pytest.mark.parametrize("dies_after", [9, 16])
async def test_a_run_whose_worker_dies_while_it_deletes_old_checkpoints_ends_well(rig: Rig, dies_after: int) -> None:
    thread, worker = f"t-{dies_after}", rig.worker(dies_after=dies_after)
    graph = build_graphs(rig.far.url)["chain"]
    rig.far.marks.clear()
    start_serving(worker)
    with ExitStack() as ending:
        ending.callback(worker.stop)
        async with DurableGraph(
            graph, name="chain", saver=rig.saver, address=rig.sidecar.address, events=None
        ) as chain:
            task = asyncio.create_task(chain.ainvoke({"words": ["in"]}, on_thread(thread)))
            await asyncio.to_thread(wait_until, lambda: not worker.is_running, what="the worker to die")
            midway = await chain.aget_state(on_thread(thread))
            await asyncio.to_thread(start_serving, worker)
            output = await task
            states = [state.values async for state in chain.aget_state_history(on_thread(thread))]

    assert midway.values == output == {"words": ["in", "one", "two"]}
    assert states == [output]
    assert rig.far.counts() == {"one": 1, "two": 1}
    assert rig.kinds_of(thread) == {"T": 1, "H": 1, "U": 1, "C": 1, "B": 1, "L": 1}
