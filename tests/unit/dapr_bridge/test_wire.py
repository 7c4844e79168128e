"""What history records: values inline, by reference, and records that older and newer releases can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command

from dapr_bridge import PayloadTooLargeError, Reference, ValueNotKeptError
from dapr_bridge._payloads import INLINE_BYTES, Payload, decode_inline, decode_kept, encode_inline, in_one_order
from dapr_bridge._run_ends import failure_of
from dapr_bridge._served import wire_serde
from dapr_bridge._wire import Failure, RunOutcome, RunRequest

SERDE = JsonPlusSerializer(allowed_msgpack_modules=None)


def through_history(value: Any) -> Any:
    return decode_inline(json.loads(json.dumps(encode_inline(value, SERDE, what="it"))), SERDE)


PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    back = through_history(value)

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [Command(resume={"id": "yes"}), [HumanMessage("hi", id="1")], {"a": {1, 2}}, float("inf"), {1: "int key"}],
    ids=["command", "messages", "set", "infinity", "int key"],
)
def test_what_json_cannot_hold_comes_back_equal(value: Any) -> None:
    # LangGraph's serializer gives lists for the tuples inside a Command.
    assert SERDE.dumps_typed(through_history(value)) == SERDE.dumps_typed(value)


@pytest.mark.parametrize("value", [(1, 2), {"a": [(1,), {"b": ((),)}]}, {1: (2,)}])
def test_tuples_come_back_as_tuples(value: Any) -> None:
    assert repr(through_history(value)) == repr(value)


def test_inputs_are_not_told_apart_by_where_tuples_stand() -> None:
    one, another = (in_one_order(encode_inline({1: each}, SERDE, what="it")) for each in ((1, 2), [1, 2]))

    assert one == another


def test_a_reference_stays_a_reference() -> None:
    assert through_history(Reference(name="x/input")) == Reference(name="x/input")


def test_a_dict_that_looks_like_a_reference_is_not_taken_for_one() -> None:
    assert through_history({"reference": "x"}) == {"reference": "x"}


@dataclass(frozen=True)
class Unknown:
    """A type that nobody has allowed."""

    number: int = 1


def test_a_value_of_a_type_that_is_not_allowed_is_an_error_and_not_plain_data() -> None:
    payload = encode_inline({"x": [Unknown()]}, SERDE, what="it")

    with pytest.raises(ValueNotKeptError, match=r"the input holds .*Unknown; pass it to DaprSaver\(allowed_types"):
        decode_kept(payload, SERDE, what="the input")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"who": len}, r"the context, at \['who'\], holds a builtin_function_or_method that"),
        ([1, ({"deep": len},)], r"the context, at \[1\]\[0\]\['deep'\], holds a builtin"),
        (len, r"the context holds a builtin"),
    ],
    ids=["in a dict", "deep", "itself"],
)
def test_what_cannot_be_kept_is_named_with_where_it_is_and_what_to_do(value: Any, where: str) -> None:
    with pytest.raises(ValueNotKeptError, match=f"{where}.*; give plain data, or a dataclass or pydantic model"):
        encode_inline(value, SERDE, what="the context")


def test_a_value_that_holds_itself_is_refused_too() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ValueNotKeptError, match=r"the input, at .* holds a list"):
        encode_inline({"all": (endless, {1})}, SERDE, what="the input")


def test_a_large_value_is_refused_with_the_way_out() -> None:
    with pytest.raises(PayloadTooLargeError, match=r"has \d+ bytes .*aput_value in an activity and pass the Ref"):
        encode_inline("x" * (INLINE_BYTES + 1), SERDE, what="the input")


_ENCODES_SETS = """
import json
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from dapr_bridge._payloads import encode_inline

words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
value = {"all": set(words), "within": [{"pairs": frozenset({frozenset(words[:4]), frozenset(words[4:])})}]}
print(json.dumps(encode_inline(value, JsonPlusSerializer(), what="it")))
"""


def sets_as_sent(*, hash_seed: str) -> Payload:
    process = subprocess.run(
        [sys.executable, "-c", _ENCODES_SETS],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    return json.loads(process.stdout)


def test_equal_sets_of_two_processes_are_the_same_in_one_order() -> None:
    one, other = sets_as_sent(hash_seed="1"), sets_as_sent(hash_seed="2")

    assert one != other
    assert in_one_order(one) == in_one_order(other)
    assert decode_inline(in_one_order(one), SERDE) == decode_inline(one, SERDE)


def test_a_set_with_tuples_is_the_same_in_one_order_as_releases_have_sent_it_that_made_lists_of_them() -> None:
    value = {"cells": {("b", 1), ("a", 2)}}

    one, other = (encode_inline(value, serde, what="it") for serde in (SERDE, wire_serde()))

    assert one != other
    assert in_one_order(one) == in_one_order(other)


@pytest.mark.parametrize(
    ("value", "other"),
    [({1, 2}, {1, 3}), ({"1"}, {1}), ({1}, frozenset({1})), ({1, 2}, [1, 2]), (deque([1, 2]), deque([2, 1]))],
    ids=["items", "type of an item", "frozen", "list", "deque"],
)
def test_what_is_not_equal_to_a_set_differs_from_it_in_one_order(value: Any, other: Any) -> None:
    one, another = (in_one_order(encode_inline({"it": each}, SERDE, what="it")) for each in (value, other))

    assert one != another


@pytest.mark.parametrize(
    "value",
    [
        {"b": [1.5], "a": {}},
        Reference(name="builtins"),
        [HumanMessage("builtins set"), {1: deque([2, 1])}],
        b"builtins",
    ],
    ids=["json", "reference", "other types", "bytes"],
)
def test_what_holds_no_set_stays_as_it_was_sent_for_by_that_claims_in_flight_know_it(value: Any) -> None:
    payload = encode_inline(value, SERDE, what="it")

    assert in_one_order(payload) is payload


def test_requests_and_outcomes_come_back_from_history() -> None:
    request = RunRequest(graph="g", thread_id="t", run_id=None, asked_at="now", input={"json": 1}, config={"tags": []})
    failure = Failure(node="n", task_id="i", error_type="E", message="m")
    outcome = RunOutcome(status="failed", checkpoint_id="c", failure=failure)

    assert RunRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert RunOutcome.from_json(json.loads(json.dumps(outcome.to_json()))).failure == failure


def test_a_record_of_a_newer_release_is_read_without_what_it_adds() -> None:
    record = RunOutcome(status="finished", checkpoint_id="c").to_json()

    assert RunOutcome.from_json({**record, "added_later": 1}).checkpoint_id == "c"


def test_of_an_errors_message_history_carries_the_beginning() -> None:
    short, long = (failure_of(ValueError(text), node="n", task_id="t").message for text in ("why", "x" * 6_000_000))

    assert short == "why"
    assert long == "x" * 8_000 + "... (6,000,000 characters)"
