"""Types of one's own in what graphs give and ask: rebuilt where the saver allows them, else an error names them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dapr_bridge import DaprSaver, DurableGraph, ValueNotKeptError
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.offering_worker import selling
from tests.kit.serving import start_serving
from tests.kit.sidecars import output_of, sqlite_sidecar, workflow_client

pytestmark = pytest.mark.anyio


@pytest.fixture
def sidecar(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar with a SQLite store."""
    with sqlite_sidecar("own-types", control_plane=control_plane, folder=tmp_path) as running:
        yield running


@contextmanager
def serving(sidecar: Sidecar, folder: Path, **env: str) -> Iterator[None]:
    """Run the worker."""
    command = [sys.executable, "-m", "tests.kit.offering_worker"]
    worker = Process(command, log=folder / "worker.log", env={**sidecar.environment(), **env})
    try:
        start_serving(worker)
        yield
    finally:
        worker.stop()


async def test_a_client_is_told_of_a_type_that_its_saver_does_not_allow(sidecar: Sidecar, tmp_path: Path) -> None:
    with (
        serving(sidecar, tmp_path, ALLOWS="yes"),
        DaprSaver("execution-state", address=sidecar.address) as saver,
    ):
        for graph in ("give", "ask"):
            async with DurableGraph(graph, saver=saver, address=sidecar.address, events=None) as client:
                with pytest.raises(ValueNotKeptError, match=r"own_types\.Offer; pass it to DaprSaver\(allowed_types"):
                    await client.ainvoke({}, on_thread(graph))


def test_a_workflow_is_given_the_types_that_its_workers_saver_allows(sidecar: Sidecar, tmp_path: Path) -> None:
    with serving(sidecar, tmp_path, ALLOWS="yes"), workflow_client(sidecar) as workflows:
        instance = workflows.schedule_new_workflow(selling, input="t")

        assert output_of(workflows, instance) == [7, 8]


def test_a_workflow_is_told_of_a_type_that_its_workers_saver_does_not_allow(sidecar: Sidecar, tmp_path: Path) -> None:
    with serving(sidecar, tmp_path), workflow_client(sidecar) as workflows:
        instance = workflows.schedule_new_workflow(selling, input="t")
        state = workflows.wait_for_workflow_completion(instance, timeout_in_seconds=20)

    assert state
    assert state.failure_details
    assert state.failure_details.error_type == "ValueNotKeptError"
    assert "own_types.Offer; pass it to DaprSaver(allowed_types" in state.failure_details.message
