"""A worker that was cut off in the middle of a workflow's turn keeps its answer back when it is too late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowContext

from dapr_bridge import DaprSaver, GraphWorker
from dapr_bridge._names import WAKING_EVENT
from dapr_bridge._workflows import Workflows
from dapr_bridge.testing import Sidecar, local_dapr, wait_until
from tests.chaos.bridge.gateway import Gateway
from tests.chaos.bridge.moments import Moments
from tests.parity.hosting import collect_event_loops

# The SDK leaves a worker's event loop open.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """A Dapr of the test's own."""
    with local_dapr(tmp_path) as running:
        yield running


class LongTurns:
    """A workflow that waits for two events, and is long at work when the first has come."""

    def __init__(self) -> None:
        self.turns = [threading.Event(), threading.Event()]
        self.begun = 0

    def run(self, ctx: DaprWorkflowContext, _: Any) -> Iterator[Any]:
        """Wait for both."""
        first, second = ctx.wait_for_external_event("first"), ctx.wait_for_external_event("second")
        yield first
        number, self.begun = self.begun, self.begun + 1
        self.turns[number].wait(timeout=60)
        yield second
        return "both"


async def test_results_that_came_after_a_worker_was_cut_off_are_not_lost_to_its_late_answer(sidecar: Sidecar) -> None:
    workflow = LongTurns()
    with (
        Gateway(sidecar.address, Moments()) as gateway,
        DaprSaver("execution-state", address=sidecar.address) as saver,
        Workflows(sidecar.address) as workflows,
        ThreadPoolExecutor(1) as thread,
    ):
        worker = GraphWorker(graphs={}, saver=saver, address=gateway.address)
        worker.runtime.register_workflow(workflow.run, name="long-turns")
        with worker:
            await workflows.start("long-turns", instance_id="wf", record={})
            await workflows.raise_event("wf", "first", data=None)
            wait_until(lambda: workflow.begun == 1, what="the first turn")
            # It stands in line until the turn is over, or its worker lost.
            thread.submit(asyncio.run, workflows.raise_event("wf", "second", data=None))
            gateway.cut_work()
            gateway.give_work()
            wait_until(lambda: workflow.begun == 2, what="the second turn")

            workflow.turns[0].set()
            workflow.turns[1].wait(timeout=0.5)
            workflow.turns[1].set()
            ended = await workflows.end("wf")
            events = await workflows.history("wf")
    collect_event_loops()

    assert ended
    assert ended.serialized_output == '"both"'
    assert WAKING_EVENT not in [each.eventRaised.name for each in events]
