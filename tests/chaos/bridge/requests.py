"""What a request to a sidecar is about: which thread, and what kind of moment it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dapr.ext.workflow._durabletask.internal import orchestrator_service_pb2 as workflows
from dapr.proto import api_v1

_KINDS = {"C": "checkpoint", "W": "writes", "K": "lease", "L": "claim", "H": "head", "P": "value"}
"""By the letter in the saver's keys; what comes first gives the request its name."""

Subject = tuple[str, str]
"""A thread and a kind."""


def subject_of(method: str, request: bytes) -> Subject | None:
    """Return what a request is about; None when it is none that a run is killed at."""
    read = _READERS.get(method.rpartition("/")[2])
    return read(request) if read else None


def _of_save(request: bytes) -> Subject | None:
    return _of_keys(item.key for item in api_v1.SaveStateRequest.FromString(request).states)


def _of_transaction(request: bytes) -> Subject | None:
    parsed = api_v1.ExecuteStateTransactionRequest.FromString(request)
    return _of_keys(operation.request.key for operation in parsed.operations)


def _of_keys(keys: Iterable[str]) -> Subject | None:
    threads: dict[str, str] = {}
    for key in keys:
        _, letter, thread_id, *_ = *key.split("/"), "", "", ""
        threads.setdefault(letter, thread_id)
    return next(((threads[letter], kind) for letter, kind in _KINDS.items() if letter in threads), None)


def _of_activity_end(request: bytes) -> Subject:
    return workflows.ActivityResponse.FromString(request).instanceId, "acknowledgement"


def _of_turn(request: bytes) -> Subject:
    return workflows.WorkflowResponse.FromString(request).instanceId, "turn"


def _of_event(request: bytes) -> Subject:
    return workflows.RaiseEventRequest.FromString(request).instanceId, "event"


_READERS: Mapping[str, Callable[[bytes], Subject | None]] = {
    "SaveState": _of_save,
    "ExecuteStateTransaction": _of_transaction,
    "CompleteActivityTask": _of_activity_end,
    "CompleteOrchestratorTask": _of_turn,
    "CompleteWorkflowTask": _of_turn,
    "RaiseEvent": _of_event,
}
