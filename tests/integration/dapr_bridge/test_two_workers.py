"""Two workers at one piece of work: what the slower one finds, and what it may not do."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Annotated, Any, TypedDict, cast
from uuid import uuid4

import pytest
from dapr.ext.workflow import WorkflowActivityContext
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Send

from dapr_bridge import DaprSaver, StaleWriterError, Unit
from dapr_bridge._activities import GraphActivities, LiveWork
from dapr_bridge._alone import AloneAtWork, LeaseLostError
from dapr_bridge._cancellation import CancelMarks, RunWatch
from dapr_bridge._draining import DrainMarks
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._graph_shape import GraphShape, fingerprint
from dapr_bridge._payloads import encode_inline
from dapr_bridge._run_turns import RunTurns
from dapr_bridge._wire import RunOutcome, RunRequest, TaskRequest
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import lease_key
from dapr_bridge.saver.lease import Leases
from dapr_bridge.testing import Sidecar
from tests.kit.saved import all_saved
from tests.kit.spans import recorded
from tests.kit.stores import ALL_STORES, SQLITE

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=2)
LONG = timedelta(hours=1)
"""A test that waits for this to pass never comes to an end."""


class State(TypedDict, total=False):
    """Words, in the order in which they were said."""

    words: Annotated[list[str], operator.add]


class Nodes:
    """Nodes that count how often they run; the first to come to `slow` is held up."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.is_within, self.may_go_on = asyncio.Event(), asyncio.Event()

    def named(self, name: str) -> Callable[[State], Awaitable[State]]:
        async def node(_: State) -> State:
            self.runs[name] += 1
            number = self.runs[name]
            if name == "slow" and number == 1:
                self.is_within.set()
                await self.may_go_on.wait()
            return {"words": [f"{name}, time {number}"]}

        return node


