"""A worker that was cut off in the middle of a workflow's turn keeps its answer back when it is too late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowContext, WorkflowState

from dapr_bridge import DaprSaver, GraphWorker
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
        if number < len(self.turns):
            self.turns[number].wait(timeout=60)
        yield second
        return "both"


async def test_results_that_came_after_a_worker_was_cut_off_are_not_lost_to_its_late_answer(sidecar: Sidecar) -> None:
    ended, late = await end_of_a_workflow_whose_worker_is_cut_off(sidecar)
    collect_event_loops()

    assert ended
    assert ended.serialized_output == '"both"'
    assert late == 0


async def end_of_a_workflow_whose_worker_is_cut_off(sidecar: Sidecar) -> tuple[WorkflowState | None, int]:
    """Return how it stands, and how many answers its worker has sent that came too late."""
    workflow, moments = LongTurns(), Moments()
    moments.follow("wf")
    with (
        Gateway(sidecar.address, moments) as gateway,
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

            answers = _answers(moments)
            workflow.turns[0].set()
            await asyncio.sleep(0.5)
            late = _answers(moments) - answers
            workflow.turns[1].set()
            return await workflows.end("wf"), late


def _answers(moments: Moments) -> int:
    return sum(each.kind == "turn" and each.side == "before" for each in moments.seen())
