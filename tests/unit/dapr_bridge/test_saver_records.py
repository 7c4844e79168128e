"""The saver's documents: names, heads, and how the writes of two attempts are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge import ValueNotKeptError
from dapr_bridge.saver import keys
from dapr_bridge.saver.cache import Decoded, DocumentCache
from dapr_bridge.saver.heads import CHUNK_IDS, Head
from dapr_bridge.saver.records import Codec, PendingWrites, TaskWrites, make_task_writes


@dataclass
class OwnType:
    """A class that LangGraph's serializer does not know."""

    number: int


def writes(*channels: str, value: bytes = b"1") -> TaskWrites:
    return make_task_writes([(channel, value) for channel in channels], "path")


def channels(kept: TaskWrites) -> Sequence[tuple[str, bytes]]:
    return [(write.channel, write.data) for write in kept.in_order()]


def test_keys_of_different_places_never_meet() -> None:
    assert keys.head_key("a/b", "c") != keys.head_key("a", "b/c")
    assert keys.head_key("a%2Fb", "") != keys.head_key("a/b", "")
    assert keys.checkpoint_key("t", "x", "y") != keys.pending_key("t", "x", "y")


def test_no_key_holds_the_separator_that_dapr_refuses() -> None:
    assert "|" not in keys.value_key("a||b", "sub|graph:1", "|", "0|1")


def test_a_shorter_second_attempt_does_not_mix_with_the_first() -> None:
    first, second = writes("a", "b", value=b"1"), writes("a", "b", "c", value=b"2")

    assert channels(first.merged_with(second, is_input=False)) == [("a", b"1"), ("b", b"1")]


def test_the_answers_to_a_task_are_kept_beside_its_later_output() -> None:
    asked, answered = writes("__interrupt__"), writes("a")

    assert channels(asked.merged_with(answered, is_input=False)) == [("__interrupt__", b"1"), ("a", b"1")]


def test_tuples_in_what_is_written_come_back_as_tuples_from_documents_that_earlier_releases_read_too() -> None:
    codec, value = Codec(JsonPlusSerializer()), [("a", (1,))]
    kept = make_task_writes([("x", codec.dump(value, what="x"))], "path", tuples={0: ((0,), (0, 1))})
    document = codec.load(codec.dump(kept.to_document(), what="a document"))

    [again] = TaskWrites.from_document(document).in_order()
    [as_saved_earlier] = TaskWrites.from_document({**document, "tuples": []}).in_order()

    assert again.value(codec.load, keeps_tuples=True) == value
    assert again.value(codec.load) == as_saved_earlier.value(codec.load, keeps_tuples=True) == [["a", [1]]]
    assert document["output"] == [[0, "x", again.data]]


def test_the_last_mark_of_a_kind_wins() -> None:
    merged = writes("__resume__", value=b"1").merged_with(writes("__resume__", value=b"2"), is_input=False)

    assert channels(merged) == [("__resume__", b"2")]


def test_the_growing_list_of_an_input_is_completed() -> None:
    merged = writes("a").merged_with(writes("a", "b", value=b"2"), is_input=True)

    assert channels(merged) == [("a", b"1"), ("b", b"2")]


def test_task_writes_come_back_from_their_document() -> None:
    kept = writes("a", "__error__", "b")

    assert TaskWrites.from_document(kept.to_document()) == kept


def test_pending_writes_come_back_from_their_document() -> None:
    pending = PendingWrites().with_task("small", writes("a")).with_task("grown", writes("b")).with_task_apart("grown")

    assert PendingWrites.from_document(pending.to_document()) == pending
    assert (set(pending.here), pending.apart) == ({"small"}, ("grown",))


def test_a_full_head_moves_its_ids_to_a_chunk() -> None:
    head = Head()
    for number in range(CHUNK_IDS + 1):
        head = head.with_checkpoint(f"{number:04}")

    assert (head.chunks, head.ids, head.latest) == (1, (f"{CHUNK_IDS:04}",), f"{CHUNK_IDS:04}")


def test_a_checkpoint_that_hangs_from_an_older_one_does_not_move_the_latest_back() -> None:
    head = Head().with_checkpoint("5").with_checkpoint("3")

    assert (head.latest, head.ids) == ("5", ("5", "3"))


def test_a_checkpoint_that_follows_the_latest_is_the_latest_though_its_clock_is_behind() -> None:
    head = Head().with_checkpoint("5").with_checkpoint("3", follows_latest=True)

    assert head.latest == "3"


def test_a_head_comes_back_from_its_document() -> None:
    head = Head(latest="2", ids=("1", "2"), chunks=4, first=3, run="r")

    assert Head.from_document(head.to_document()) == head


def test_a_head_that_knows_no_run_and_no_emptied_chunk_is_read() -> None:
    assert Head.from_document({"latest": "1", "ids": ["1"], "chunks": 2}) == Head(latest="1", ids=("1",), chunks=2)


def test_when_the_latest_is_taken_out_the_newest_that_remains_is_the_latest() -> None:
    head = Head(latest="9", ids=("8", "9"), chunks=2, run="r")

    assert head.without({"8", "9"}, others=("3", "7"), first=1) == Head(latest="7", chunks=2, first=1)
    assert head.without({"8"}, others=(), first=2).latest == "9"
    assert head.without({"8", "9"}, others=(), first=2).latest == ""


def test_a_value_that_cannot_be_kept_is_named() -> None:
    codec = Codec(JsonPlusSerializer(allowed_msgpack_modules=None))

    with pytest.raises(ValueNotKeptError, match="channel 'answer' holds a generator"):
        codec.dump((number for number in range(3)), what="channel 'answer'")


def test_a_type_that_is_not_allowed_is_an_error_and_not_plain_data() -> None:
    data = Codec(JsonPlusSerializer(allowed_msgpack_modules=None)).dump(OwnType(number=3), what="x")

    with pytest.raises(ValueNotKeptError, match=r"OwnType; pass it to DaprSaver\(allowed_types"):
        Codec(JsonPlusSerializer(allowed_msgpack_modules=None)).load(data)
    assert Codec(JsonPlusSerializer(allowed_msgpack_modules=[OwnType])).load(data) == OwnType(number=3)


def test_the_cache_forgets_the_least_recently_used() -> None:
    cache = DocumentCache(max_bytes=10)
    for key in ("a", "b"):
        cache.put(key, b"12345")
    cache.get_many(["a"])
    cache.put("c", b"12345")

    assert set(cache.get_many(["a", "b", "c"])) == {"a", "c"}


def test_bytes_that_were_read_together_are_decoded_once_and_equal_ones_anew() -> None:
    seen: list[bytes] = []

    def decode(data: bytes) -> list[bytes]:
        seen.append(data)
        return [data]

    decoded = Decoded(most=2)
    first, equal, third = b"ab", bytes(bytearray(b"ab")), b"c"

    assert decoded.of(first, decode) is decoded.of(first, decode)
    assert decoded.of(equal, decode) is not decoded.of(first, decode)
    decoded.of(third, decode)
    decoded.of(first, decode)

    assert seen == [first, equal, third, first]
