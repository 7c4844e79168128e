"""Every named shape tells through the bridge what it tells with `astream`."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dapr_bridge import DurableGraph
from tests.parity.difference import differences
from tests.parity.hosting import HostedShapes
from tests.parity.likeness import Likeness
from tests.parity.play import play, watched
from tests.parity.shape import Shape
from tests.parity.shapes import SHAPES
from tests.parity.sides import Event, Listening, NativeSide

if not hasattr(DurableGraph, "astream"):
    pytest.skip("DurableGraph does not stream yet", allow_module_level=True)

pytestmark = pytest.mark.anyio

# Steps follow one another; what tasks of one step tell comes as they run.
_IN_ORDER = frozenset({"values", "checkpoints"})


def told(events: Sequence[Event]) -> dict[str, list[str]]:
    """Return what was told, by mode: in its order where it has one."""
    by_mode: dict[str, list[str]] = {}
    for namespace, mode, payload in events:
        # Ids are not followed from event to event: their order of appearance may differ.
        by_mode.setdefault(mode, []).append(repr(Likeness().of([namespace, payload])))
    return {mode: each if mode in _IN_ORDER else sorted(each) for mode, each in by_mode.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_shape_tells_the_same_through_the_bridge(shape: Shape, hosted: HostedShapes) -> None:
    thread_id = f"{shape.name}-{hosted.unit}-events"
    graph, runs = watched(shape.build())
    native = Listening(NativeSide(graph))
    await play(shape, native, thread_id=thread_id, runs=runs)
    durable, side, runs = hosted.side(shape)
    bridged = Listening(side)
    async with durable:
        await play(shape, bridged, thread_id=thread_id, runs=runs)

    assert list(differences(told(native.heard), told(bridged.heard))) == []
