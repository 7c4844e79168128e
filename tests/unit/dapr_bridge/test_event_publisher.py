"""What a worker publishes of an event that it cannot encode."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge._events import EventPublisher

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]


class Published:
    """Stands for the pub/sub component, and keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def publish(self, _: str, data: bytes) -> None:
        self.events.append(json.loads(data))


@pytest.mark.parametrize("beside", [None, {1}], ids=["plain", "beside a set"])
async def test_a_value_that_holds_itself_is_told_as_an_error(beside: Any) -> None:
    held: dict[str, Any] = {"beside": beside}
    held["self"] = held
    bus: Any = Published()
    saver: Any = SimpleNamespace(serde=JsonPlusSerializer())

    publisher = EventPublisher(bus, saver, topic="t", run_id="r", attempt=1)
    await publisher.emit((), "custom", held, key="k")

    [event] = bus.events
    assert "recursion" in json.dumps(event).lower()
