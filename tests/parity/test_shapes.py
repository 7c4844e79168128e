"""Every named shape means through the bridge what it means with `ainvoke`."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from tests.parity.difference import differences
from tests.parity.hosting import HostedShapes
from tests.parity.likeness import Likeness
from tests.parity.play import play, watched
from tests.parity.shape import Answer, Ask, Shape
from tests.parity.shapes import SHAPES
from tests.parity.sides import NativeSide

pytestmark = pytest.mark.anyio


# A message without an id, written by a task whose superstep is not over, has another id at each read of LangGraph's.
# In unit `task` it is saved with the id that it gets when its own activity ends, and keeps it.
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


async def test_a_message_has_one_id_also_while_its_superstep_waits(hosted: HostedShapes) -> None:
    (shape,) = (each for each in SHAPES if each.name in _MADE_UP_IDS)
    ask, answer = shape.script
    assert isinstance(ask, Ask)
    assert isinstance(answer, Answer)
    thread = RunnableConfig(configurable={"thread_id": f"ids-{hosted.unit}"})
    durable, side, _ = hosted.side(shape)
    async with durable:
        await side.invoke(ask.input, thread, context=None)
        waiting = await side.state(thread)
        first, second = [_ids((await side.state(thread)).values) for _ in range(2)]
        answers = dict(zip((each.id for each in waiting.interrupts), answer.answers, strict=True))
        ended = await side.invoke(Command(resume=answers), thread, context=None)

    assert (first == second) is (hosted.unit == "task")
    assert (first <= _ids(ended)) is (hosted.unit == "task")


def _ids(values: Any) -> frozenset[str]:
    return frozenset(message.id for message in values["messages"])
