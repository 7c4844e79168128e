"""A graph driven from one activity to the next: each task once, in a worker that knows nothing of the others."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, Send, interrupt

from dapr_bridge._stepper import Advance, PlannedTask, Stepper, TaskEnd
from tests.kit.stepping import THREAD, Drive, Runs, State, ask, fork_and_join

pytestmark = pytest.mark.anyio


class Counting(State, total=False):
    """And how often something happened."""

    rounds: Annotated[int, operator.add]


async def test_parallel_tasks_are_planned_and_lone_ones_run_at_once() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile())

    output = await drive.invoke({"words": ["in"]})

    assert output == {"words": ["in", "left", "right", "join"]}
    assert drive.planned == [["left", "right"]]
    assert runs == {"left": 1, "right": 1, "join": 1}


async def test_every_node_has_the_store_that_the_graph_was_compiled_with() -> None:
    stores: list[BaseStore | None] = []

    def node(_: State, runtime: Runtime) -> State:
        stores.append(runtime.store)
        return {}

    graph = StateGraph(State).add_node("left", node).add_node("right", node).add_node("join", node)
    graph.add_edge(START, "left").add_edge(START, "right").add_edge(["left", "right"], "join")
    store = InMemoryStore()

    await Drive(graph.compile(store=store)).invoke({"words": ["in"]})

    assert stores == [store] * 3


async def test_the_order_of_writes_is_langgraphs_and_not_that_of_the_activities() -> None:
    drive = Drive(fork_and_join(Runs()).compile())
    plan = await drive.begin({"words": []})

    for task in reversed(plan.tasks):
        await drive.run(task, plan)

    assert (await drive.go_on(plan)).output == {"words": ["left", "right", "join"]}


async def test_a_task_that_is_delivered_again_is_not_run_again() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile())
    plan = await drive.begin({"words": []})

    ends = [await drive.run(task, plan) for task in (*plan.tasks, *plan.tasks)]

    assert ends == ["saved"] * 4
    assert runs == {"left": 1, "right": 1}


async def test_going_on_before_all_are_done_plans_what_is_missing() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile())
    plan = await drive.begin({"words": []})
    await drive.run(plan.tasks[0], plan)

    ended = await drive.go_on(plan)

    assert ended.output == {"words": ["left", "right", "join"]}
    assert runs == {"left": 1, "right": 1, "join": 1}


async def test_a_task_of_a_superstep_that_is_over_is_left_alone() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile())
    plan = await drive.begin({"words": []})
    for task in plan.tasks:
        await drive.run(task, plan)
    await drive.go_on(plan)

    assert await drive.run(plan.tasks[0], plan) == "stale"
    assert runs["left"] == 1


async def test_a_failed_task_can_be_run_again_and_its_sibling_is_kept() -> None:
    runs = Runs()

    def fail_once(_: Any) -> State:
        if runs["left"] == 1:
            raise ValueError("not yet")
        return {"words": ["left"]}

    drive = Drive(fork_and_join(runs, left=fail_once).compile())
    plan = await drive.begin({"words": []})
    with pytest.raises(ValueError, match="not yet"):
        await drive.run(plan.tasks[0], plan)
    await drive.run(plan.tasks[1], plan)

    again = await drive.begin(None)

    assert again.output == {"words": ["left", "right", "join"]}
    assert runs == {"left": 2, "right": 1, "join": 1}


async def test_an_answer_reaches_its_question_and_is_not_taken_for_the_next_one() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs, left=ask, right=ask).compile())
    await drive.invoke({"words": []})
    first = (await drive.graph.aget_state(THREAD)).interrupts
    plan = await drive.begin(Command(resume={each.id: str(number) for number, each in enumerate(first)}))
    for task in (*plan.tasks, *plan.tasks):
        assert await drive.run(task, plan) == "paused"

    second = (await drive.graph.aget_state(THREAD)).interrupts
    assert [each.value for each in second] == ["second?", "second?"]
    assert runs == {"left": 2, "right": 2}

    output = await drive.invoke(Command(resume={each.id: f"{number}b" for number, each in enumerate(second)}))
    assert output["words"] == ["0", "0b", "1", "1b", "join"]


async def test_one_answer_without_an_id_is_for_the_one_open_question() -> None:
    drive = Drive(fork_and_join(Runs(), left=lambda _: {"words": [interrupt("well?")]}).compile())
    asked = await drive.invoke({"words": []})

    ended = await drive.invoke(Command(resume="yes"))

    assert asked == {"words": ["right"]}
    assert ended == {"words": ["yes", "right", "join"]}


async def test_what_an_error_handler_wrote_counts_and_it_is_not_run_again() -> None:
    runs = Runs()

    def fail(_: Any) -> State:
        raise ValueError("as asked")

    graph = StateGraph(State)
    graph.add_node("fails", runs.node("fails", fail), error_handler=runs.node("handler"))
    graph.add_node("right", runs.node("right"))
    graph.add_edge(START, "fails")
    graph.add_edge(START, "right")
    drive = Drive(graph.compile())

    assert await drive.invoke({"words": []}) == {"words": ["handler", "right"]}
    assert runs == {"fails": 1, "handler": 1, "right": 1}


@pytest.mark.parametrize("limit", range(1, 6))
async def test_the_recursion_limit_counts_over_all_activities(limit: int) -> None:
    def build() -> StateGraph[State]:
        graph = StateGraph(State)
        for name in ("left", "right", "join"):
            graph.add_node(name, Runs().node(name))
        for name in ("left", "right"):
            graph.add_edge(START, name)
            graph.add_edge(name, "join")
        graph.add_conditional_edges("join", lambda state: ["left", "right"] if len(state["words"]) < 6 else END)
        return graph

    config = {**THREAD, "recursion_limit": limit}
    native, drive = build().compile(checkpointer=InMemorySaver()), Drive(build().compile())

    assert await outcome(lambda: drive.invoke({"words": []}, config)) == await outcome(
        lambda: native.ainvoke({"words": []}, config, durability="sync")
    )
    assert (await drive.graph.aget_state(THREAD)).values == (await native.aget_state(THREAD)).values


async def outcome(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except GraphRecursionError as error:
        return str(error)


async def test_remaining_steps_count_down_over_all_activities() -> None:
    class Counted(State, total=False):
        left_over: RemainingSteps

    def note(state: Counted) -> State:
        return {"words": [str(state["left_over"])]}  # pyright: ignore[reportTypedDictNotRequiredAccess]

    def build() -> StateGraph[Counted]:
        graph = StateGraph(Counted)
        for name in ("left", "right", "join"):
            graph.add_node(name, note)
        graph.add_edge(START, "left")
        graph.add_edge(START, "right")
        graph.add_edge(["left", "right"], "join")
        return graph

    config = {**THREAD, "recursion_limit": 9}
    expected = await build().compile().ainvoke({"words": []}, config)
    assert await Drive(build().compile()).invoke({"words": []}, config) == expected


async def test_tasks_of_the_last_superstep_that_is_allowed_are_saved_before_the_run_fails() -> None:
    class Counted(State, total=False):
        left_over: RemainingSteps

    def build() -> StateGraph[Counted]:
        graph = StateGraph(Counted)
        for name in ("left", "right", "join"):
            graph.add_node(name, lambda state: {"words": [str(state["left_over"])]})
        for name in ("left", "right"):
            graph.add_edge(START, name)
            graph.add_edge(name, "join")
            graph.add_edge("join", name)
        return graph

    config = {**THREAD, "recursion_limit": 2}
    native, drive = build().compile(checkpointer=InMemorySaver()), Drive(build().compile())

    assert await outcome(lambda: drive.invoke({"words": []}, config)) == await outcome(
        lambda: native.ainvoke({"words": []}, config, durability="sync")
    )
    assert (await drive.graph.aget_state(THREAD)).values == (await native.aget_state(THREAD)).values


async def test_a_subgraph_has_all_of_the_limit_however_late_it_is_called() -> None:
    class Counted(State, total=False):
        left_over: RemainingSteps

    def note(state: Counted) -> State:
        return {"words": [str(state["left_over"])]}  # pyright: ignore[reportTypedDictNotRequiredAccess]

    def build() -> StateGraph[Counted]:
        graph = StateGraph(Counted).add_node("left", note).add_node("right", note)
        graph.add_node("inner", StateGraph(Counted).add_node("note", note).add_edge(START, "note").compile())
        graph.add_node("beside", note)
        for name in ("left", "right"):
            graph.add_edge(START, name)
        return graph.add_edge("left", "inner").add_edge("right", "beside")

    config = {**THREAD, "recursion_limit": 9}
    expected = await build().compile().ainvoke({"words": []}, config)
    assert await Drive(build().compile()).invoke({"words": []}, config) == expected


async def test_a_subgraph_with_a_memory_is_called_anew_in_each_superstep() -> None:
    def count(state: Counting) -> Counting:
        return {"rounds": 1, "words": [f"call {state.get('rounds', 0) + 1}"]}

    inner = StateGraph(Counting)
    inner.add_node("count", count)
    inner.add_edge(START, "count")

    graph = StateGraph(State)
    graph.add_node("memory", inner.compile(checkpointer=True))
    graph.add_node("beside", Runs().node("beside"))
    graph.add_node("again", Runs().node("again"))
    graph.add_edge(START, "memory")
    graph.add_edge(START, "beside")
    graph.add_edge(["memory", "beside"], "again")
    graph.add_conditional_edges(
        "again", lambda state: ["memory", "beside"] if state["words"].count("again") < 2 else END
    )

    expected = await graph.compile(checkpointer=InMemorySaver()).ainvoke({"words": []}, THREAD, durability="sync")
    assert await Drive(graph.compile()).invoke({"words": []}) == expected


async def test_a_breakpoint_stops_a_fan_out_and_is_passed_once() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile(interrupt_before=["right"]))

    assert await drive.invoke({"words": ["in"]}) == {"words": ["in"]}
    assert runs == {}
    assert await drive.invoke(None) == {"words": ["in", "left", "right", "join"]}


async def test_sends_are_tasks_of_their_own_with_their_own_arguments() -> None:
    def spread(_: State) -> list[Send]:
        return [Send("work", {"number": number}) for number in range(12)]

    graph = StateGraph(State)
    graph.add_node("work", Runs().node("work", lambda sent: {"words": [str(sent["number"])]}))
    graph.add_conditional_edges(START, spread, ["work"])
    drive = Drive(graph.compile())

    assert await drive.invoke({"words": []}) == {"words": [str(number) for number in range(12)]}
    assert drive.planned == [["work"] * 12]


async def test_a_task_of_a_wide_fan_out_does_not_prepare_the_others() -> None:
    prepared: Counter[int] = Counter()

    def key_of(sent: dict[str, int]) -> str:
        prepared[sent["number"]] += 1
        return str(sent)

    graph = StateGraph(State)
    graph.add_node("work", lambda sent: {"words": [str(sent["number"])]}, cache_policy=CachePolicy(key_func=key_of))
    graph.add_node("beside", Runs().node("beside"))
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": number}) for number in range(12)], ["work"])
    graph.add_edge(START, "beside")
    drive = Drive(graph.compile())
    plan = await drive.begin({"words": []})
    worker = drive.worker()
    await run_on(worker, plan.tasks[12], plan)

    prepared.clear()
    for task in (plan.tasks[7], plan.tasks[0]):
        assert await run_on(worker, task, plan) == "saved"

    assert prepared == {7: 1, 0: 1}
    assert (await drive.go_on(plan)).tasks == tuple(each for n, each in enumerate(plan.tasks) if n not in (0, 7, 12))


async def run_on(worker: Stepper, task: PlannedTask, plan: Advance) -> TaskEnd:
    return await worker.run_task(task, THREAD, checkpoint_id=plan.checkpoint_id, last_step=plan.last_step)


async def test_sends_that_langgraph_passes_over_leave_the_others_their_places() -> None:
    def spread(_: State) -> Command[Any]:
        nodes = ["work", "nowhere", "work", "work"]
        return Command(goto=[Send(node, {"number": number}) for number, node in enumerate(nodes)])

    graph = StateGraph(State)
    graph.add_node("spread", spread)
    graph.add_node("work", Runs().node("work", lambda sent: {"words": [str(sent["number"])]}))
    graph.add_edge(START, "spread")
    drive = Drive(graph.compile())

    assert await drive.invoke({"words": []}) == {"words": ["0", "2", "3"]}


async def test_a_wrong_checkpoint_runs_nothing() -> None:
    runs = Runs()
    drive = Drive(fork_and_join(runs).compile())
    plan: Advance = await drive.begin({"words": []})

    assert await drive.run(PlannedTask(id="x", node="left"), replace(plan, checkpoint_id="other")) == "stale"
    assert not runs


class StoppingSaver(InMemorySaver):
    """Answers a worker that is stopped as it waits for the answer, while others go on.

    Attributes:
        meanwhile: what the others do.
        reads_before: how many reads come before that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.reads_before = 0

    async def aget_tuple(self, config: Any) -> Any:
        found = await super().aget_tuple(config)
        self.reads_before -= 1
        if self.meanwhile and self.reads_before < 0:
            others, self.meanwhile = self.meanwhile, None
            await others()
        return found


