"""`DurableGraph` in the place of a compiled graph: every call of LangGraph's protocol, with its arguments."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.callbacks import GraphCallbackHandler, GraphInterruptEvent, GraphResumeEvent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import Command, GraphOutput, StateUpdate

from dapr_bridge import CallRefusedError, DurableGraph, GraphFailedError, GraphNotFoundError, StateStoreNotFoundError
from dapr_bridge.testing import ControlPlane
from tests.kit.client_rig import ClientRig, client_rig, on_thread
from tests.kit.client_worker import Tone, Typed, build_graphs
from tests.kit.sidecars import output_of, workflow_client

pytestmark = pytest.mark.anyio

Graph = PregelProtocol[Any, Any, Any, Any]


@pytest.fixture(scope="module")
def rig(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientRig]:
    """One sidecar and worker for the whole module."""
    with client_rig(control_plane, tmp_path_factory.mktemp("calls")) as built:
        yield built


def plain(rig: ClientRig, name: str) -> Any:
    return build_graphs(rig.far.url)[name].copy({"checkpointer": InMemorySaver()})


def essence(state: Any) -> Any:
    """A state without the ids that differ from run to run."""
    return state.values, state.next, state.metadata["step"], state.metadata["source"], len(state.interrupts)


async def use(graph: Graph) -> list[Any]:
    """What a program does with a graph, whichever it is."""
    thread = on_thread("program")
    seen = [await graph.ainvoke({"words": ["in"]}, thread, interrupt_before=["two"])]
    seen += [essence(await graph.aget_state(thread))]
    seen += [await graph.ainvoke(None, thread, interrupt_after=["two"])]
    await graph.aupdate_state(thread, {"words": ["by hand"]})
    seen += [await graph.ainvoke(None, thread)]
    seen += [essence(state) async for state in graph.aget_state_history(thread)]
    past = [state async for state in graph.aget_state_history(thread) if state.next == ("two",)][-1]
    seen += [await graph.ainvoke(None, past.config)]
    seen += [essence(await graph.aget_state(thread))]
    await graph.abulk_update_state(thread, [[StateUpdate({"words": ["bulk"]}, "one")]])
    seen += [essence(await graph.aget_state(thread)), list(graph.get_graph().nodes)]
    return seen


async def test_a_program_sees_no_difference(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        assert isinstance(durable, PregelProtocol)
        assert await use(durable) == await use(plain(rig, "chain"))


def use_blocking(graph: Graph) -> list[Any]:
    """The same for a program that blocks."""
    thread = on_thread("blocking")
    seen = [graph.invoke({"words": ["in"]}, thread, interrupt_before=["two"]), essence(graph.get_state(thread))]
    graph.update_state(thread, {"words": ["by hand"]})
    seen += [list(graph.stream(None, thread, stream_mode="updates"))]
    graph.bulk_update_state(thread, [[StateUpdate({"words": ["bulk"]}, "one")]])
    return [*seen, *(essence(state) for state in graph.get_state_history(thread, limit=3))]


async def test_a_program_that_blocks_sees_no_difference(rig: ClientRig) -> None:
    async with rig.client("blocking") as durable:
        seen = await asyncio.to_thread(use_blocking, durable)

    assert seen == await asyncio.to_thread(use_blocking, plain(rig, "blocking"))


async def test_questions_are_asked_and_answered_alike(rig: ClientRig) -> None:
    async def talk(graph: Graph) -> list[Any]:
        asked = await graph.ainvoke({"words": []}, on_thread("questions"))
        answers = {each.id: f"yes, {each.value}" for each in asked["__interrupt__"]}
        ended = await graph.ainvoke(Command(resume=answers), on_thread("questions"))
        return [sorted(each.value for each in asked["__interrupt__"]), asked["words"], ended]

    async with rig.client("asking") as durable:
        assert await talk(durable) == await talk(plain(rig, "asking"))


async def test_who_asks_for_no_events_gets_none(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        chunks = [
            [each async for each in graph.astream({"words": []}, on_thread("silent"), stream_mode=[])]
            for graph in (durable, plain(rig, "chain"))
        ]
        state = await durable.aget_state(on_thread("silent"))

    assert chunks == [[], []]
    assert state.values["words"] == ["one", "two", "three"]


async def test_more_questions_than_a_history_holds_are_asked_and_answered(rig: ClientRig) -> None:
    async with rig.client("crowd") as durable:
        asked = (await durable.ainvoke({"words": []}, on_thread("crowd")))["__interrupt__"]
        answers = {each.id: each.value.split()[0] for each in asked}
        left = await durable.ainvoke(Command(resume=dict(list(answers.items())[:10])), on_thread("crowd"))
        output = await durable.ainvoke(Command(resume=answers), on_thread("crowd"))

    assert (len(asked), len(left["__interrupt__"])) == (700, 690)
    assert sorted(map(int, output["words"])) == list(range(700))


async def test_output_keys_context_and_versions_travel(rig: ClientRig) -> None:
    async def call(graph: Graph, **given: Any) -> Any:
        return await graph.ainvoke({"count": 1}, on_thread(repr(given)), **given)

    async with rig.client("typed") as durable:
        # LangGraph's copy of a graph, as with a checkpointer, does not build the state's type.
        native = build_graphs(rig.far.url)["typed"]
        for given in ({"context": Tone(loud=True)}, {"context": {"loud": True}}, {"context": Tone(), "version": "v2"}):
            assert await call(durable, **given) == await call(native, **given)
        typed = await call(durable, context=Tone(loud=True), version="v2")
        parts = durable.astream({"count": 1}, on_thread("parts"), context=Tone(), stream_mode="values", version="v2")
        values = [part["data"] async for part in parts]
    async with rig.client("chain") as durable:
        only = await durable.ainvoke({"words": ["in"]}, on_thread("only"), output_keys=["words"])
        one = await durable.ainvoke({"words": ["in"]}, on_thread("one"), output_keys="words")

    assert typed == GraphOutput(value=Typed(count=11), interrupts=())
    assert values == [Typed(count=1), Typed(count=2)]
    assert only == {"words": one} == {"words": ["in", "one", "two", "three"]}


async def test_questions_in_place_of_an_output_are_told_alike(rig: ClientRig) -> None:
    async def ask(graph: Graph) -> list[Any]:
        given: dict[str, Any] = {"output_keys": "words", "version": "v2"}
        asked = await graph.ainvoke({"words": []}, on_thread("in-place"), **given)
        ended = await graph.ainvoke(
            Command(resume={each.id: "yes" for each in asked.interrupts}), on_thread("in-place")
        )
        return [asked.value, sorted(each.value for each in asked.interrupts), ended]

    async with rig.client("asking") as durable:
        assert await ask(durable) == await ask(plain(rig, "asking"))


async def test_a_config_given_once_counts_for_each_call(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        bound = durable.with_config(on_thread("bound"), tags=["mine"]).with_config(metadata={"who": "me"})
        await bound.ainvoke({"words": ["in"]})
        state = await bound.aget_state({})

    assert isinstance(bound, DurableGraph)
    assert state.values["words"] == ["in", "one", "two", "three"]
    assert state.metadata["who"] == "me"


async def test_a_run_with_a_name_and_no_thread_is_one_run_each_time(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        rig.far.marks.clear()
        outputs = [await durable.ainvoke({"words": ["in"]}, run_id="named only") for _ in range(2)]
        other = await durable.ainvoke({"words": ["in"]}, run_id="named otherwise")

    assert outputs == [other, other]
    assert rig.far.counts()["one"] == 2


async def test_a_state_that_is_not_there_is_not_changed(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        await durable.ainvoke({"words": ["in"]}, on_thread("changed"))
        gone: RunnableConfig = {"configurable": {"thread_id": "changed", "checkpoint_id": "1"}}
        with pytest.raises(CallRefusedError, match="checkpoint '1' is not there, or kept no more"):
            await durable.aupdate_state(gone, {"words": ["by hand"]})
        with pytest.raises(CallRefusedError, match="checkpoint '1' is not there"):
            await asyncio.to_thread(durable.update_state, gone, {"words": ["by hand"]})
        state = await durable.aget_state(on_thread("changed"))

    assert state.values["words"] == ["in", "one", "two", "three"]


@pytest.mark.parametrize("bound", [None, {"recursion_limit": 100}], ids=["alone", "over another"])
async def test_langchains_own_recursion_limit_is_a_limit_as_any_other(
    rig: ClientRig, bound: RunnableConfig | None
) -> None:
    async def run(graph: Any) -> str:
        with pytest.raises((GraphRecursionError, GraphFailedError), match="limit of 25 reached") as failed:
            await graph.with_config(bound).ainvoke({"words": []}, {**on_thread(f"{bound}"), "recursion_limit": 25})
        return getattr(failed.value, "error_type", type(failed.value).__name__)

    async with rig.client("loop") as durable:
        assert await run(durable) == await run(plain(rig, "loop"))
        assert len((await durable.ainvoke({"words": []}, on_thread(f"no limit, {bound}")))["words"]) == 40


@pytest.mark.filterwarnings("ignore:This API is in beta")
async def test_what_a_graph_takes_and_gives_is_known_as_of_the_graph_itself(rig: ClientRig) -> None:
    def told(graph: Any) -> list[Any]:
        return [
            graph.InputType,
            graph.OutputType,
            graph.get_input_jsonschema(),
            graph.get_output_jsonschema(),
            graph.get_input_schema().model_json_schema(),
            graph.get_output_schema().model_json_schema(),
            graph.get_context_jsonschema(),
        ]

    async with rig.client("typed") as durable:
        assert told(durable) == told(build_graphs(rig.far.url)["typed"])
        tool = durable.bind(context=Tone(loud=True)).as_tool(name="counter", description="Counts.")
        counted = await tool.ainvoke({"count": 1}, on_thread("tool"))

    assert list(tool.args) == ["count"]
    assert counted == {"count": 11}


async def test_a_name_is_enough_to_run_and_not_to_read(rig: ClientRig) -> None:
    async with DurableGraph("chain", saver=rig.saver, address=rig.sidecar.address) as durable:
        output = await durable.ainvoke({"words": ["in"]}, on_thread("by name"))
        streamed = [part async for part in durable.astream({"words": []}, on_thread("by name, too"))]
        with pytest.raises(CallRefusedError, match=r"aget_state needs the compiled graph.*DurableGraph\(graph, name="):
            await durable.aget_state(on_thread("by name"))

    assert output == {"words": ["in", "one", "two", "three"]}
    assert [next(iter(update)) for update in streamed] == ["one", "two", "three"]


async def test_callbacks_see_the_run_as_one_step(rig: ClientRig) -> None:
    noted: list[Any] = []

    class Noting(AsyncCallbackHandler):
        async def on_chain_start(self, serialized: Any, inputs: Any, **given: Any) -> None:
            noted.append(("start", given["name"], inputs))

        async def on_chain_end(self, outputs: Any, **_: Any) -> None:
            noted.append(("end", outputs))

        async def on_chain_error(self, error: BaseException, **_: Any) -> None:
            noted.append(("error", type(error).__name__))

    async with rig.client("chain") as durable, rig.client("failing") as failing:
        config: Any = {**on_thread("callbacks"), "callbacks": [Noting()]}
        output = await durable.ainvoke({"words": ["in"]}, config)
        with pytest.raises(Exception, match="as expected"):
            await failing.ainvoke({"words": []}, {**config, **on_thread("callbacks-2")})

    assert noted[:2] == [("start", "chain", {"words": ["in"]}), ("end", output)]
    assert noted[2:] == [("start", "failing", {"words": []}), ("error", "GraphFailedError")]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("output_keys", [None, "words", ["words"], []])
async def test_the_output_of_a_run_that_asks_has_the_shape_that_plain_langgraph_gives_it(
    rig: ClientRig, output_keys: Any, version: str
) -> None:
    async def ask(graph: Any) -> Any:
        thread = on_thread(f"shape-{output_keys}-{version}")
        output = await graph.ainvoke({"words": []}, thread, output_keys=output_keys, version=version)
        return output.value if version == "v2" else {key: each for key, each in output.items() if key == "words"}

    async with rig.client("asking") as durable:
        assert await ask(durable) == await ask(plain(rig, "asking"))


class RootNoted(AsyncCallbackHandler):
    """Notes what is said of the outermost run."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    async def on_chain_start(self, serialized: Any, inputs: Any, **about: Any) -> None:
        if about["parent_run_id"] is None:
            self.noted.append(("start", inputs, about["tags"], about["metadata"]))

    async def on_chain_end(self, outputs: Any, **about: Any) -> None:
        if about["parent_run_id"] is None:
            self.noted.append(("end", outputs))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("how", ["ainvoke", "astream"])
