"""Agents whose counts are saved nowhere, which unit `task` refuses, mean the same in unit `run`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ToolCallLimitMiddleware

from dapr_bridge import DaprSaver
from dapr_bridge.testing import Sidecar
from tests.parity.difference import differences
from tests.parity.hosting import HostedShapes
from tests.parity.likeness import Likeness
from tests.parity.play import play, watched
from tests.parity.shape import Answer, AnyGraph, Shape
from tests.parity.shapes.agent_models import ToldModel, approve, measure, reverse, says
from tests.parity.sides import NativeSide

pytestmark = pytest.mark.anyio


def agent_with_few_calls_of_its_model() -> AnyGraph:
    limit = ModelCallLimitMiddleware(run_limit=2, thread_limit=5)
    return create_agent(ToldModel(), [measure, approve], middleware=[limit])


def agent_with_few_calls_of_its_tools() -> AnyGraph:
    limits = [ToolCallLimitMiddleware(run_limit=3), ToolCallLimitMiddleware(tool_name="reverse", thread_limit=2)]
    return create_agent(ToldModel(), [measure, reverse, approve], middleware=limits)


_LONG = "measure one; measure two, measure three; measure four"

SHAPES = (
    Shape(
        build=agent_with_few_calls_of_its_model,
        script=[says(_LONG), says("approve one, measure two; measure five"), Answer(["yes"]), says("measure six")],
    ),
    Shape(
        build=agent_with_few_calls_of_its_tools,
        script=[
            says("reverse one, measure two; reverse three, reverse four, measure five"),
            says("approve one, measure two"),
            Answer(["yes"]),
        ],
    ),
)


@pytest.fixture(scope="module")
def in_one_process(parity_sidecar: Sidecar) -> Iterator[HostedShapes]:
    with (
        DaprSaver("parity", address=parity_sidecar.address) as saver,
        HostedShapes(SHAPES, unit="run", saver=saver, address=parity_sidecar.address) as shapes,
    ):
        yield shapes


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_an_agent_with_a_limit_means_the_same_in_unit_run(shape: Shape, in_one_process: HostedShapes) -> None:
    graph, runs = watched(shape.build())
    native = await play(shape, NativeSide(graph), thread_id=shape.name, runs=runs)
    durable, side, runs = in_one_process.side(shape)
    async with durable:
        bridged = await play(shape, side, thread_id=shape.name, runs=runs, likeness=Likeness())

    assert list(differences(native, bridged)) == []
