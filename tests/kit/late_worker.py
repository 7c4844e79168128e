"""Graphs on a worker that runs already: starting one for each of hundreds of graphs would take most of the time."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from dapr.ext.workflow import WorkflowRuntime
from dapr.ext.workflow.logger import LoggerOptions
from langgraph.pregel import Pregel

from dapr_bridge import DaprSaver, GraphWorker, Unit
from dapr_bridge._contexts import Running

Activity = Callable[..., Awaitable[Any]]


def _as_it_is(activity: Activity) -> Activity:
    return activity


class LateWorker(Running):
    """A Dapr workflow runtime to which graphs are added while it runs.

    Each graph has a `GraphWorker` of its own, whose workflows and activities are served by this runtime. The SDK looks
    a name up when work of that name arrives, so that what is registered late is found.

    Args:
        unit: the unit in which the graphs run.
        address: the sidecar's gRPC address.
        wrap: put around every activity.
    """

    def __init__(self, *, unit: Unit, address: str, wrap: Callable[[Activity], Activity] = _as_it_is) -> None:
        self._unit: Unit = unit
        self._address = address
        self._wrap = wrap
        host, _, port = address.rpartition(":")
        self._runtime = WorkflowRuntime(host=host, port=port, logger_options=LoggerOptions())
        self._numbers = itertools.count(1)
        self._workers: list[GraphWorker] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def host(self, graph: Pregel[Any, Any, Any, Any], *, saver: DaprSaver) -> str:
        """Serve a graph from now on; returns the name that it got."""
        name = f"g{next(self._numbers)}"
        worker = GraphWorker(graphs={name: graph}, saver=saver, unit=self._unit, address=self._address)
        ours, theirs = _registry(self._runtime), _registry(worker.runtime)
        ours.orchestrators.update(theirs.orchestrators)
        ours.versioned_orchestrators.update(theirs.versioned_orchestrators)
        ours.latest_versioned_orchestrators_version_name.update(theirs.latest_versioned_orchestrators_version_name)
        ours.activities.update(
            {key: self._noting_loop(self._wrap(activity)) for key, activity in theirs.activities.items()}
        )
        # What else a worker starts is its own; its runtime is this one.
        worker.runtime.start = worker.runtime.shutdown = lambda: None
        worker.start()
        self._workers.append(worker)
        return name

    def release(self) -> None:
        """Let go of the graphs that were hosted until now."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def start(self) -> None:
        """Take work."""
        self._runtime.start()

    def stop(self) -> None:
        """Take no more, for good."""
        self.release()
        self._runtime.shutdown()
        # Dapr's SDK leaves its event loop open.
        if self._loop and not self._loop.is_running():
            self._loop.close()

    def _noting_loop(self, activity: Activity) -> Activity:
        @functools.wraps(activity)
        async def noting(*arguments: Any) -> Any:
            self._loop = asyncio.get_running_loop()
            return await activity(*arguments)

        return noting


def _registry(runtime: WorkflowRuntime) -> Any:
    # The one place that knows of it.
    return runtime._WorkflowRuntime__worker._registry
