"""Run any LangGraph graph as a Dapr workflow."""

from dapr_bridge.calling import GraphResult, call_graph
from dapr_bridge.client import DurableGraph
from dapr_bridge.errors import (
    BridgeError,
    CallRefusedError,
    CheckpointNotFoundError,
    GraphChangedError,
    GraphFailedError,
    GraphNotFoundError,
    GraphRefusedError,
    LeaseHeldError,
    LocalDaprError,
    PayloadTooLargeError,
    RunCancelledError,
    RuntimeNotFoundError,
    StaleWriterError,
    StateStoreError,
    StateStoreNotFoundError,
    StateStoreUnavailableError,
    ThreadBusyError,
    UnansweredError,
    ValueNotFoundError,
    ValueNotKeptError,
)
from dapr_bridge.purging import PurgeReport, purge_threads
from dapr_bridge.reference import Reference
from dapr_bridge.saver import DaprSaver, Patience
from dapr_bridge.store import DaprStore
from dapr_bridge.waiting import wait_for
from dapr_bridge.worker import GraphWorker, Unit

__all__ = [
    "BridgeError",
    "CallRefusedError",
    "CheckpointNotFoundError",
    "DaprSaver",
    "DaprStore",
    "DurableGraph",
    "GraphChangedError",
    "GraphFailedError",
    "GraphNotFoundError",
    "GraphRefusedError",
    "GraphResult",
    "GraphWorker",
    "LeaseHeldError",
    "LocalDaprError",
    "Patience",
    "PayloadTooLargeError",
    "PurgeReport",
    "Reference",
    "RunCancelledError",
    "RuntimeNotFoundError",
    "StaleWriterError",
    "StateStoreError",
    "StateStoreNotFoundError",
    "StateStoreUnavailableError",
    "ThreadBusyError",
    "UnansweredError",
    "Unit",
    "ValueNotFoundError",
    "ValueNotKeptError",
    "call_graph",
    "purge_threads",
    "wait_for",
]
