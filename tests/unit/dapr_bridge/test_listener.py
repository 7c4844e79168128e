"""What is told at the end of an attempt of what it has not told yet."""

from __future__ import annotations

import pytest

from dapr_bridge import DaprSaver, StaleWriterError
from dapr_bridge._events import StreamRequest
from dapr_bridge._streaming import Listener
from dapr_bridge.errors import ThreadLostError

pytestmark = pytest.mark.anyio

VALUES = {"words": ["in"]}


class Told:
    """An `EventSink` that remembers."""

    def __init__(self) -> None:
        self.events: list[object] = []

    async def emit(self, _: tuple[str, ...], __: str, payload: object, *, key: str) -> None:
        assert key
        self.events.append(payload)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, [VALUES]),
        (ValueError("a node failed"), [VALUES]),
        (StaleWriterError(thread_id="t", namespace="", parent="a", latest="b"), []),
        (ThreadLostError("its thread is no longer its own"), []),
    ],
    ids=repr,
)
async def test_values_of_a_checkpoint_that_another_attempt_makes_are_left_to_that_one(
    error: Exception | None, told: list[object]
) -> None:
    sink, wanted = Told(), StreamRequest(modes=["values"], subgraphs=False, topic="t")
    with DaprSaver("never-asked") as saver:
        listener = Listener(
            saver,
            sink,
            wanted=wanted,
            config={"configurable": {"thread_id": "t"}},
            attempt=2,
            handlers={},
        )
        await listener.hear((), "values", VALUES)
        assert not sink.events
        await listener.__aexit__(type(error) if error else None, error, None)

    assert sink.events == told
