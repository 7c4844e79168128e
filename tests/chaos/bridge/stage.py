"""All that can be killed: worker, daprd, placement, scheduler, store; around them what watches and counts."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from dapr.ext.workflow import DaprWorkflowClient
from dapr.ext.workflow.logger import LoggerOptions

from dapr_bridge import DaprSaver
from dapr_bridge._contexts import Running
from dapr_bridge.testing import ControlPlane, Process, Sidecar, wait_until
from tests.chaos.bridge.gateway import Gateway
from tests.chaos.bridge.moments import NODE, Moments
from tests.chaos.bridge.store_gate import StoreGate
from tests.chaos.bridge.stores import STORES, Store
from tests.chaos.bridge.worker import STORE, Hosted, Post, serve
from tests.kit.counter import FarEnd, far_end
from tests.kit.stores import write_component

Victim = Literal["worker", "daprd", "placement", "scheduler", "store"]
VICTIMS: tuple[Victim, ...] = ("worker", "daprd", "placement", "scheduler", "store")

_APP = "chaos"


@dataclass(kw_only=True)
class Worker:
    """A worker process, and the way by which its requests go."""

    name: str
    gateway: Gateway
    process: BaseProcess

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        """End it, and the way by which its requests go."""
        self.kill()
        self.gateway.stop()


class NodeMarks(FarEnd):
    """The far end of the nodes: marks are `thread/name/worker`, and each is a moment of its thread's run."""

    def __init__(self, url: str, moments: Moments) -> None:
        super().__init__(url)
        self._moments = moments

    def note(self, mark: str) -> None:
        """Record that a node runs, and wait while that is held."""
        thread_id, name, _ = mark.split("/")
        super().note(mark)
        # Of a generated graph's node, which task it is stands behind its name.
        self._moments.come_before(thread_id, f"{NODE}{name.partition('@')[0]}")

    def runs(self, thread_id: str) -> list[str]:
        """The names of the nodes that have run for a thread, in order."""
        with self._changed:
            return [mark.split("/")[1] for mark in self.marks if mark.split("/")[0] == thread_id]


class Stage(Running):
    """One store, one sidecar, a control plane of its own, and as many workers as are called for.

    Args:
        store: the store's name.
        folder: where files go.
        events: the name of a pub/sub component over which workers stream; they stream nothing without.
    """

    def __init__(self, store: str, folder: Path, *, events: str | None = None) -> None:
        self.name = store
        self._events = events
        self._folder = folder
        self.moments = Moments()
        self.store: Store = STORES[store](folder / "store")
        self.plane = ControlPlane(folder / "plane")
        resources = folder / "resources"
        self._store_gate = StoreGate(self.store.port, self.moments) if self.store.port else None
        self.store.write_component(resources, STORE, self._store_gate.port if self._store_gate else 0)
        if events:
            write_component(resources, events, "pubsub.in-memory")
        self.sidecar = Sidecar(_APP, control_plane=self.plane, resources=resources, folder=folder)
        self.workers: list[Worker] = []
        self._cut_off: list[Worker] = []
        self.lease: timedelta | None = None
        self._hosted: Hosted | None = None
        self._numbers = itertools.count(1)
        self._stack = ExitStack()

    def start(self) -> None:
        """Start everything, with one worker."""
        self._folder.mkdir(parents=True, exist_ok=True)
        into = self._stack.enter_context
        self.store.start()
        self._stack.callback(self.store.stop)
        if self._store_gate:
            self._stack.callback(self._store_gate.close)
        into(self.plane)
        into(self.sidecar)
        self.marks = into(far_end(lambda url: NodeMarks(url, self.moments)))
        self.saver = into(DaprSaver(STORE, address=self.sidecar.address))
        # What the client asks for is watched too; what it looks at is not.
        self._client_gateway = into(Gateway(self.sidecar.address, self.moments))
        self.client_address = self._client_gateway.address
        self.client = self._new_client(self.client_address)
        self.looking_client = self._new_client(self.sidecar.address)
        self._stack.callback(self._stop_workers)
        self.add_worker()

    def stop(self) -> None:
        """Stop everything."""
        self.moments.release_all()
        self._stack.close()

    def add_worker(self, *, is_connected: bool = True) -> Worker:
        """Start one more worker; without a connection it gets no work until its gateway gives it."""
        name = f"w{next(self._numbers)}"
        gateway = Gateway(self.sidecar.address, self.moments)
        gateway.start()
        if not is_connected:
            gateway.cut_work()
        log = self._folder / f"worker-{name}.log"
        post = Post(
            name=name,
            address=gateway.address,
            far_end=self.marks.url,
            log=log,
            lease=self.lease,
            hosted=self._hosted,
            events=self._events,
        )
        process = _forks().Process(target=serve, args=(post,), daemon=True)
        process.start()
        worker = Worker(name=name, gateway=gateway, process=process)
        self.workers.append(worker)
        return worker

    def remove_worker(self, worker: Worker) -> None:
        """End a worker for good."""
        self.workers.remove(worker)
        worker.end()

    def employ(self, *, lease: timedelta | None) -> None:
        """Have one worker that takes such leases, or none; as it is where there is one already."""
        if lease == self.lease and len(self.workers) == 1:
            return
        self.lease = lease
        self._stop_workers()
        self.add_worker()
        self.wait_until_well()

    def host(self, hosted: Hosted) -> None:
        """Have one worker, with another graph and nothing else."""
        self._hosted = hosted
        self._stop_workers()
        self.add_worker()
        self.wait_until_well()

    def kill(self, victim: Victim) -> None:
        """End a process with SIGKILL and start it again at once."""
        if victim == "worker":
            self.remove_worker(self.workers[0])
            self.add_worker()
        elif victim == "store":
            assert self.store.process is not None, f"a {self.name} store has no process of its own"
            self.store.process.kill()
            self.store.start()
        else:
            process = self._dapr(victim)
            process.kill()
            process.start()

    def cut_off(self) -> None:
        """Give the worker's work to another one; it lives on, until others are to be there."""
        worker = self.workers.pop(0)
        self._cut_off.append(worker)
        worker.gateway.cut_work()
        self.add_worker()

    def next_number(self) -> int:
        """Return a number that was not returned before."""
        return next(self._numbers)

    def wait_until_well(self) -> None:
        """Wait until everything is up again."""
        self.plane.wait_until_healthy()
        self.sidecar.process.wait_for(self.sidecar.is_healthy, what="the sidecar", seconds=60)
        for worker in self.workers:
            wait_until(lambda worker=worker: worker.gateway.is_connected, what=f"worker {worker.name}", seconds=60)

    def _dapr(self, victim: Victim) -> Process:
        others = {"daprd": self.sidecar.process, "placement": self.plane.placement, "scheduler": self.plane.scheduler}
        return others[victim]

    def _new_client(self, address: str) -> DaprWorkflowClient:
        host, _, port = address.rpartition(":")
        quiet = LoggerOptions(log_handler=logging.NullHandler())
        client = DaprWorkflowClient(host=host, port=port, logger_options=quiet)
        self._stack.callback(client.close)
        return client

    def _stop_workers(self) -> None:
        for worker in (*self.workers, *self._cut_off):
            worker.end()
        self.workers.clear()
        self._cut_off.clear()


def _forks() -> ForkServerContext:
    # A fork of a process that has loaded everything is up in a moment, where Python takes seconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.bridge.worker"])
    return context
