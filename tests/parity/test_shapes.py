"""Every named shape means through the bridge what it means with `ainvoke`."""

from __future__ import annotations

import pytest

from tests.parity.difference import differences
from tests.parity.hosting import HostedShapes
from tests.parity.likeness import Likeness
from tests.parity.play import play, watched
from tests.parity.shape import Shape
from tests.parity.shapes import SHAPES
from tests.parity.sides import NativeSide

pytestmark = pytest.mark.anyio


# A message without an id, written by a task whose superstep is not over, has another id at each read of LangGraph's.
# In unit `task` Python 3.11 comes to save it when it has one; later ones save it before, as LangGraph does.
_MADE_UP_IDS = frozenset({"react_agent_whose_tools_ask"})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_a_shape_means_the_same_through_the_bridge(shape: Shape, hosted: HostedShapes) -> None:
    keeps_ids = hosted.unit == "task" and shape.name in _MADE_UP_IDS
    graph, runs = watched(shape.build())
    thread_id = f"{shape.name}-{hosted.unit}"
    likeness = Likeness(message_ids=not keeps_ids)
    native = await play(shape, NativeSide(graph), thread_id=thread_id, runs=runs, likeness=likeness)
    durable, side, runs = hosted.side(shape)
    async with durable:
        likeness = Likeness(message_ids=not keeps_ids)
        bridged = await play(shape, side, thread_id=thread_id, runs=runs, likeness=likeness)

    assert list(differences(native, bridged)) == []
