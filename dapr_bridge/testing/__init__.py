"""A real Dapr for tests: on free ports, without Docker, to be killed at will."""

from dapr_bridge.testing.local_dapr import ControlPlane, Sidecar
from dapr_bridge.testing.one_sidecar import local_dapr
from dapr_bridge.testing.processes import Process, free_port, wait_until
from dapr_bridge.testing.runtime import Runtime, find_runtime

__all__ = ["ControlPlane", "Process", "Runtime", "Sidecar", "find_runtime", "free_port", "local_dapr", "wait_until"]
