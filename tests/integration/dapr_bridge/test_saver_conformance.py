"""LangGraph's own conformance suite, on a real daprd."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES

from dapr_bridge import DaprSaver
from dapr_bridge.testing import Sidecar
from tests.kit.stores import ALL_STORES

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("store", ALL_STORES)
async def test_all_base_capabilities_are_detected_and_pass(store: str, stores_sidecar: Sidecar) -> None:
    @checkpointer_test(name=f"DaprSaver on {store}")
    async def saver() -> AsyncIterator[DaprSaver]:
        with DaprSaver(store, address=stores_sidecar.address) as opened:
            yield opened

    report = await validate(saver)

    results = {each: report.results[each.value] for each in BASE_CAPABILITIES}
    assert [each.value for each, result in results.items() if not result.detected] == []
    assert {each.value: result.failures for each, result in results.items() if result.failures} == {}
    assert sum(result.tests_passed for result in results.values()) == 58
