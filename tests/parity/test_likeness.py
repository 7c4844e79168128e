"""What the comparison takes for equal, and what not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.types import Interrupt

from tests.parity.difference import differences
from tests.parity.likeness import Likeness
from tests.parity.play import Seen, play, watched
from tests.parity.shape import Ask, Shape
from tests.parity.shapes.flow import chain, fan_out_and_in, loop
from tests.parity.shapes.interrupts import one_interrupt
from tests.parity.sides import NativeSide

pytestmark = pytest.mark.anyio


async def seen_of(build: Callable[[], Any]) -> Seen:
    graph, runs = watched(build())
    shape = Shape(build=build, script=[Ask({"words": ["in"]})])
    return await play(shape, NativeSide(graph), thread_id="t", runs=runs)


def test_ids_are_told_apart_and_not_compared() -> None:
    first, second, third, fourth = (str(uuid.uuid4()) for _ in range(4))

    assert Likeness().of([first, second, first]) == Likeness().of([third, fourth, third])
    assert Likeness().of([first, second, first]) != Likeness().of([third, fourth, fourth])
    assert Likeness().of(f"node:{first}|x") == "node:id-1|x"


def test_questions_are_compared_without_their_order_but_with_their_ids() -> None:
    one, two, three = Interrupt("a", id="1" * 32), Interrupt("b", id="2" * 32), Interrupt("b", id="3" * 32)

    assert Likeness().of([one, two]) == Likeness().of([two, one])
    assert Likeness().of([one, two]) != Likeness().of([one])
    assert Likeness().of([two, [two, one]]) != Likeness().of([two, [three, one]])
    assert Likeness().of([two, three, one]) == Likeness().of([three, one, two])


def test_types_are_compared() -> None:
    assert Likeness().of((1, 2)) != Likeness().of([1, 2])
    assert Likeness().of(ValueError("x")) != Likeness().of(KeyError("x"))


def test_each_difference_is_named_with_its_place() -> None:
    found = list(differences([{"a": (1, 2), "b": 1}], [{"a": (1, 3, 4), "b": True}]))

    assert found == [
        "[0].a[1]: LangGraph 2, the bridge 3",
        "[0].a[2]: LangGraph nothing, the bridge 4",
        "[0].b: LangGraph 1, the bridge True",
    ]


@pytest.mark.parametrize("build", [chain, fan_out_and_in, one_interrupt])
async def test_the_same_graph_is_seen_as_the_same(build: Callable[[], Any]) -> None:
    assert await seen_of(build) == await seen_of(build)


@pytest.mark.parametrize("facet", ["output", "state", "runs"])
async def test_another_graph_differs_in_every_facet(facet: str) -> None:
    one, other = await seen_of(chain), await seen_of(loop)

    assert one[0][facet] != other[0][facet]
    assert one[-1]["history"] != other[-1]["history"]
