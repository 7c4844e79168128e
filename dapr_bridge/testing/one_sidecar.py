"""A whole Dapr in one call: control plane, sidecar, a state store and a pub/sub."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dapr_bridge.testing.local_dapr import ControlPlane, Sidecar

_COMPONENTS = """apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: execution-state
spec:
  type: state.sqlite
  version: v1
  metadata:
  - {name: connectionString, value: execution-state.db}
  - {name: busyTimeout, value: 10s}
  - {name: actorStateStore, value: "true"}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: message-pubsub
spec:
  type: pubsub.in-memory
  version: v1
"""


@contextmanager
def local_dapr(folder: Path, *, app_id: str = "app") -> Generator[Sidecar]:
    """Run a Dapr of one's own until the block ends, with what a `GraphWorker` needs by default.

    The state store `execution-state` is a SQLite file in `folder`, the pub/sub `message-pubsub` is in memory.
    """
    resources = folder / "components"
    resources.mkdir(parents=True, exist_ok=True)
    (resources / "components.yaml").write_text(_COMPONENTS)
    with (
        ControlPlane(folder) as plane,
        Sidecar(app_id, control_plane=plane, resources=resources, folder=folder) as sidecar,
    ):
        yield sidecar
