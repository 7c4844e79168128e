"""LangGraph's own conformance suite, on a real daprd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES, EXTENDED_CAPABILITIES

from dapr_bridge import DaprSaver
from dapr_bridge.testing import Sidecar
from tests.kit.stores import ALL_STORES

pytestmark = pytest.mark.anyio


class SynchronousFace(DaprSaver):
    """The saver's synchronous methods under the names of the asynchronous ones, which the suite calls."""

    async def aput(self, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(self.put, *args, **options)

    async def aput_writes(self, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(self.put_writes, *args, **options)

    async def aget_tuple(self, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(self.get_tuple, *args, **options)

    async def alist(self, *args: Any, **options: Any) -> AsyncIterator[CheckpointTuple]:
        for found in await asyncio.to_thread(lambda: [*self.list(*args, **options)]):
            yield found

    async def adelete_thread(self, *args: Any, **options: Any) -> None:
        await asyncio.to_thread(self.delete_thread, *args, **options)

    async def adelete_for_runs(self, *args: Any, **options: Any) -> None:
        await asyncio.to_thread(self.delete_for_runs, *args, **options)

    async def acopy_thread(self, *args: Any, **options: Any) -> None:
        await asyncio.to_thread(self.copy_thread, *args, **options)

    async def aprune(self, *args: Any, **options: Any) -> None:
        await asyncio.to_thread(self.prune, *args, **options)


@pytest.mark.parametrize("store", ALL_STORES)
@pytest.mark.parametrize("face", [DaprSaver, SynchronousFace], ids=["async", "sync"])
async def test_all_capabilities_are_detected_and_pass(
    face: Callable[..., DaprSaver], store: str, stores_sidecar: Sidecar
) -> None:
    @checkpointer_test(name=f"DaprSaver on {store}")
    async def saver() -> AsyncIterator[DaprSaver]:
        with face(store, address=stores_sidecar.address) as opened:
            yield opened

    report = await validate(saver)

    base = {each.value for each in BASE_CAPABILITIES}
    extended = {each.value for each in EXTENDED_CAPABILITIES}
    assert {name for name, result in report.results.items() if result.detected} == base | extended
    assert {name: result.failures for name, result in report.results.items() if result.failures} == {}
    assert sum(report.results[name].tests_passed for name in base) == 58
    assert {name: report.results[name].tests_passed for name in extended} == {
        "delete_for_runs": 7,
        "copy_thread": 8,
        "prune": 8,
    }