@pytest.mark.parametrize("name", ["chain", "asking"])
async def test_callbacks_hear_of_a_run_what_plain_langgraph_tells_them(
    rig: ClientRig, name: str, how: str, version: str
) -> None:
    async def use_with(graph: Any) -> list[Any]:
        root, thread = RootNoted(), on_thread(f"root-{name}-{how}-{version}")
        config: Any = {**thread, "callbacks": [root], "tags": ["mine"], "metadata": {"of": "mine"}}
        if how == "ainvoke":
            await graph.ainvoke({"words": ["in"]}, config, version=version)
        else:
            _ = [event async for event in graph.astream({"words": ["in"]}, config, version=version)]
        return root.noted

    async with rig.client(name) as durable:
        noted = await use_with(durable)

    assert noted == await use_with(plain(rig, name))
    assert [kind for kind, *_ in noted] == ["start", "end"]


class Lifecycle(GraphCallbackHandler):
    """Notes what LangGraph's handlers hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_interrupt(self, event: GraphInterruptEvent) -> None:
        self.heard.append(("interrupt", event.status, event.checkpoint_ns, [each.value for each in event.interrupts]))

    def on_resume(self, event: GraphResumeEvent) -> None:
        self.heard.append(("resume", event.status, event.checkpoint_ns))


@pytest.mark.parametrize("how", ["ainvoke", "astream"])
async def test_handlers_of_the_graphs_life_hear_what_plain_langgraph_tells_them(rig: ClientRig, how: str) -> None:
    async def use_with(graph: Any) -> list[tuple[Any, ...]]:
        lifecycle = Lifecycle()
        config: Any = {**on_thread(f"lifecycle-{how}"), "callbacks": [lifecycle]}

        async def call(value: Any, **given: Any) -> None:
            if how == "ainvoke":
                await graph.ainvoke(value, config, **given)
            else:
                _ = [event async for event in graph.astream(value, config, **given)]

        await call({"words": ["in"]}, interrupt_before=["two"])
        await call(None, interrupt_after=["two"])
        await call(None)
        return lifecycle.heard

    async with rig.client("chain") as durable:
        heard = await use_with(durable)

    assert heard == await use_with(plain(rig, "chain"))
    assert [kind for kind, *_ in heard] == ["interrupt", "resume", "interrupt", "resume"]


async def test_a_list_of_events_has_those_of_subgraphs_when_it_is_asked_for_them(rig: ClientRig) -> None:
    async def events(graph: Any) -> Any:
        return await graph.ainvoke({"words": ["in"]}, on_thread("listed"), stream_mode="updates", subgraphs=True)

    async with rig.client("chain") as durable:
        assert await events(durable) == await events(plain(rig, "chain"))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"durability": "exit"}, "durability='exit': a durable run saves each superstep"),
    ({"control": "stop"}, "control='stop': pass a RunControl"),
    ({"print_mode": "values"}, "print_mode='values': the worker's console is not this one"),
    ({"debug": True}, "debug=True"),
    ({"run_id": "a/b"}, "run id 'a/b': Dapr's workflows take no '/'"),
    ({"sideways": 1}, "argument 'sideways' is unknown"),
    ({"config": {"configurable": {"thread_id": "t", "model": object()}}}, r"config\['configurable'\]\['model'\]"),
    ({"config": {"metadata": {"when": {1, 2}}}}, r"config\['metadata'\]\['when'\] is a set"),
    ({"config": {"unheard_of": 1}}, r"config\['unheard_of'\] is unknown"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
async def test_what_would_be_lost_is_refused_by_name(rig: ClientRig, given: dict[str, Any], message: str) -> None:
    async with rig.client("chain") as durable:
        with pytest.raises(CallRefusedError, match=message):
            await durable.ainvoke({"words": []}, **given)
        with pytest.raises(CallRefusedError, match=message):
            await anext(durable.astream({"words": []}, **given))


NO_GRAPH = (
    "no graph 'late' on the worker of this app that took the run: host it there (GraphWorker(graphs={'late': ...}))"
)


async def test_a_graph_that_no_worker_hosts_is_named_with_what_to_do(rig: ClientRig) -> None:
    async with DurableGraph("late", saver=rig.saver, address=rig.sidecar.address) as durable:
        with pytest.raises(GraphNotFoundError, match=re.escape(f"{NO_GRAPH}, and call again with another run id")):
            await durable.ainvoke({}, on_thread("late"))
        with pytest.raises(GraphNotFoundError, match=re.escape(NO_GRAPH)):
            await anext(durable.astream({}, on_thread("late")))


def test_a_workflow_is_told_of_such_a_graph_alike(rig: ClientRig) -> None:
    with workflow_client(rig.sidecar) as client:
        client.schedule_new_workflow("calling_nobody", instance_id="calling-nobody", input="late")

        assert output_of(client, "calling-nobody") == [f"{NO_GRAPH}, and call again"] * 2


async def test_what_asks_for_nothing_more_than_a_durable_run_gives_passes(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        output = await durable.ainvoke({"words": ["in"]}, durability="async", control=None, print_mode=(), debug=False)

    assert output == {"words": ["in", "one", "two", "three"]}


async def test_a_worker_that_streams_nothing_says_so(control_plane: ControlPlane, tmp_path: Any) -> None:
    with client_rig(control_plane, tmp_path) as silent:
        silent.workers[0].stop()
        silent.start_worker(EVENTS="")
        async with silent.client("chain") as durable:
            with pytest.raises(CallRefusedError, match=r"this worker streams nothing: give GraphWorker"):
                await anext(durable.astream({"words": []}, on_thread("silent")))
            output = await durable.ainvoke({"words": []}, on_thread("silent"))

    assert output == {"words": ["one", "two", "three"]}


async def test_a_client_says_that_events_did_not_arrive(
    control_plane: ControlPlane, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with client_rig(control_plane, tmp_path) as rig:
        async with rig.client("chain") as durable:
            whole = [event async for event in durable.astream({"words": []}, on_thread("same"))]
            assert not caplog.messages
            rig.workers[0].stop()
            rig.start_worker(EVENTS="elsewhere")
            seen = [event async for event in durable.astream({"words": []}, on_thread("another"))]

    assert len(whole) == 3
    assert not seen
    assert caplog.messages == [
        "3 of 3 events did not arrive: do worker and client name the same pub/sub component (events=...)?"
    ]


async def test_a_store_that_the_workers_sidecar_lacks_ends_the_run(control_plane: ControlPlane, tmp_path: Any) -> None:
    with client_rig(control_plane, tmp_path) as rig:
        rig.workers[0].stop()
        rig.start_worker(STORE="nostore")
        async with rig.client("chain") as durable, asyncio.timeout(60):
            calls = (durable.ainvoke({}, on_thread("a")), anext(durable.astream({}, on_thread("b"))))
            found: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    for thread_id, error in zip("ab", found, strict=True):
        assert isinstance(error, StateStoreNotFoundError)
        assert f"thread '{thread_id}': its worker says: the sidecar has no state store 'nostore'" in str(error)
