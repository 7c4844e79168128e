"""A `DurableGraph` that is called in a node of another graph, in each way in which LangGraph's own may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy

from dapr_bridge import DurableGraph, Unit
from dapr_bridge.testing import ControlPlane
from tests.kit.client_rig import ClientRig, client_rig, on_thread
from tests.kit.client_worker import State, build_graphs
from tests.kit.deliveries import Rig

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def rig(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientRig]:
    """One sidecar and worker for the whole module."""
    with client_rig(control_plane, tmp_path_factory.mktemp("nested")) as built:
        yield built


def outer(make: Callable[[StateGraph[State]], None]) -> Any:
    graph = StateGraph(State)
    make(graph)
    graph.add_edge(START, "inside")
    return graph.compile(checkpointer=InMemorySaver())


async def test_it_is_a_node_of_another_graph(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        whole = outer(lambda graph: graph.add_node("inside", durable))
        output = await whole.ainvoke({"words": ["in"]}, on_thread("outer"))

    native = outer(lambda graph: graph.add_node("inside", build_graphs(rig.far.url)["chain"]))
    assert output == await native.ainvoke({"words": ["in"]}, on_thread("outer"))


@pytest.mark.parametrize("how", ["as a node", "without a config", "with an empty config", "with its own"])
async def test_its_questions_reach_the_graph_around_it(rig: ClientRig, how: str) -> None:
    async with rig.client("asking") as durable:

        async def inside(state: State, config: RunnableConfig) -> Any:
            given = {"without a config": None, "with an empty config": RunnableConfig(), "with its own": config}[how]
            return await durable.ainvoke(state, given)

        whole = outer(lambda graph: graph.add_node("inside", durable if how == "as a node" else inside))
        thread = on_thread(f"outer asks, {how}")
        output = await whole.ainvoke({"words": ["in"]}, thread)
        asked: list[str] = []
        while "__interrupt__" in output:
            (question,) = output["__interrupt__"]
            asked.append(question.value)
            output = await whole.ainvoke(Command(resume=f"yes, {question.value}"), thread)

    assert sorted(asked) == ["left?", "right?"]
    assert output["words"][-1] == "closed"
    assert {"left: yes, left?", "right: yes, right?"} < set(output["words"])


@pytest.mark.parametrize("unit", ["run", "task"])
async def test_an_answer_without_an_id_reaches_one_of_which_a_hosted_graph_knows_only_the_name(
    rig: ClientRig, unit: Unit
) -> None:
    given = [{"words": ["in"]}, Command(resume="yes"), Command(resume="yes")]
    async with DurableGraph("asking", saver=rig.saver, address=rig.sidecar.address) as durable:
        around = StateGraph(State).add_node("inside", durable).add_edge(START, "inside").compile()
        runs = Rig(rig.saver, unit, built=around, thread_id="by name")
        outcomes = [await runs.deliver(f"run-{number}", value) for number, value in enumerate(given)]

    assert [outcome.status for outcome in outcomes] == ["interrupted", "interrupted", "finished"]


async def test_in_a_runnable_it_runs_on_the_thread_of_the_call_around_it(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:

        async def within(words: list[str]) -> Any:
            return await durable.ainvoke({"words": words})

        await RunnableLambda(within).ainvoke(["in"], on_thread("around"))
        state = await durable.aget_state(on_thread("around"))

    assert state.values["words"] == ["in", "one", "two", "three"]


@pytest.mark.parametrize("around", [False, True], ids=["alone", "in another graph"])
async def test_a_long_question_and_what_its_answer_looks_like_reach_who_asks(rig: ClientRig, around: bool) -> None:
    async def talk(graph: Any) -> list[Any]:
        whole = outer(lambda outside: outside.add_node("inside", graph)) if around else graph
        thread = on_thread(f"form, {around}")
        asked = await whole.ainvoke({"words": []}, thread)
        (question,) = asked["__interrupt__"]
        return [question.value, question.response_schema, await whole.ainvoke(Command(resume={"count": 3}), thread)]

    native = build_graphs(rig.far.url)["form"]
    async with rig.client("form") as durable:
        assert await talk(durable) == await talk(native if around else native.copy({"checkpointer": InMemorySaver()}))


def calling(node: Any, **given: Any) -> Any:
    return outer(lambda graph: graph.add_node("inside", node, **given))


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
async def test_each_call_of_a_node_is_a_run_of_its_own(rig: ClientRig, at_once: bool) -> None:
    async with rig.client("chain") as durable, rig.client("blocking") as other:

        async def call(word: str) -> list[str]:
            return (await (other if word == "c" else durable).ainvoke({"words": [word]}))["words"]

        async def inside(_: State) -> State:
            said = await asyncio.gather(*map(call, "abc")) if at_once else [await call(word) for word in "abc"]
            return {"words": [" ".join(each) for each in said]}

        output = await calling(inside).ainvoke({"words": []}, on_thread(f"several, {at_once}"))

    assert output["words"] == ["a one two three", "b one two three", "c one two"]


async def test_what_a_node_has_called_is_found_again_when_it_is_tried_again(rig: ClientRig) -> None:
    rig.far.marks.clear()
    attempts: list[int] = []
    async with rig.client("chain") as durable:

        async def inside(_: State) -> State:
            said = [(await durable.ainvoke({"words": [word]}))["words"] for word in "ab"]
            attempts.append(len(attempts))
            if len(attempts) == 1:
                raise ConnectionError
            return {"words": [" ".join(each) for each in said]}

        again = RetryPolicy(initial_interval=0.01, jitter=False)
        output = await calling(inside, retry_policy=again).ainvoke({"words": []}, on_thread("tried again"))

    assert output["words"] == ["a one two three", "b one two three"]
    assert (len(attempts), rig.far.counts()["one"]) == (2, 2)


async def test_a_call_with_a_thread_of_its_own_has_nothing_of_the_run_around_it(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:

        async def inside(_: State) -> State:
            for word in "ab":
                await durable.ainvoke({"words": [word]}, {**on_thread("its own"), "metadata": {"mine": word}})
            return {}

        config: RunnableConfig = {**on_thread("around it"), "metadata": {"run_id": "around", "who": "me", "no": ("t",)}}
        await calling(inside).ainvoke({"words": []}, config)
        state = await durable.aget_state(on_thread("its own"))

    assert state.values["words"] == ["a", "one", "two", "three", "b", "one", "two", "three"]
    assert state.metadata["mine"] == "b"
    assert state.metadata["who"] == "me"
    assert not {each for each in state.metadata if each.startswith("langgraph_")}
