"""Tuples come back as tuples, though the serializer makes lists of them."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge._tuples import find_tuples, with_tuples

VALUES: list[Any] = [
    None,
    [1, 2],
    (1, 2),
    (),
    {"a": (1, [2, (3,)]), "b": [4]},
    [(1,), [2], {"c": ((5,),)}],
    {1: ("int keys",), "x": {"y": ()}},
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_comes_back_with_its_tuples(value: Any) -> None:
    serde = JsonPlusSerializer()
    paths = frozenset(find_tuples(value))

    arrived = serde.loads_typed(serde.dumps_typed(value))

    assert repr(with_tuples(arrived, paths)) == repr(value)
