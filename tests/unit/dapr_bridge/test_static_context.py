"""A static context comes back equal from what travels of it, or is refused by name."""

from __future__ import annotations

import threading
from dataclasses import InitVar, dataclass, field
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.runtime import get_runtime
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, PrivateAttr

from dapr_bridge import CallRefusedError
from dapr_bridge._static_context import plain_context


class State(TypedDict, total=False):
    """What a node is told."""

    told: Any


class Aliased(BaseModel):
    a: int = Field(1, alias="A")


class Chosen(BaseModel):
    a: int = Field(1, validation_alias=AliasChoices(AliasPath("all", 0), "first"))
    b: int = Field(2, serialization_alias="B")


class ByName(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
    a: int = Field(1, alias="A")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Secretive(BaseModel):
    _seen: int = PrivateAttr(0)


class Locked(BaseModel):
    a: int = 1
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


class Deep(BaseModel):
    a: int = Field(1, validation_alias=AliasPath("all", 0))


@dataclass
class Derived:
    a: int = 1
    b: int = field(init=False, default=3)

    def __post_init__(self) -> None:
        self.b = self.a * 2


@dataclass
class Growing:
    path: str = ""

    def __post_init__(self) -> None:
        self.path += "/"


@dataclass
class Handed:
    a: int = field(init=False)
    given: InitVar[int]

    def __post_init__(self, given: int) -> None:
        self.a = given


@dataclass
class Clocked:
    a: int = 1
    made: object = field(init=False, compare=False, default_factory=object)


def tell(_: State) -> State:
    return {"told": get_runtime().context}


def told_to_a_node(context: Any, schema: Any, *, node: Any = tell) -> Any:
    """What a node's `runtime.context` is when LangGraph is given it."""

    graph = StateGraph(State, context_schema=schema)
    graph.add_node("node", node)
    return graph.add_edge(START, "node").compile().invoke({}, context=context)["told"]


@pytest.mark.parametrize(
    "context",
    [
        Aliased(A=2),
        Chosen.model_validate({"first": 5, "b": 6}),
        ByName.model_validate({"a": 2}),
        Open.model_validate({"a": 2, "more": "kept"}),
        Derived(a=2),
        Clocked(a=2),
    ],
    ids=lambda context: type(context).__name__,
)
def test_a_context_is_rebuilt_equal(context: Any) -> None:
    assert told_to_a_node(plain_context(context), type(context)) == context


def test_what_a_context_makes_for_itself_is_made_anew() -> None:
    assert plain_context(Locked(a=2)) == {"a": 2}


def altered(context: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize(
    ("context", "message"),
    [
        (altered(Derived(a=2), b=5), "context Derived would not come back equal: 'b' would be another"),
        (Growing("root"), "context Growing would not come back equal: 'path' would be another"),
        (Handed(1), "context Handed would not come back equal: .*'given'"),
        (altered(Secretive(), _seen=1), "context Secretive would not come back equal: '_seen' would be another"),
        (Deep.model_validate({"all": [2]}), "context Deep would not come back equal: 'a' would be another"),
    ],
)
def test_a_context_that_would_be_another_is_refused_by_name(context: Any, message: str) -> None:
    with pytest.raises(CallRefusedError, match=message):
        plain_context(context)


@pytest.mark.parametrize("context", [None, {"a": 1}, "a", Derived])
def test_what_is_no_such_object_stays_as_it_is(context: Any) -> None:
    assert plain_context(context) is context
