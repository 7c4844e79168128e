"""Tuples come back as tuples, though the serializer makes lists of them."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt

from dapr_bridge._tuples import find_tuples, with_tuples

VALUES: list[Any] = [
    None,
    [1, 2],
    (1, 2),
    (),
    {"a": (1, [2, (3,)]), "b": [4]},
    [(1,), [2], {"c": ((5,),)}],
    {1: ("int keys",), "x": {"y": ()}},
    Interrupt(value=(1, {"x": (2,)}), id="q"),
    {"__interrupt__": (Interrupt(value={"x": (2,)}, id="q", response_schema={"a": 1}),)},
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_comes_back_with_its_tuples(value: Any) -> None:
    serde = JsonPlusSerializer()
    paths = frozenset(find_tuples(value))

    arrived = serde.loads_typed(serde.dumps_typed(value))

    assert repr(with_tuples(arrived, paths)) == repr(value)


def test_a_command_comes_back_with_the_tuples_of_its_answers_and_its_update() -> None:
    serde = JsonPlusSerializer()
    command: Command[str] = Command(resume={"q": (1, [2, (3,)])}, update={"x": ("y",)}, goto="node")

    arrived = with_tuples(serde.loads_typed(serde.dumps_typed(command)), frozenset(find_tuples(command)))

    assert (arrived.resume, arrived.update, arrived.goto) == (command.resume, command.update, command.goto)


@pytest.mark.parametrize("value", [5, "text", None, {"a": 1}])
def test_where_another_value_has_a_tuple_only_a_list_becomes_one(value: Any) -> None:
    assert with_tuples({"x": [value]}, frozenset(find_tuples({"x": ((1,),)}))) == {"x": (value,)}
