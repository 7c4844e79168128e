"""What a caller gives reaches the graph as it was given, though LangGraph's serializer loses some of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel

from dapr_bridge._as_given import losses_of, made_good
from dapr_bridge._payloads import INLINE_BYTES, decode_inline, encode_inline, fits_inline, in_one_order


class Note(BaseModel):
    """A model whose fields may all be left out."""

    text: str | None = None
    stars: int = 3


SERDE = JsonPlusSerializer(allowed_msgpack_modules=(Note,))


def through_the_serializer(value: Any) -> Any:
    lost = json.loads(json.dumps(losses_of(value)))
    return made_good(SERDE.loads_typed(SERDE.dumps_typed(value)), lost)


@pytest.mark.parametrize(
    "value",
    [
        {"messages": ("user", "hi")},
        Command(update=[("words", ["x"]), ("words", ["y"])]),
        Command(resume={"a" * 32: (1, (2,))}, goto=[Send("a", {"n": (1,)}), "b"]),
        Command(goto=Send("a", (1, [2]))),
        {"messages": Overwrite([("user", "hi")])},
    ],
)
def test_tuples_stay_tuples(value: Any) -> None:
    # A Command's own comparison does not tell tuples from lists.
    assert repr(through_the_serializer(value)) == repr(value)


def test_fields_that_were_left_out_stay_left_out() -> None:
    assert through_the_serializer(Note(stars=5)).model_fields_set == {"stars"}
    assert through_the_serializer(Note(text=None)).model_fields_set == {"text"}
    assert through_the_serializer(Command(update=Note())).update.model_fields_set == set()


@pytest.mark.parametrize("value", [None, {"words": ["x"]}, Command(resume="yes"), Note(text="x", stars=1)])
def test_nothing_is_said_of_what_the_serializer_keeps(value: Any) -> None:
    assert "lost" not in encode_inline(value, SERDE, what="it")


def test_history_carries_what_is_lost_and_tells_no_inputs_apart_by_it() -> None:
    payload = encode_inline({"messages": ("user", "hi")}, SERDE, what="it")

    assert payload["lost"] == {"json": {"tuples": [[0]]}}
    assert decode_inline(payload, SERDE) == {"messages": ("user", "hi")}
    assert in_one_order(payload) == {key: payload[key] for key in ("type", "data")}


def test_history_carries_as_much_of_a_value_of_which_something_is_lost() -> None:
    pairs = [(number, 0) for number in range(1000)]

    payload = encode_inline({"pairs": pairs}, SERDE, what="it")

    assert len(payload["data"]) < INLINE_BYTES < len(json.dumps(payload))
    assert made_good(decode_inline(payload, SERDE), payload["lost"]["json"]) == {"pairs": pairs}
    # Where it can be saved apart, it is.
    assert fits_inline({"pairs": pairs}, SERDE, what="it") is None
    assert fits_inline({"pairs": pairs[:100]}, SERDE, what="it")