async def test_a_worker_that_is_stopped_on_the_way_to_a_node_does_not_run_what_another_has_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, now, saver = Runs(), [1000.0], StoppingSaver()
    monkeypatch.setattr("dapr_bridge._decision.time.monotonic", lambda: now[0])
    graph = fork_and_join(runs).compile(checkpointer=saver)
    late, other = (Stepper(graph, fans_out=True) for _ in range(2))
    plan = await other.advance({"words": ["in"]}, THREAD, head=None)
    left = next(task for task in plan.tasks if task.node == "left")
    where: Any = {"checkpoint_id": plan.checkpoint_id, "last_step": plan.last_step}

    async def others() -> None:
        assert await other.run_task(left, THREAD, **where) == "saved"
        now[0] += 2

    # The first read is for what tasks there are.
    saver.meanwhile, saver.reads_before = others, 1

    assert await late.run_task(left, THREAD, **where) == "saved"
    assert runs == {"left": 1}


async def test_a_task_runs_though_its_worker_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dapr_bridge._decision._LONG_AGO_SECONDS", 0)
    runs = Runs()

    output = await Drive(fork_and_join(runs).compile()).invoke({"words": ["in"]})

    assert output == {"words": ["in", "left", "right", "join"]}
    assert runs == {"left": 1, "right": 1, "join": 1}
