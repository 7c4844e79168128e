"""What a request to a sidecar is about: which thread, and what kind of moment it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from dapr.ext.workflow._durabletask.internal import orchestrator_service_pb2 as workflows
from dapr.proto import api_v1

LEASE_TAKEN, LEASE_RENEWED, LEASE_RELEASED = "lease taken", "lease renewed", "lease released"
DRAIN_WISH, DRAINED, DRAIN_FORGOTTEN = "drain wish", "drained outcome", "drain wish removed"
"""Kinds of moments: a lease as it comes and goes, and a run as it is drained."""

_KINDS = {"C": "checkpoint", "W": "writes", "K": "lease", "L": "claim", "D": "drain", "H": "head", "P": "value"}
"""By the letter in the saver's keys; what comes first gives the request its name."""

_LOOKED_AT = frozenset({"lease", "drain"})

# Of the id of a run, or of a workflow that belongs to it, what stands before its number.
_NUMBERED = re.compile(r"[/.:]")

Subject = tuple[str, str]
"""A thread and a kind."""


def subject_of(method: str, request: bytes) -> Subject | None:
    """Return what a request is about; None when it is none that a run is killed at."""
    read = _READERS.get(method.rpartition("/")[2])
    return read(request) if read else None


def looks_at(method: str, request: bytes) -> frozenset[str]:
    """Return the kinds of what a request only reads: a lease that is waited for, a wish that a run be drained."""
    if method.rpartition("/")[2] != "GetBulkState":
        return frozenset()
    keys = api_v1.GetBulkStateRequest.FromString(request).keys
    return _LOOKED_AT & {_KINDS.get(_letter_of(key), "") for key in keys}


def _of_save(request: bytes) -> Subject | None:
    return _of_items(api_v1.SaveStateRequest.FromString(request).states)


def _of_transaction(request: bytes) -> Subject | None:
    parsed = api_v1.ExecuteStateTransactionRequest.FromString(request)
    return _of_items(operation.request for operation in parsed.operations)


def _of_items(items: Iterable[Any]) -> Subject | None:
    by_letter: dict[str, Any] = {}
    for item in items:
        by_letter.setdefault(_letter_of(item.key), item)
    for letter, kind in _KINDS.items():
        if letter in by_letter:
            item = by_letter[letter]
            return _thread_of(item.key), _NAMES[letter](item.value) if letter in _NAMES else kind
    return None


def _letter_of(key: str) -> str:
    _, _, rest = key.partition("/")
    return rest.partition("/")[0]


def _thread_of(key: str) -> str:
    part = f"{key}///".split("/")[2]
    return _NUMBERED.split(unquote(part))[0]


def _content(value: bytes) -> Mapping[str, Any]:
    """Return what a small document says; nothing of one that is deleted."""
    # Before the document there is a byte that says that it is whole.
    return json.loads(value[1:]) if value else {}


def _name_of_lease(value: bytes) -> str:
    lease = _content(value)
    if not lease.get("key"):
        return LEASE_RELEASED
    return LEASE_RENEWED if lease["beat"] else LEASE_TAKEN


def _name_of_claim(value: bytes) -> str:
    claim = _content(value)
    ends = [] if claim.get("run_id") else list(claim.get("ended", {}).values())
    return DRAINED if ends and ends[-1]["status"] == "drained" else "claim"


def _name_of_drain(value: bytes) -> str:
    return DRAIN_WISH if value else DRAIN_FORGOTTEN


def _of_activity_end(request: bytes) -> Subject:
    return _thread_of_instance(workflows.ActivityResponse.FromString(request).instanceId), "acknowledgement"


def _of_turn(request: bytes) -> Subject:
    return _thread_of_instance(workflows.WorkflowResponse.FromString(request).instanceId), "turn"


def _of_event(request: bytes) -> Subject:
    return _thread_of_instance(workflows.RaiseEventRequest.FromString(request).instanceId), "event"


def _thread_of_instance(instance_id: str) -> str:
    return _NUMBERED.split(instance_id)[0]


_NAMES: Mapping[str, Callable[[bytes], str]] = {"K": _name_of_lease, "L": _name_of_claim, "D": _name_of_drain}

_READERS: Mapping[str, Callable[[bytes], Subject | None]] = {
    "SaveState": _of_save,
    "ExecuteStateTransaction": _of_transaction,
    "CompleteActivityTask": _of_activity_end,
    "CompleteOrchestratorTask": _of_turn,
    "CompleteWorkflowTask": _of_turn,
    "RaiseEvent": _of_event,
}
