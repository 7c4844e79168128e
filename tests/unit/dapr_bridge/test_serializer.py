"""Classes of one's own are rebuilt as they were, or refused."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypedDict
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt, Overwrite, Send
from pydantic import BaseModel, Field, RootModel, field_validator, model_serializer

from dapr_bridge import ValueNotKeptError
from dapr_bridge.saver.records import Codec
from dapr_bridge.saver.serializer import ChangedError, OwnTypesSerializer


class Note(BaseModel):
    """A model that is rebuilt."""

    text: str = ""
    parts: tuple[int, ...] = ()
    about: dict[int, float] = {}
    said: list[AnyMessage] = []


class Longer(Note):
    """One of its kinds."""

    more: int = 0


class Holder(BaseModel):
    """A model of which a part is lost that its field does not know."""

    note: Note = Note()
    said: list[BaseMessage] = []


class Discreet(BaseModel):
    """A model that shows not all of itself."""

    number: int = 0
    hidden: str = Field(default="", exclude=True)


class Doubled(BaseModel):
    """A model that changes what it is given."""

    number: int

    @field_validator("number")
    @classmethod
    def double(cls, number: int) -> int:
        return number * 2


class Renamed(BaseModel):
    """A model whose field has another name outside."""

    number: int = Field(alias="n")
    note: Note = Note()


class Numbers(RootModel[list[int]]):
    """A model that is a list."""


@dataclass
class Item:
    """A dataclass that is rebuilt."""

    number: float
    rest: Any = None
    seen: int = field(default=0, compare=False)


@dataclass
class Computed:
    """A dataclass with a field that is no argument."""

    number: int
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = self.number * 2


class Pair(NamedTuple):
    """A tuple with names."""

    left: Any
    right: Any


class Colour(Enum):
    """An enumeration."""

    RED = "red"


CODEC = Codec(
    OwnTypesSerializer((Note, Longer, Holder, Discreet, Doubled, Renamed, Numbers, Item, Computed, Pair, Colour))
)


@pytest.mark.parametrize(
    "value",
    [
        Note(
            text="x", parts=(1, 2), about={1: float("nan")}, said=[AIMessage("hi", id="1"), HumanMessage("ho", id="2")]
        ),
        Holder(),
        Discreet(number=1),
        {"items": [Item(1, rest=(1, [Colour.RED])), Item(2.5, rest=Pair({"a": (1,)}, None), seen=3)]},
        {"Note": 1, "by": {(1, 2): Longer(more=2)}},
        {date(2026, 1, 1): Note(), float("nan"): Item(1), "text": "\ud800", Colour.RED: 1},
        Command(resume={"a" * 32: Item(1)}, update=[("x", Note())], goto=[Send("a", Longer()), "b"]),
        [HumanMessage("Note", id="1"), {Colour.RED}, ValueError("Item")],
        {"a": {1, "x", frozenset({2})}, "b": frozenset(), "c": "builtins"},
    ],
    ids=str,
)
def test_what_comes_back_equal_is_taken(value: Any) -> None:
    assert CODEC.load(CODEC.dump(value, what="it")) is not None


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Discreet(hidden="x"), "it holds a Discreet that .* would change: its 'hidden' would come back as another"),
        ({"a": [Doubled(number=2)]}, r"it, at \['a'\]\[0\], holds a Doubled that .*: its 'number' would"),
        (Holder(note=Longer(more=1)), "holds a Holder that .*: its 'note' would come back"),
        (Holder(said=[AIMessage("hi")]), "holds a Holder that .*: its 'said' would come back"),
        (Renamed(n=1, note=Note(text="x")), "holds a Renamed that .*: its 'note' would come back"),
        ({"a": {(1, Colour.RED)}}, r"at \['a'\], holds a set that .*: it would come back as a list"),
        ([frozenset({(1, frozenset({2}))})], r"at \[0\], holds a frozenset that .*: it would come back as a list"),
        ({"a": Numbers([1])}, r"at \['a'\], holds a Numbers that .*: it would come back as a list"),
        ((Computed(1),), r"at \[0\], holds a Computed that .*: it would come back as a dict"),
        (Item(1, rest=[Computed(1)]), "holds a Item that .*: its 'rest' would"),
        (Pair(1, Computed(1)), "it would come back as a dict"),
        (Command(resume=Computed(1)), "holds a Command that .*: it would come back as a dict"),
        (Command(goto=Send("a", {"x": Computed(1)})), "it would come back as a dict"),
        ((Interrupt(value=Computed(1), id="1"),), "it would come back as a dict"),
        (Overwrite(value=[Computed(1)]), "it would come back as a dict"),
        (deque([Computed(1)]), "it would come back as a dict"),
        (Item(1, rest={date(2026, 1, 1): 1}), "holds a Item that .*: its 'rest' would"),
    ],
)
def test_what_would_be_changed_is_refused_by_its_name(value: Any, where: str) -> None:
    with pytest.raises(ValueNotKeptError, match=where):
        CODEC.dump(value, what="it")


@pytest.mark.parametrize(
    "cells",
    [
        {(1, 2), (3, 4)},
        frozenset({("a", (None, True, 1.5, b"x")), (), "b", 2**64 - 1}),
        {frozenset({(1, 2)})},
        deque([{(1, 2)}]),
    ],
)
def test_a_set_with_tuples_comes_back_as_it_was_also_from_langgraphs_own_serializer(cells: Any) -> None:
    kept = OwnTypesSerializer().dumps_typed({"cells": cells})

    for reader in (OwnTypesSerializer(), JsonPlusSerializer(allowed_msgpack_modules=None)):
        assert reader.loads_typed(kept) == {"cells": cells}


_LOST = {(UUID(int=1),)}


class Saving(BaseModel):
    """A model that serializes something else when it is asked for its fields."""

    cells: Any

    @model_serializer
    def saved(self) -> dict[str, Any]:
        with suppress(ChangedError):
            OwnTypesSerializer().dumps_typed(self.cells)
        return {"cells": None}


@pytest.mark.parametrize("inner", [None, _LOST], ids=["without", "with"])
@pytest.mark.parametrize("outer", [None, _LOST], ids=["without", "with"])
def test_a_set_is_looked_for_in_what_is_saved_and_not_in_what_a_class_of_ones_own_saves_meanwhile(
    outer: Any, inner: Any
) -> None:
    expected = pytest.raises(ChangedError) if outer else nullcontext()

    with expected:
        OwnTypesSerializer().dumps_typed([outer, Saving(cells=inner)])


class State(TypedDict):
    """A class of which nothing is an instance."""

    number: int


class Named(Protocol):
    """Another."""

    name: str


def test_allowed_classes_without_instances_do_not_matter() -> None:
    codec = Codec(OwnTypesSerializer((State, Named, Note)))

    assert codec.load(codec.dump([{1, 2}, Note(text="State")], what="it")) == [{1, 2}, Note(text="State")]


@pytest.mark.parametrize("value", [[Longer(), {1}], {"a": Note(), "b": [Longer()], "c": Item(1)}])
def test_a_class_that_is_not_allowed_is_named_beside_what_is_looked_at(value: Any) -> None:
    codec = Codec(OwnTypesSerializer((Note,)), owner="DaprStore")

    with pytest.raises(ValueNotKeptError, match=r"Longer.*pass (it|them) to DaprStore\(allowed_types=\[...\]"):
        codec.load(codec.dump(value, what="it"))


def test_what_was_saved_before_is_read_as_it_was() -> None:
    serde = OwnTypesSerializer((Computed,))
    saved = super(OwnTypesSerializer, serde).dumps_typed(Computed(1))

    assert serde.loads_typed(saved) == {"number": 1, "twice": 2}
