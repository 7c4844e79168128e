"""Sidecars over a SQLite file, and their workflows as a test sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dapr.ext.workflow import DaprWorkflowClient, WorkflowState

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.stores import write_component, write_sqlite_store


def sqlite_sidecar(
    app_id: str, *, control_plane: ControlPlane, folder: Path, store: str = "execution-state", streams: bool = False
) -> Sidecar:
    """Return a sidecar whose one state store is for threads and workflows; one that `streams` has a pub/sub too."""
    resources = folder / "resources"
    write_sqlite_store(resources, store, folder / "execution.db", actors=True)
    if streams:
        write_component(resources, "message-pubsub", "pubsub.in-memory")
    return Sidecar(app_id, control_plane=control_plane, resources=resources, folder=folder)


@contextmanager
def workflow_client(sidecar: Sidecar) -> Iterator[DaprWorkflowClient]:
    """Return a client of Dapr's own."""
    with closing(DaprWorkflowClient(host="127.0.0.1", port=str(sidecar.grpc_port))) as client:
        yield client


def output_of(client: DaprWorkflowClient, instance: str) -> Any:
    """Wait for the end of a workflow that ends well, and return what it has returned."""
    state: WorkflowState | None = client.wait_for_workflow_completion(instance, timeout_in_seconds=60)
    assert state is not None
    assert state.runtime_status.name == "COMPLETED", state.failure_details
    return json.loads(state.serialized_output)
