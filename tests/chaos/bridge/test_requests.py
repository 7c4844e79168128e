"""Requests of a worker to its sidecar, by the names of the moments that they make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dapr.proto import api_v1, common_v1

from dapr_bridge.saver.keys import checkpoint_key, claim_key, drain_key, lease_key
from tests.chaos.bridge.requests import looks_at, subject_of

LEASE: dict[str, Any] = {"owner": "w1", "token": 1, "seconds": 3.0, "key": "k", "beat": 0}
CLAIM: dict[str, Any] = {"run_id": "", "ended": {"a": {"status": "finished"}, "b": {"status": "drained"}}}


def document(content: object) -> bytes:
    return b"\x00" + json.dumps(content).encode()


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        (lease_key("task-7/0/id"), document(LEASE), "lease taken"),
        (lease_key("task-7/0"), document({**LEASE, "beat": 1}), "lease renewed"),
        (lease_key("task-7/0"), document({**LEASE, "key": ""}), "lease released"),
        (lease_key("task-7/0"), b"", "lease released"),
        (drain_key("task-7.1"), document("the shift ends"), "drain wish"),
        (drain_key("task-7/1"), b"", "drain wish removed"),
        (claim_key("task-7"), document(CLAIM), "drained outcome"),
        (claim_key("task-7"), document({**CLAIM, "run_id": "task-7.1"}), "claim"),
        (claim_key("task-7"), document({**CLAIM, "ended": {}}), "claim"),
        (claim_key("task-7"), b"", "claim"),
        (checkpoint_key("task-7", "", "c"), b"\x00", "checkpoint"),
    ],
)
@pytest.mark.parametrize("method", ["SaveState", "ExecuteStateTransaction"])
def test_a_write_is_named_by_what_it_says_of_its_thread(method: str, key: str, value: bytes, kind: str) -> None:
    item = common_v1.StateItem(key=key, value=value)
    operation = api_v1.TransactionalStateOperation(operationType="upsert", request=item)
    request = {
        "SaveState": api_v1.SaveStateRequest(states=[item]),
        "ExecuteStateTransaction": api_v1.ExecuteStateTransactionRequest(operations=[operation]),
    }[method]

    assert subject_of(f"/dapr/{method}", request.SerializeToString()) == ("task-7", kind)


def test_of_what_is_read_leases_and_wishes_to_drain_are_told() -> None:
    keys = [lease_key("task-7/0"), drain_key("task-7/0"), claim_key("task-7")]
    request = api_v1.GetBulkStateRequest(keys=keys).SerializeToString()

    assert looks_at("/dapr/GetBulkState", request) == {"lease", "drain"}
    assert looks_at("/dapr/GetState", request) == frozenset()