class WatchedLeases(Leases):
    """Leases that tell when they are asked for one."""

    def __init__(self, saver: DaprSaver) -> None:
        super().__init__(saver.store)
        self.are_asked = asyncio.Event()

    def hold(self, *arguments: Any, **options: Any) -> Any:
        self.are_asked.set()
        return super().hold(*arguments, **options)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What one worker process has of a graph."""

    saver: DaprSaver
    leases: WatchedLeases
    runs: GraphRuns
    activities: GraphActivities


@dataclass(frozen=True, kw_only=True)
class Two:
    """Two workers of one graph, and its nodes."""

    first: Worker
    second: Worker
    nodes: Nodes

    def request(self) -> RunRequest:
        return RunRequest(
            graph="talk",
            thread_id=uuid4().hex,
            run_id="",
            asked_at="",
            input=encode_inline({"words": []}, self.first.saver.serde, what="the input"),
            config={},
        )


Start = Callable[..., Awaitable[Two]]


@pytest.fixture
async def start(stores_sidecar: Sidecar) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def two(store: str = SQLITE, *, unit: Unit = "run", lease: timedelta | None = None) -> Two:
            nodes = Nodes()
            savers = [stack.enter_context(DaprSaver(store, address=stores_sidecar.address)) for _ in range(2)]
            first, second = (worker(saver, nodes, unit=unit, lease=lease) for saver in savers)
            return Two(first=first, second=second, nodes=nodes)

        yield two


def worker(saver: DaprSaver, nodes: Nodes, *, unit: Unit, lease: timedelta | None) -> Worker:
    return worker_of(saver, chain(nodes) if unit == "run" else fan(nodes), unit=unit, lease=lease)


def worker_of(saver: DaprSaver, graph: Any, *, unit: Unit, lease: timedelta | None = None) -> Worker:
    async def is_live(_: str) -> bool:
        return True

    runs = GraphRuns(graph=graph.copy({"checkpointer": saver}), saver=saver, unit=unit)
    leases = WatchedLeases(saver)
    activities = GraphActivities(
        runs=runs,
        live=LiveWork(),
        turns=RunTurns(saver.store, is_live),
        alone=AloneAtWork(leases=leases, ttl=lease),
        shape=GraphShape(name="talk", runs=runs, fingerprint=fingerprint(graph)),
    )
    return Worker(saver=saver, leases=leases, runs=runs, activities=activities)


def chain(nodes: Nodes) -> Any:
    graph = StateGraph(State)
    for name in ("before", "slow", "after"):
        graph.add_node(name, nodes.named(name))
    return graph.add_edge(START, "before").add_edge("before", "slow").add_edge("slow", "after").compile()


def fan(nodes: Nodes, *, is_nested: bool = False) -> Any:
    inside = StateGraph(State).add_node("slow", nodes.named("slow")).add_edge(START, "slow").compile()
    graph = StateGraph(State).add_node("slow", inside if is_nested else nodes.named("slow"))
    graph.add_node("other", nodes.named("other"))
    return graph.add_conditional_edges(
        START, lambda _: [Send("slow", {}), Send("other", {})], ["slow", "other"]
    ).compile()


def unwatched(worker: Worker) -> GraphActivities:
    """The activities of a worker that has not looked yet whether its thread is still its own."""
    activities = worker.activities
    activities.turns._watch = cast("RunWatch", Unwatched())
    return activities


class Unwatched:
    """Lets all work go on."""

    async def guard(self, _: object, __: object, body: Callable[[Any], Awaitable[Any]], **___: object) -> Any:
        return await body(None)


def delivery(request: RunRequest, number: int = 1) -> WorkflowActivityContext:
    return cast("WorkflowActivityContext", SimpleNamespace(workflow_id=request.thread_id, task_id=number))


def order_of(request: RunRequest, plan: RunOutcome, node: str) -> TaskRequest:
    return TaskRequest(
        run=replace(request, run_id=plan.run_id),
        checkpoint_id=plan.checkpoint_id,
        last_step=plan.last_step,
        task=next(each for each in plan.tasks if each.node == node),
    )


async def history(worker: Worker, request: RunRequest) -> list[tuple[int, list[str]]]:
    config = {"configurable": {"thread_id": request.thread_id}}
    states = [each async for each in worker.runs.graph.aget_state_history(cast("Any", config))]
    return [(each.metadata["step"], each.values.get("words", [])) for each in states if each.metadata]


@pytest.mark.parametrize("store", ALL_STORES)
async def test_an_attempt_that_was_overtaken_is_refused_and_changes_nothing(start: Start, store: str) -> None:
    two = await start(store)
    request = two.request()

    overtaken = asyncio.create_task(two.first.runs.advance(request, "run", 1))
    await two.nodes.is_within.wait()
    ended = await two.second.runs.advance(request, "run", 2)
    told = await history(two.second, request)
    two.nodes.may_go_on.set()
    with pytest.raises(StaleWriterError):
        await overtaken

    words = ["before, time 1", "slow, time 2", "after, time 1"]
    assert (ended.status, ended.output) == ("finished", {"json": {"words": words}})
    assert await history(two.first, request) == told
    assert [step for step, _ in told] == [3, 2, 1, 0, -1]
    assert two.nodes.runs == {"before": 1, "slow": 2, "after": 1}


async def test_a_worker_that_was_overtaken_answers_as_the_other_did(start: Start) -> None:
    two = await start()
    request = two.request()

    overtaken = asyncio.create_task(two.first.activities.advance()(delivery(request), request.to_json()))
    await two.nodes.is_within.wait()
    ended = await two.second.activities.advance()(delivery(request), request.to_json())
    two.nodes.may_go_on.set()

    assert await overtaken == ended
    assert RunOutcome.from_json(ended).status == "finished"
    assert two.nodes.runs["after"] == 1


async def test_an_attempt_at_a_run_is_linked_to_the_span_of_the_one_before(start: Start) -> None:
    two = await start()
    request = two.request()

    with recorded() as spans:
        overtaken = asyncio.create_task(two.first.activities.advance()(delivery(request), request.to_json()))
        await two.nodes.is_within.wait()
        await two.second.activities.advance()(delivery(request), request.to_json())
        two.nodes.may_go_on.set()
        await overtaken

    second, first = spans.named("graph.advance talk")
    assert (first["attempt"], first.links) == (1, [])
    assert (second["attempt"], second.links) == (2, [first.span_id])


async def test_where_workers_take_leases_a_task_says_which_attempt_it_is_and_is_linked_to_the_one_before(
    start: Start,
) -> None:
    two = await start(unit="task", lease=TTL)
    request, dead = two.request(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    two.nodes.may_go_on.set()
    plan = RunOutcome.from_json(await two.first.activities.advance()(delivery(request), request.to_json()))
    orders = [order_of(request, plan, each.node) for each in plan.tasks]
    # What a killed worker leaves behind.
    name = f"{plan.run_id}/{orders[0].task.id}"
    await two.first.saver.leases.acquire(name, owner="the dead", ttl=timedelta(0), note=dead)

    with recorded() as spans:
        for each in orders:
            await two.second.activities.run_node()(delivery(request), each.to_json())

    again, only = (spans.one(f"graph.task talk.{each.task.node}") for each in orders)
    assert (again["attempt"], again.links) == (2, [dead.split("-")[2]])
    assert (only["attempt"], only.links) == (1, [])


async def test_a_worker_that_wakes_up_when_its_end_is_forgotten_does_not_begin_again(start: Start) -> None:
    two = await start()
    request = two.request()

    overtaken = asyncio.create_task(unwatched(two.first).advance()(delivery(request), request.to_json()))
    await two.nodes.is_within.wait()
    for number in range(1, 7):
        await two.second.activities.advance()(delivery(request, number), request.to_json())
    told = await history(two.second, request)
    two.nodes.may_go_on.set()

    assert RunOutcome.from_json(await overtaken).status == "cancelled"
    assert await history(two.first, request) == told


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """Waits for as long as a worker is stopped: the first thing that it does then is not to look at its threads."""
    monkeypatch.setattr("dapr_bridge._cancellation._LOOK_SECONDS", LONG.total_seconds())
    return lambda: asyncio.sleep(0.6)


async def cancelled_elsewhere(two: Two, request: RunRequest) -> tuple[asyncio.Task[Any], Any, Any]:
    """Bring the first worker into a node, and have the second one cancel its run; returns what is saved by then."""
    within = asyncio.create_task(two.first.activities.advance()(delivery(request), request.to_json()))
    await two.nodes.is_within.wait()
    await CancelMarks(two.second.saver.store).put(f"{request.thread_id}::1")
    ended = await two.second.activities.advance()(delivery(request), request.to_json())
    return within, ended, await all_saved(two.second.saver, request.thread_id)


@pytest.mark.parametrize("store", ALL_STORES)
async def test_a_worker_that_wakes_up_where_its_run_has_ended_saves_nothing(
    start: Start, store: str, stopped: Callable[[], Awaitable[None]]
) -> None:
    two = await start(store)
    request = two.request()

    late, ended, told = await cancelled_elsewhere(two, request)
    await stopped()
    two.nodes.may_go_on.set()

    assert await late == ended
    assert RunOutcome.from_json(ended).status == "cancelled"
    assert await all_saved(two.first.saver, request.thread_id) == told
    assert two.nodes.runs == {"before": 1, "slow": 1}


async def test_a_task_that_is_delivered_when_its_run_has_ended_saves_nothing(start: Start) -> None:
    two = await start(unit="task")
    request = two.request()
    two.nodes.may_go_on.set()
    plan = RunOutcome.from_json(await two.first.activities.advance()(delivery(request), request.to_json()))
    await CancelMarks(two.first.saver.store).put(plan.run_id)
    going_on = replace(request, run_id=plan.run_id)
    await two.first.activities.advance()(delivery(request, 3), going_on.to_json())
    told = await all_saved(two.second.saver, request.thread_id)

    order = order_of(request, plan, "other")
    late = await two.second.activities.run_node()(delivery(request, 2), order.to_json())

    assert late["status"] == "cancelled"
    assert await all_saved(two.first.saver, request.thread_id) == told


async def test_a_worker_that_cancels_its_run_waits_for_one_that_had_it_before(start: Start) -> None:
    two = await start()
    request, come, gates = two.request(), asyncio.Queue[int](), [asyncio.Event(), asyncio.Event()]

    async def slow(_: State) -> State:
        number = two.nodes.runs["slow"]
        two.nodes.runs["slow"] += 1
        await come.put(number)
        await gates[number].wait()
        return {"words": ["slow"]}

    graph = StateGraph(State).add_node("slow", slow).add_edge(START, "slow").compile()
    first, second = (worker_of(each.saver, graph, unit="run") for each in (two.first, two.second))
    # It does not look whether it is to stop.
    first.activities.turns._watch._looking = asyncio.create_task(asyncio.Event().wait())  # type: ignore[assignment]
    late = asyncio.create_task(first.activities.advance()(delivery(request), request.to_json()))
    await come.get()
    cancelled = asyncio.create_task(second.activities.advance()(delivery(request), request.to_json()))
    await come.get()
    await CancelMarks(two.second.saver.store).put(f"{request.thread_id}::1")
    ended = await cancelled
    told = await all_saved(two.second.saver, request.thread_id)
    gates[0].set()

    assert await late == ended
    assert RunOutcome.from_json(ended).status == "cancelled"
    assert await all_saved(two.first.saver, request.thread_id) == told


async def test_a_run_that_is_cancelled_for_another_worker_is_not_over_before_that_one_saves_nothing_more(
    start: Start,
) -> None:
    two = await start()
    request = two.request()

    given_up, ended, told = await cancelled_elsewhere(two, request)
    two.nodes.may_go_on.set()

    assert await given_up == ended
    assert await all_saved(two.first.saver, request.thread_id) == told


@pytest.mark.parametrize("kind", ["a node", "a node of a subgraph"])
async def test_a_task_of_a_worker_that_wakes_up_when_its_run_has_ended_saves_nothing(
    start: Start, kind: str, stopped: Callable[[], Awaitable[None]]
) -> None:
    two = await start(unit="task")
    request, store = two.request(), two.second.saver.store
    first = worker_of(two.first.saver, fan(two.nodes, is_nested=kind != "a node"), unit="task")
    plan = RunOutcome.from_json(await first.activities.advance()(delivery(request), request.to_json()))
    order = order_of(request, plan, "slow")

    late = asyncio.create_task(first.activities.run_node()(delivery(request, 2), order.to_json()))
    await two.nodes.is_within.wait()
    await CancelMarks(store).put(plan.run_id)
    going_on = replace(request, run_id=plan.run_id)
    ended = await two.second.activities.advance()(delivery(request, 3), going_on.to_json())
    assert ended["status"] == "cancelled"
    told = await all_saved(two.second.saver, request.thread_id)
    await stopped()
    two.nodes.may_go_on.set()

    assert (await late)["status"] == "cancelled"
    assert await all_saved(two.first.saver, request.thread_id) == told


async def test_a_task_that_is_delivered_late_stops_where_its_run_was_to_be_drained(start: Start) -> None:
    two = await start(unit="task")
    two.nodes.may_go_on.set()
    request, wish = two.request(), RunControl()
    inside = StateGraph(State).add_node("first", two.nodes.named("first")).add_node("then", two.nodes.named("then"))
    graph = StateGraph(State).add_node("other", two.nodes.named("other"))
    graph.add_node("inside", inside.add_edge(START, "first").add_edge("first", "then").compile())
    late = worker_of(two.first.saver, graph.add_edge(START, "other").add_edge(START, "inside").compile(), unit="task")
    plan = RunOutcome.from_json(await late.activities.advance()(delivery(request), request.to_json()))
    order = order_of(request, plan, "inside")
    wish.request_drain("the shift ends")
    await DrainMarks(late.saver.store).note(plan.run_id, wish)

    ended = await late.activities.run_node()(delivery(request), order.to_json())

    assert ended["status"] == "stopped"
    assert two.nodes.runs["then"] == 0


async def test_with_a_lease_the_second_worker_waits_and_runs_nothing(start: Start) -> None:
    two = await start(lease=LONG)
    request = two.request()

    working = asyncio.create_task(two.first.activities.advance()(delivery(request), request.to_json()))
    await two.nodes.is_within.wait()
    waiting = asyncio.create_task(two.second.activities.advance()(delivery(request), request.to_json()))
    await two.second.leases.are_asked.wait()
    two.nodes.may_go_on.set()

    assert await waiting == await working
    assert two.nodes.runs == {"before": 1, "slow": 1, "after": 1}


async def test_with_a_lease_two_workers_do_not_run_one_task_twice(start: Start) -> None:
    two = await start(unit="task", lease=LONG)
    request = two.request()
    plan = RunOutcome.from_json(await two.first.activities.advance()(delivery(request), request.to_json()))
    order = order_of(request, plan, "slow")

    working = asyncio.create_task(two.first.activities.run_node()(delivery(request), order.to_json()))
    await two.nodes.is_within.wait()
    waiting = asyncio.create_task(two.second.activities.run_node()(delivery(request), order.to_json()))
    await two.second.leases.are_asked.wait()
    two.nodes.may_go_on.set()

    assert (await waiting)["status"] == (await working)["status"] == "saved"
    assert two.nodes.runs == {"slow": 1}


async def test_a_task_that_a_dead_worker_has_saved_waits_for_no_lease(start: Start) -> None:
    two = await start(unit="task", lease=LONG)
    request = two.request()
    two.nodes.may_go_on.set()
    plan = RunOutcome.from_json(await two.first.activities.advance()(delivery(request), request.to_json()))
    order = order_of(request, plan, "slow")
    # What a worker leaves behind that was killed when it had saved all.
    await two.first.runs.run_task(order, plan.run_id)
    lease = f"{plan.run_id}/{order.task.id}"
    await two.first.saver.leases.acquire(lease, owner="the dead", ttl=LONG)

    ended = await two.second.activities.run_node()(delivery(request), order.to_json())

    assert ended["status"] == "saved"
    assert not two.second.leases.are_asked.is_set()
    assert two.nodes.runs == {"slow": 1}
    assert await arun(two.second.saver.store.read([lease_key(lease)])) == {}


async def test_a_worker_takes_over_when_the_holder_of_the_lease_gives_no_sign_of_life(start: Start) -> None:
    two = await start(lease=TTL)
    request = two.request()
    two.nodes.may_go_on.set()
    # What a killed worker leaves behind.
    await two.first.saver.leases.acquire(f"{request.thread_id}::1", owner="the dead", ttl=TTL)

    ended = await two.second.activities.advance()(delivery(request), request.to_json())

    assert two.second.leases.are_asked.is_set()
    assert RunOutcome.from_json(ended).status == "finished"


async def test_work_stops_when_its_lease_is_lost(start: Start) -> None:
    two = await start(lease=timedelta(seconds=0.6))
    request = two.request()
    alone = AloneAtWork(leases=two.first.leases, ttl=timedelta(seconds=0.6))

    async def work() -> None:
        # Somebody takes it for dead: the document is another's.
        await arun(two.second.saver.store.delete([lease_key(request.thread_id)]))
        await asyncio.Event().wait()

    with pytest.raises(LeaseLostError):
        await alone.do(request.thread_id, work)
