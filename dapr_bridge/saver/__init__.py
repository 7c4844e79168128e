"""The checkpointer over Dapr state."""

from dapr_bridge.saver.saver import DaprSaver
from dapr_bridge.saver.sidecar import Patience

__all__ = ["DaprSaver", "Patience"]
