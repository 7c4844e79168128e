"""What a tool hands over beside its message comes back with its types, wherever the message stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Send

from dapr_bridge import ValueNotKeptError
from dapr_bridge._langgraph import KeepingSerializer
from dapr_bridge.saver.records import Codec

_FOUND = Document(page_content="restart it", metadata={"id": "kb-1"})


@dataclass
class Row:
    """An artifact of a class of one's own."""

    number: int


def found(artifact: Any) -> ToolMessage:
    return ToolMessage("found it", tool_call_id="1", id="m", artifact=artifact)


def codec(*allowed: type) -> Codec:
    return Codec(KeepingSerializer(allowed_msgpack_modules=allowed or None))


@pytest.mark.parametrize("artifact", [_FOUND, [_FOUND, {"rank": 1}], {"documents": [_FOUND]}, {"rows": [1]}, "text"])
def test_an_artifact_comes_back_as_it_was(artifact: Any) -> None:
    back = codec().load(codec().dump([AIMessage("hi"), found(artifact)], what="x"))

    assert back == [AIMessage("hi"), found(artifact)]
    assert isinstance(back[1], ToolMessage)


@pytest.mark.parametrize(
    "around",
    [
        lambda message: Send("tools", {"messages": [message]}),
        lambda message: Command(update={"messages": [message]}),
        lambda message: Command(goto=[Send("model", message)]),
        lambda message: {"deque": [(message,)]},
    ],
)
def test_an_artifact_comes_back_from_within_langgraphs_own_types(around: Any) -> None:
    back = codec().load(codec().dump(around(found([_FOUND])), what="x"))

    assert "Document(" in repr(back)


def test_an_artifact_of_a_class_that_is_not_allowed_is_an_error_and_not_plain_data() -> None:
    data = codec().dump(found(Row(1)), what="x")

    with pytest.raises(ValueNotKeptError, match=r"Row; pass it to DaprSaver\(allowed_types"):
        codec().load(data)
    assert codec(Row).load(data) == found(Row(1))


def test_an_artifact_that_cannot_be_kept_is_named() -> None:
    with pytest.raises(ValueNotKeptError, match=r"channel 'messages', at \[0\]\['artifact'\], holds a object that"):
        codec().dump([found(object())], what="channel 'messages'")


def test_langgraphs_own_serializer_reads_it_and_is_read() -> None:
    plain = JsonPlusSerializer(allowed_msgpack_modules=None)

    assert plain.loads_typed(KeepingSerializer().dumps_typed(found([_FOUND]))) == found([_FOUND])
    assert KeepingSerializer(allowed_msgpack_modules=None).loads_typed(plain.dumps_typed(_FOUND)) == _FOUND


@pytest.mark.parametrize("value", [None, b"bytes", bytearray(b"more"), {"a": [1, (2,)]}, found(None), {1, 2}])
def test_all_else_is_written_as_langgraph_writes_it(value: Any) -> None:
    assert KeepingSerializer().dumps_typed(value) == JsonPlusSerializer().dumps_typed(value)
