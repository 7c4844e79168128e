"""A span for each execution of a node: whose child it is, what it says, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt
from opentelemetry import trace

from dapr_bridge._node_spans import with_node_spans
from dapr_bridge._tracing import advancing
from dapr_bridge._wire import RunRequest
from tests.kit.spans import Recorder, recorded

pytestmark = pytest.mark.anyio

SPOKEN = "what a customer has said"


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


@pytest.fixture
def spans() -> Iterator[Recorder]:
    with recorded() as recorder:
        yield recorder


def saying(word: str) -> Any:
    async def say(_: State) -> State:
        return {"words": [word]}

    return say


def chain(*nodes: str) -> Any:
    graph = StateGraph(State)
    for before, name in zip((START, *nodes), nodes, strict=False):
        graph.add_node(name, saying(name))
        graph.add_edge(before, name)
    return graph.compile()


def single(name: str, node: Any, **given: Any) -> Any:
    return StateGraph(State).add_node(name, node, **given).add_edge(START, name).compile()


class Driven:
    """Knows where runs stand: in step 0, as far as it was told."""

    def driven_from(self, thread_id: str, namespace: str, *, step: int) -> str:
        return f"{thread_id}|{namespace}" if step == 1 else ""


def request() -> RunRequest:
    return RunRequest(graph="talk", thread_id="t", run_id="r", asked_at="", input={"json": None}, config={})


async def run(graph: Any, value: Any = None) -> Any:
    """Run a graph as an activity does; what it raises is its end."""
    config = RunnableConfig(configurable={"thread_id": "t"})
    with advancing(request(), "r", unit="run"):
        try:
            return await graph.ainvoke(value or {"words": [SPOKEN]}, with_node_spans(config, Driven()))
        except Exception as error:  # noqa: BLE001 - whatever it is
            return error


async def test_each_node_has_a_span_with_its_ids_below_that_of_the_activity(spans: Recorder) -> None:
    await run(chain("one", "two"))

    activity, (one, two) = spans.one("graph.advance talk"), [spans.one(f"graph.node {each}") for each in ("one", "two")]
    assert one.parent_id == two.parent_id == activity.span_id
    assert one.trace_id == two.trace_id == activity.trace_id
    assert (one["graph"], one["thread_id"], one["run_id"], one["unit"]) == ("talk", "t", "r", "run")
    assert (one["node"], one["step"], one["attempt"], one["namespace"]) == ("one", 1, 1, "")
    assert one["task_id"]
    assert one["task_id"] != two["task_id"]


async def test_a_node_says_from_which_checkpoint_of_its_graph_it_runs_where_that_is_known(spans: Recorder) -> None:
    await run(single("inside", chain("x", "y")))

    inside, x, y = (spans.one(f"graph.node {each}") for each in ("inside", "x", "y"))
    assert inside["checkpoint_id"] == "t|"
    assert x["checkpoint_id"] == f"t|{x['namespace']}"
    assert y["checkpoint_id"] is None


async def test_a_long_chain_does_not_nest_its_spans(spans: Recorder) -> None:
    nodes = [f"n{number}" for number in range(200)]

    await run(chain(*nodes))

    parents = {each.parent_id for each in spans.seen() if each.name.startswith("graph.node")}
    assert parents == {spans.one("graph.advance talk").span_id}


async def test_parallel_tasks_have_spans_side_by_side(spans: Recorder) -> None:
    graph = StateGraph(State)
    graph.add_node("work", saying("done"))
    graph.add_conditional_edges(START, lambda _: [Send("work", {}) for _ in range(5)], ["work"])

    await run(graph.compile())

    work = spans.named("graph.node work")
    assert {each.name for each in spans.seen()} == {"graph.run talk", "graph.advance talk", "graph.node work"}
    assert len({each["task_id"] for each in work}) == 5
    assert {each.parent_id for each in work} == {spans.one("graph.advance talk").span_id}


async def test_the_nodes_of_a_subgraph_are_below_the_node_that_it_is(spans: Recorder) -> None:
    await run(single("inside", chain("x", "y")))

    inside = spans.one("graph.node inside")
    x, y = spans.one("graph.node x"), spans.one("graph.node y")
    assert x.parent_id == y.parent_id == inside.span_id
    assert x["namespace"] == f"inside:{inside['task_id']}"


@pytest.mark.parametrize("is_blocking", [False, True], ids=["async", "blocking"])
async def test_what_a_node_does_is_traced_below_it_and_after_a_graph_that_it_called_too(
    spans: Recorder, *, is_blocking: bool
) -> None:
    inner, tracer = chain("x", "y"), spans.provider.get_tracer("of the user")

    async def calling(_: State) -> State:
        tracer.start_span("before").end()
        await inner.ainvoke({"words": []})
        tracer.start_span("after").end()
        trace.get_current_span().set_attribute("own", "note")
        return {}

    def blocking(_: State) -> State:
        tracer.start_span("before").end()
        inner_blocking.invoke({"words": []})
        tracer.start_span("after").end()
        trace.get_current_span().set_attribute("own", "note")
        return {}

    inner_blocking = single("x", lambda _: {"words": ["x"]})
    await run(single("caller", blocking if is_blocking else calling))

    caller = spans.one("graph.node caller")
    below = {each.name for each in spans.seen() if each.parent_id == caller.span_id}
    assert below >= {"before", "after", "graph.node x"}
    assert caller.attributes["own"] == "note"


async def test_what_comes_after_a_node_is_not_traced_below_it(spans: Recorder) -> None:
    config = RunnableConfig(configurable={"thread_id": "t"})
    with advancing(request(), "r", unit="run"):
        await chain("one").ainvoke({"words": []}, with_node_spans(config, Driven()))
        spans.provider.get_tracer("of the saver").start_span("save").end()

    assert spans.one("save").parent_id == spans.one("graph.advance talk").span_id


async def test_each_attempt_of_a_node_has_a_span_and_a_failed_one_says_what_kind_of_error_it_was(
    spans: Recorder,
) -> None:
    tries: list[int] = []

    async def flaky(_: State) -> State:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(SPOKEN)
        return {}

    await run(single("flaky", flaky, retry_policy=RetryPolicy(initial_interval=0.01, jitter=False, max_attempts=3)))

    attempts = spans.named("graph.node flaky")
    assert [each["attempt"] for each in attempts] == [1, 2, 3]
    assert [each.error for each in attempts] == ["ConnectionError", "ConnectionError", None]
    assert [each.status for each in attempts] == ["ERROR", "ERROR", "UNSET"]
    assert len({each["task_id"] for each in attempts}) == 1


async def test_what_a_node_calls_is_no_node_whatever_its_name_and_also_after_the_nodes_end(spans: Recorder) -> None:
    may_go_on, left_behind = asyncio.Event(), list[asyncio.Task[Any]]()

    async def echo(value: str) -> str:
        return value

    async def late() -> None:
        await may_go_on.wait()
        await RunnableLambda(echo).ainvoke("late")

    async def begin(_: State) -> State:
        left_behind.append(asyncio.create_task(late()))
        return {"words": [await RunnableLambda(echo).with_config(run_name="begin").ainvoke("at once")]}

    async def end(_: State) -> State:
        may_go_on.set()
        await left_behind[0]
        return {}

    graph = StateGraph(State).add_node(begin).add_node(end).add_edge(START, "begin").add_edge("begin", "end").compile()
    assert (await run(graph))["words"][-1] == "at once"

    assert [each["node"] for each in spans.seen() if each["node"]] == ["begin", "end"]


async def test_a_question_is_no_failure(spans: Recorder) -> None:
    async def ask(_: State) -> State:
        return {"words": [interrupt(SPOKEN)]}

    graph = single("ask", ask).copy({"checkpointer": InMemorySaver()})
    await run(graph)
    await run(graph, Command(resume="yes"))

    assert [(each.status, each.error) for each in spans.named("graph.node ask")] == [("UNSET", None)] * 2


async def test_a_task_of_the_functional_api_has_a_span(spans: Recorder) -> None:
    @task
    async def double(number: int) -> int:
        return 2 * number

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(given: dict[str, Any]) -> int:
        return await double(len(given["words"]))

    assert await run(flow) == 2
    assert spans.one("graph.node double").parent_id == spans.one("graph.node flow").span_id


async def test_no_span_has_anything_of_the_state(spans: Recorder) -> None:
    async def broken(state: State) -> State:
        raise ValueError(state["words"][0])

    ended = await run(StateGraph(State).add_node("broken", broken).add_edge(START, "broken").compile())

    assert SPOKEN in str(ended)
    assert spans.one("graph.node broken").error == "ValueError"
    assert not [each for each in spans.seen() if SPOKEN in each.text]


async def test_without_anybody_who_records_spans_a_config_stays_as_it_is() -> None:
    config = RunnableConfig(configurable={"thread_id": "t"})

    with advancing(request(), "r", unit="run") as span:
        assert with_node_spans(config, Driven()) is config
        assert not span.span.is_recording()
