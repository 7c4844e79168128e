"""Types of one's own in what graphs give and ask: rebuilt where the saver allows them, else an error names them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dapr_bridge import DaprSaver, DurableGraph, GraphFailedError, ValueNotKeptError
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.offering_worker import selling
from tests.kit.own_types import Offer
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


async def test_an_error_names_what_cannot_be_kept_and_says_what_to_do(sidecar: Sidecar, tmp_path: Path) -> None:
    with (
        serving(sidecar, tmp_path),
        DaprSaver("execution-state", address=sidecar.address) as saver,
    ):

        async def error_of(graph: str, given: Any, **others: Any) -> tuple[type, str, str]:
            async with DurableGraph(graph, saver=saver, address=sidecar.address, events=None) as client:
                with pytest.raises((GraphFailedError, ValueNotKeptError)) as caught:
                    await client.ainvoke(given, on_thread(graph), **others)
            return type(caught.value), getattr(caught.value, "error_type", ""), str(caught.value)

        by_context = await error_of("give", {}, context={"who": len})
        by_input = await error_of("give", {"offer": Offer(7)})
        by_node = await error_of("spoil", {})

    assert by_context[:2] == (ValueNotKeptError, "")
    assert "the context, at ['who'], holds a builtin_function_or_method" in by_context[2]
    assert by_input[:2] == by_node[:2] == (GraphFailedError, "ValueNotKeptError")
    assert "the input holds tests.kit.own_types.Offer; pass it to DaprSaver(allowed_types=[...])" in by_input[2]
    assert "channel 'offer' holds a builtin_function_or_method" in by_node[2]
    assert "; give plain data, or a dataclass or pydantic model" in by_node[2]


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
