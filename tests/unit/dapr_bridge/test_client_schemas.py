"""What a `DurableGraph` says of its input and output is what its graph says, as tools and chains ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from typing_extensions import TypedDict

from dapr_bridge import DaprSaver, DurableGraph

NOBODY = "127.0.0.1:1"


class Question(TypedDict):
    """What is asked."""

    text: str


class State(Question):
    """What is asked, and what is answered."""

    answer: str


def build() -> Pregel[Any, Any, Any, Any]:
    graph = StateGraph(State, input_schema=Question)
    graph.add_node("answer", lambda state: {"answer": state["text"]})
    graph.add_edge(START, "answer")
    return graph.compile(name="answering")


@pytest.fixture
def saver() -> DaprSaver:
    """A saver that reaches no sidecar."""
    return DaprSaver("store", address=NOBODY)


def test_its_schemas_are_those_of_its_graph(saver: DaprSaver) -> None:
    graph, durable = build(), DurableGraph(build(), name="answering", saver=saver, address=NOBODY, events=None)

    assert durable.get_input_jsonschema() == graph.get_input_jsonschema()
    assert durable.get_output_jsonschema() == graph.get_output_jsonschema()
    assert durable.input_schema.model_json_schema() == graph.input_schema.model_json_schema()
    assert durable.output_schema.model_json_schema() == graph.output_schema.model_json_schema()
    assert (durable.InputType, durable.OutputType) == (graph.InputType, graph.OutputType)


# LangChain calls `as_tool` a beta.
@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_it_is_a_tool_as_its_graph_is(saver: DaprSaver) -> None:
    about: dict[str, Any] = {"name": "answer", "description": "Answers.", "arg_types": {"text": str}}
    durable = DurableGraph(build(), name="answering", saver=saver, address=NOBODY, events=None)
    named = DurableGraph("answering", saver=saver, address=NOBODY, events=None)

    expected = build().as_tool(**about).args
    assert durable.as_tool(**about).args == expected
    assert named.as_tool(**about).args == expected


def test_a_chain_takes_what_its_graph_takes_and_anything_when_only_its_name_is_known(saver: DaprSaver) -> None:
    after = RunnableLambda(lambda state: state)
    durable = DurableGraph(build(), name="answering", saver=saver, address=NOBODY, events=None)
    named = DurableGraph("answering", saver=saver, address=NOBODY, events=None)

    assert (durable | after).get_input_jsonschema() == (build() | after).get_input_jsonschema()
    assert "type" not in (named | after).get_input_jsonschema()
    asyncio.run(durable.aclose())
    asyncio.run(named.aclose())
