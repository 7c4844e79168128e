"""What a client sees of a run while it goes on, in another process, against what plain LangGraph streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from dapr_bridge import CallRefusedError, DurableGraph, GraphFailedError
from dapr_bridge.testing import ControlPlane
from tests.kit.client_rig import ClientRig, client_rig, on_thread
from tests.kit.client_worker import build_graphs
from tests.kit.streamed_events import comparable

pytestmark = pytest.mark.anyio

ALL_MODES = ["values", "updates", "messages", "custom", "tasks", "checkpoints", "debug"]


@pytest.fixture(scope="module")
def rig(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientRig]:
    """One sidecar and worker for the whole module."""
    with client_rig(control_plane, tmp_path_factory.mktemp("streaming")) as built:
        yield built


def plain(rig: ClientRig, name: str) -> Any:
    return build_graphs(rig.far.url)[name].copy({"checkpointer": InMemorySaver()})


async def streamed(graph: Any, given: Any, thread_id: str, **options: Any) -> list[str]:
    events = graph.astream(given, on_thread(thread_id), **options)
    return [comparable(event) async for event in events]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("name", ["chain", "nested", "talk"])
async def test_all_modes_together_are_those_of_plain_langgraph(
    rig: ClientRig, name: str, subgraphs: bool, version: str
) -> None:
    given: Any = {"messages": ["hello"]} if name == "talk" else {"words": ["in"]}
    options: dict[str, Any] = {"stream_mode": ALL_MODES, "subgraphs": subgraphs, "version": version}
    thread_id = f"all-{name}-{subgraphs}-{version}"
    wanted = await streamed(plain(rig, name), given, thread_id, durability="sync", **options)

    async with rig.client(name) as durable:
        seen = await streamed(durable, given, thread_id, **options)

    assert seen == wanted


@pytest.mark.parametrize("mode", ALL_MODES)
async def test_a_single_mode_yields_what_plain_langgraph_yields(rig: ClientRig, mode: str) -> None:
    wanted = await streamed(plain(rig, "chain"), {"words": ["in"]}, f"one-{mode}", stream_mode=mode, durability="sync")

    async with rig.client("chain") as durable:
        seen = await streamed(durable, {"words": ["in"]}, f"one-{mode}", stream_mode=mode)

    assert seen == wanted


async def test_parallel_tasks_are_all_seen(rig: ClientRig) -> None:
    options: dict[str, Any] = {"stream_mode": ["updates", "values", "tasks"]}
    wanted = await streamed(plain(rig, "fan"), {"words": ["in"]}, "fan", durability="sync", **options)

    async with rig.client("fan") as durable:
        seen = await streamed(durable, {"words": ["in"]}, "fan", **options)

    assert sorted(seen) == sorted(wanted)
    assert seen[-1] == wanted[-1]


async def test_questions_and_the_stream_of_their_answers_are_those_of_plain_langgraph(rig: ClientRig) -> None:
    options: dict[str, Any] = {"stream_mode": ["values", "updates"]}
    native = plain(rig, "asking")
    wanted_questions = await streamed(native, {"words": ["in"]}, "ask", **options)
    wanted_rest = await streamed(native, await _answers(native), "ask", **options)

    async with rig.client("asking") as durable:
        questions = await streamed(durable, {"words": ["in"]}, "ask", **options)
        rest = await streamed(durable, await _answers(durable), "ask", **options)

    assert sorted(questions) == sorted(wanted_questions)
    assert sorted(rest) == sorted(wanted_rest)
    assert rest[-1] == wanted_rest[-1]


async def test_a_failure_is_raised_after_the_events(rig: ClientRig) -> None:
    seen: list[Any] = []

    async def watch(durable: DurableGraph) -> None:
        async for event in durable.astream({"words": ["in"]}, on_thread("failing"), stream_mode="values"):
            seen.append(event)  # noqa: PERF401 - an exception leaves nothing of a comprehension

    async with rig.client("failing") as durable:
        with pytest.raises(GraphFailedError, match="as expected"):
            await watch(durable)

    assert seen == [{"words": ["in"]}, {"words": ["in", "fine"]}]


async def test_events_of_any_size_arrive(rig: ClientRig) -> None:
    async with rig.client("large") as durable:
        stream = durable.astream({"words": []}, on_thread("large"), stream_mode=["custom", "values"])
        seen = [(mode, value) async for mode, value in stream]

    assert [len(value) for mode, value in seen if mode == "custom"] == [5 << 20]
    assert seen[-1] == ("values", {"words": ["y" * (5 << 20)]})


async def test_a_caller_that_blocks_streams_too(rig: ClientRig) -> None:
    def blocking() -> list[Any]:
        return list(durable.stream({"words": ["in"]}, on_thread("blocking"), stream_mode="values"))

    async with rig.client("chain") as durable:
        # Once beside the event loop of this thread, once in it.
        seen = await asyncio.to_thread(blocking)
        again = list(durable.stream(None, on_thread("blocking"), stream_mode="values"))

    assert [len(values["words"]) for values in seen] == [1, 2, 3, 4]
    assert again == seen[-1:]


async def test_other_modes_of_ainvoke_return_the_events(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        returned = await durable.ainvoke({"words": ["in"]}, on_thread("list"), stream_mode="updates")

    assert returned == [{name: {"words": [name]}} for name in ("one", "two", "three")]


async def test_two_runs_of_one_client_see_their_own_events(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:

        async def last_word(word: str) -> Any:
            stream = durable.astream({"words": [word]}, on_thread(f"own-{word}"), stream_mode="values")
            return [values["words"] async for values in stream]

        seen = await asyncio.gather(*(last_word(word) for word in ("a", "b", "c")))

    assert seen == [[[w, "one", "two", "three"][:n] for n in range(1, 5)] for w in ("a", "b", "c")]


async def test_without_a_component_a_stream_is_refused(rig: ClientRig) -> None:
    async with rig.client("chain", events=None) as silent, rig.client("chain", events="nowhere") as lost:
        with pytest.raises(CallRefusedError, match="streams nothing: give it the name of a pub/sub component"):
            await _first(silent)
        with pytest.raises(CallRefusedError, match="no subscription to pub/sub component 'nowhere'"):
            await _first(lost)


async def _first(durable: DurableGraph) -> Any:
    return await anext(durable.astream({"words": []}, on_thread("refused")))


async def _answers(graph: Any) -> Command[Any]:
    state = await graph.aget_state(on_thread("ask"))
    return Command(resume={each.id: f"yes to {each.value}" for each in state.interrupts})
