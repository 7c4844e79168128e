"""One sidecar, a far end, and worker processes beside the client that a test holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dapr_bridge import DaprSaver, DurableGraph
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.client_worker import build_graphs
from tests.kit.counter import FarEnd, far_end
from tests.kit.serving import start_serving
from tests.kit.sidecars import sqlite_sidecar


@dataclass(kw_only=True)
class ClientRig:
    """What a test of the client works with."""

    sidecar: Sidecar
    far: FarEnd
    saver: DaprSaver
    folder: Path
    workers: list[Process] = field(default_factory=list[Process])

    def start_worker(self, **env: str) -> Process:
        """Start one more worker and wait until it is ready."""
        worker = Process(
            [sys.executable, "-m", "tests.kit.client_worker"],
            log=self.folder / f"worker-{len(self.workers)}.log",
            env={**self.sidecar.environment(), "FAR_END": self.far.url, **env},
        )
        self.workers.append(worker)
        start_serving(worker)
        return worker

    def client(self, name: str, **given: Any) -> DurableGraph:
        """Return a graph as a client sees it."""
        graph = build_graphs(self.far.url)[name]
        return DurableGraph(graph, name=name, saver=self.saver, address=self.sidecar.address, **given)


@contextmanager
def client_rig(control_plane: ControlPlane, folder: Path) -> Iterator[ClientRig]:
    """Run a fresh sidecar with a SQLite store and an in-memory pub/sub, and one worker on it."""
    sidecar = sqlite_sidecar("client", control_plane=control_plane, folder=folder, streams=True)
    with far_end() as far, sidecar, DaprSaver("execution-state", address=sidecar.address) as saver:
        rig = ClientRig(sidecar=sidecar, far=far, saver=saver, folder=folder)
        try:
            rig.start_worker()
            yield rig
        finally:
            for worker in rig.workers:
                worker.stop()


def on_thread(name: str) -> dict[str, dict[str, str]]:
    """A config that names a thread."""
    return {"configurable": {"thread_id": name}}
