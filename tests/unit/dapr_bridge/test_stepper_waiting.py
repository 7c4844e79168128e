"""A graph driven from one activity to the next, that waits for somebody: what it gives and tells meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send

from dapr_bridge._stepper import Stepper
from dapr_bridge._wire import Stage
from tests.kit.stepping import THREAD, Drive, Runs, State, ask, fork_and_join

pytestmark = pytest.mark.anyio


async def test_an_answer_that_is_delivered_again_is_not_taken_for_the_next_question_of_a_lone_task() -> None:
    graph = StateGraph(State)
    graph.add_node("ask", Runs().node("ask", ask))
    graph.add_edge(START, "ask")
    drive = Drive(graph.compile())
    await drive.invoke({"words": []})
    (first,) = (await drive.graph.aget_state(THREAD)).interrupts
    answer = Command(resume={first.id: "one"})

    for _ in range(2):
        await drive.begin(answer)

    state = await drive.graph.aget_state(THREAD)
    assert [question.value for question in state.interrupts] == ["second?"]
    assert state.values == {"words": []}


def choices() -> StateGraph[State]:
    """`first`, which asks, and `second`, to which only a caller goes."""
    graph = StateGraph(State).add_node("first", ask).add_node("second", Runs().node("second"))
    return graph.add_edge(START, "first")


@pytest.mark.parametrize(
    "command",
    [
        Command(goto="second"),
        Command(goto="second", update={"words": ["by hand"]}),
        Command(goto=[Send("second", {}), "second"]),
    ],
    ids=["goto", "and update", "and Send"],
)
async def test_the_output_of_a_run_that_waits_has_what_the_callers_command_has_called(command: Command[Any]) -> None:
    native = choices().compile(checkpointer=InMemorySaver())
    drive = Drive(choices().compile())
    for graph in (native.ainvoke, drive.invoke):
        await graph({"words": ["in"]}, THREAD)

    wanted = [await native.ainvoke(command, THREAD), await native.ainvoke(Command(resume="a"), THREAD)]

    seen = [await drive.invoke(command), await drive.invoke(Command(resume="a"))]
    assert [each["words"] for each in seen] == [each["words"] for each in wanted]
    assert "second" in seen[0]["words"]


def forked_beside(runs: Runs) -> StateGraph[State]:
    """Two that ask at once, and `aside`, to which only a caller goes."""
    graph = StateGraph(State).add_node("asking", runs.node("asking", ask)).add_node("other", runs.node("other", ask))
    graph.add_node("aside", runs.node("aside", ask))
    return graph.add_edge(START, "asking").add_edge(START, "other")


def sent_beside(runs: Runs) -> StateGraph[State]:
    """Two `asking` by Sends, and `aside`, to which only a caller goes."""
    graph = StateGraph(State).add_node("asking", runs.node("asking", ask)).add_node("aside", runs.node("aside", ask))
    return graph.add_conditional_edges(START, lambda _: [Send("asking", {})] * 2, ["asking"])


@pytest.mark.parametrize("build", [forked_beside, sent_beside])
async def test_a_worker_that_has_planned_a_superstep_before_runs_nothing_that_a_command_to_another_has_called(
    build: Callable[[Runs], StateGraph[State]],
) -> None:
    runs = Runs()
    drive = Drive(build(runs).compile())
    early = Stepper(drive.graph, fans_out=True)
    saver: Any = drive.graph.checkpointer
    before = await early.advance({"words": []}, THREAD, head=None)
    where: Any = {"checkpoint_id": before.checkpoint_id, "last_step": before.last_step}
    assert [await early.run_task(task, THREAD, **where) for task in before.tasks] == ["paused"] * 2
    plan = await drive.begin(Command(goto="aside"))
    assert [await drive.run(task, plan) for task in plan.tasks] == ["paused"] * 3
    done = dict(runs)
    asking = next(task for task in plan.tasks if task.node == "asking")

    assert await early.output_so_far(THREAD) == {"words": []}
    assert dict(runs) == done
    assert await early.run_task(asking, THREAD, **where) == "paused"
    assert runs == {**done, "asking": done["asking"] + 1}
    assert len((await saver.aget_tuple(THREAD)).pending_writes) == 4


@pytest.mark.parametrize("is_by_id", [False, True], ids=["without an id", "by id"])
async def test_an_answer_for_the_graph_around_is_none_where_there_is_no_graph_around(is_by_id: bool) -> None:
    drive = Drive(choices().compile())
    await drive.invoke({"words": []})
    (question,) = (await drive.graph.aget_state(THREAD)).interrupts
    answer: Command[Any] = Command(resume={question.id: "x"} if is_by_id else "x", graph=Command.PARENT)

    with pytest.raises(InvalidUpdateError, match="no parent graph"):
        await drive.invoke(answer)

    assert (await drive.graph.aget_state(THREAD)).interrupts == (question,)


class ValuesHeard:
    """An ear that keeps the values of the state."""

    modes, subgraphs = ("checkpoints", "tasks", "values"), False

    def __init__(self) -> None:
        self.values: list[Any] = []

    async def hear(self, _: tuple[str, ...], mode: str, payload: Any) -> None:
        if mode == "values":
            self.values.append(payload)


@pytest.mark.parametrize("was_told", [False, True], ids=["delivered again", "after the fan-out"])
async def test_the_values_at_which_a_run_goes_on_are_told_unless_they_were(was_told: bool) -> None:
    drive, ear = Drive(fork_and_join(Runs()).compile()), ValuesHeard()
    plan = await drive.begin({"words": ["in"]})
    saver: Any = drive.graph.checkpointer

    await Stepper(drive.graph, fans_out=True, ear=ear).advance(
        None,
        THREAD,
        head=await saver.aget_tuple(THREAD),
        stage=Stage(checkpoint_id=plan.checkpoint_id, last_step=plan.last_step) if was_told else None,
        is_new=False,
    )

    assert ear.values == ([] if was_told else [{"words": ["in"]}])


class AllHeard(ValuesHeard):
    """An ear that keeps the modes of what comes after the plan."""

    modes = ("checkpoints", "tasks", "updates", "values")

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, Any]] = []

    async def hear(self, _: tuple[str, ...], mode: str, payload: Any) -> None:
        if mode in ("updates", "values"):
            self.heard.append((mode, payload))


@pytest.mark.parametrize(
    ("writes", "told"),
    [
        ({"words": ["beside"]}, [("values", {"words": ["beside"]}), ("updates", {"__interrupt__": ()})]),
        ({}, [("updates", {"__interrupt__": ()})]),
    ],
    ids=["changed", "unchanged"],
)
async def test_a_run_at_a_breakpoint_tells_changed_values_before_it_tells_of_the_breakpoint(
    writes: State, told: list[tuple[str, Any]]
) -> None:
    inner = StateGraph(State).add_node("after", Runs().node("after")).add_edge(START, "after")
    graph = StateGraph(State).add_node("beside", lambda _: writes).add_edge(START, "beside")
    graph.add_node("inner", inner.compile(interrupt_before=["after"])).add_edge(START, "inner")
    native = graph.compile(checkpointer=InMemorySaver())
    wanted = [each async for each in native.astream({"words": []}, THREAD, stream_mode=["updates", "values"])]
    drive, ear = Drive(graph.compile()), AllHeard()
    plan = await drive.begin({"words": []})
    ends = {task.id: await drive.run(task, plan) for task in plan.tasks}
    stands = [each for each, end in ends.items() if end == "stopped"]
    saver: Any = drive.graph.checkpointer

    await Stepper(drive.graph, fans_out=True, ear=ear).advance(
        None,
        THREAD,
        head=await saver.aget_tuple(THREAD),
        stage=Stage(checkpoint_id=plan.checkpoint_id, last_step=plan.last_step, paused=stands, stopped=stands),
        is_new=False,
    )

    # The values before, and what the task beside has written, the task itself has told.
    assert wanted[2:] == told
    assert ear.heard[-len(told) :] == told
    assert [mode for mode, _ in ear.heard].count("values") == len(told) - 1
