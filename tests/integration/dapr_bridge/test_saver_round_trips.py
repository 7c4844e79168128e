"""What a superstep and a read cost, in calls that the sidecar has answered."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import END, START, StateGraph

from dapr_bridge import DaprSaver, Unit
from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._payloads import encode_inline
from dapr_bridge._wire import RunOutcome, RunRequest
from dapr_bridge.testing import Sidecar
from tests.kit.sidecar_calls import CallCounter
from tests.kit.stores import ALL_STORES, REDIS

CREATE, COMMIT, READ = "SaveState", "ExecuteStateTransaction", "GetBulkState"


pytestmark = pytest.mark.anyio


class State(TypedDict, total=False):
    """A counter, and a value that stays as it is."""

    count: Annotated[int, operator.add]
    kept: str


def chain(saver: DaprSaver, steps: int) -> Any:
    """One node that runs again and again."""
    graph = StateGraph(State)
    graph.add_node("step", lambda _: {"count": 1})
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] % steps else END)
    return graph.compile(checkpointer=saver)


def thread(name: str, run_id: str | None = None) -> RunnableConfig:
    configurable = {"thread_id": name, **({"run_id": run_id} if run_id else {})}
    return {"configurable": configurable, "recursion_limit": 200}


@pytest.fixture(params=ALL_STORES)
def saver(request: pytest.FixtureRequest, stores_sidecar: Sidecar) -> Iterator[DaprSaver]:
    with DaprSaver(request.param, address=stores_sidecar.address) as opened:
        # The first read of a store leaves the witness of all others there.
        opened.get_tuple(thread("nobody's"))
        yield opened


Measure = Callable[[Callable[[], Any]], Counter[str]]


@pytest.fixture
def measure(count_calls: Callable[[], CallCounter]) -> Measure:
    """Return what some code cost."""

    def calls_of(work: Callable[[], Any]) -> Counter[str]:
        counter = count_calls()
        work()
        return counter.new_calls()

    return calls_of


def run_of(saver: DaprSaver, name: str, *, steps: int, run_id: str | None = None, kept: str = "x") -> Callable[[], Any]:
    state = {"count": 0, "kept": kept}
    return lambda: asyncio.run(chain(saver, steps).ainvoke(state, thread(name, run_id), durability="sync"))


def test_a_warm_superstep_commits_its_writes_and_its_checkpoint_together_where_a_transaction_is_whole(
    saver: DaprSaver, measure: Measure
) -> None:
    short = measure(run_of(saver, "chain-short", steps=10))
    long = measure(run_of(saver, "chain-long", steps=30))

    # The read is of the head, for its ETag, ahead of the next put.
    apart = {CREATE: 20} if saver.store.name == REDIS else {}
    assert long - short == {**apart, COMMIT: 20, READ: 20}


def test_a_new_thread_begins_with_one_write_where_a_transaction_is_whole(saver: DaprSaver, measure: Measure) -> None:
    begun = measure(run_of(saver, f"begun-{saver.store.name}", steps=1))
    gone_on = measure(run_of(saver, f"begun-{saver.store.name}", steps=1))

    # The list of its namespaces, and its head, are created.
    assert begun[CREATE] - gone_on[CREATE] == (2 if saver.store.name == REDIS else 0)
    # LangGraph's own, with which the first put knows the head, and one of the head after each put, for the next.
    assert begun[READ] == gone_on[READ] == 1 + 3


@pytest.mark.parametrize("unit", ["run", "task"])
def test_a_driven_run_asks_its_store_no_more_often_than_langgraph_does(
    unit: Unit, saver: DaprSaver, measure: Measure
) -> None:
    def drive(thread_id: str) -> RunOutcome:
        runs = GraphRuns(graph=chain(saver, 3), saver=saver, unit=unit)
        given = encode_inline({"count": 0, "kept": "x"}, saver.serde, what="the input")
        request = RunRequest(graph="chain", thread_id=thread_id, run_id="", asked_at="", input=given, config={})
        return asyncio.run(runs.advance(request, f"run-on-{thread_id}", 1, call_id="call"))

    alone = measure(run_of(saver, f"alone-{unit}-{saver.store.name}", steps=3))
    driven = measure(lambda: drive(f"driven-{unit}-{saver.store.name}"))

    assert driven <= alone


def test_a_superstep_writes_what_has_changed_whatever_else_there_is(
    saver: DaprSaver, count_calls: Callable[[], CallCounter]
) -> None:
    def bytes_of(name: str, *, steps: int, kept: str) -> int:
        counter = count_calls()
        run_of(saver, name, steps=steps, kept=kept)()
        return counter.new_calls_and_bytes()[1].total()

    def bytes_of_20_steps(kept: str) -> int:
        name = f"bytes-{len(kept)}"
        return bytes_of(f"{name}-long", steps=30, kept=kept) - bytes_of(f"{name}-short", steps=10, kept=kept)

    small, large = bytes_of_20_steps("x"), bytes_of_20_steps("x" * 2_000_000)

    assert large < small * 1.1


def test_a_run_that_has_an_id_costs_one_more_write_where_it_cannot_come_along(
    saver: DaprSaver, measure: Measure
) -> None:
    run_of(saver, "indexed", steps=5)()

    without = measure(run_of(saver, "indexed", steps=5))
    with_one = measure(run_of(saver, "indexed", steps=5, run_id=f"run-on-{saver.store.name}"))

    # Seven checkpoints carry the id; the first of them notes it.
    assert with_one - without == ({CREATE: 1} if saver.store.name == REDIS else {})
    assert without - with_one == {}


def test_reading_a_state_takes_two_bulk_reads_and_one_more_when_the_latest_is_another_than_last_seen(
    saver: DaprSaver, measure: Measure
) -> None:
    run_of(saver, "read", steps=70)()
    latest = saver.get_tuple(thread("read"))
    assert latest is not None

    with DaprSaver(saver.store.name, address=saver.store.address) as cold:
        assert measure(lambda: cold.get_tuple(latest.config)) == {READ: 2}
        assert measure(lambda: cold.get_tuple(latest.config)) == {READ: 1}
    with DaprSaver(saver.store.name, address=saver.store.address) as cold:
        assert measure(lambda: cold.get_tuple(thread("read"))) == {READ: 3}
        assert measure(lambda: cold.get_tuple(thread("read"))) == {READ: 1}
        run_of(saver, "read", steps=2)()
        assert measure(lambda: cold.get_tuple(thread("read"))) == {READ: 3}
        found = cold.get_tuple(thread("read"))
    assert found == saver.get_tuple(thread("read"))
    assert found != latest


def test_a_history_is_read_a_page_at_a_time(saver: DaprSaver, measure: Measure) -> None:
    run_of(saver, "paged", steps=70)()

    with DaprSaver(saver.store.name, address=saver.store.address) as cold:
        calls = measure(lambda: list(cold.list({"configurable": {"thread_id": "paged", "checkpoint_ns": ""}})))

    # The head and its chunk, then two pages of two reads each; one more for what was not among so much.
    assert calls == {READ: 7}


async def test_tasks_that_end_together_are_saved_together(
    saver: DaprSaver, count_calls: Callable[[], CallCounter]
) -> None:
    place = {"configurable": {"thread_id": "together", "checkpoint_ns": ""}}
    config = saver.put(place, empty_checkpoint(), {}, {})
    counter = count_calls()

    await asyncio.gather(*(saver.aput_writes(config, [("a", number)], f"task-{number}") for number in range(100)))

    # They gather while the first waits for a checkpoint that may come, nearly all on a busy machine.
    calls = counter.new_calls()
    assert calls[CREATE] == 1
    assert calls[COMMIT] <= 10
    found = await saver.aget_tuple(config)
    assert found is not None
    assert sorted(value for _, _, value in found.pending_writes or []) == list(range(100))


@pytest.mark.parametrize("tasks", [1, 300])
async def test_the_last_writes_of_a_superstep_are_saved_with_its_checkpoint_or_before(
    tasks: int, saver: DaprSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"configurable": {"thread_id": f"last-{tasks}", "checkpoint_ns": ""}}
    parent = saver.put(place, empty_checkpoint(), {}, {})
    with DaprSaver(saver.store.name, address=saver.store.address) as other:
        asked: list[frozenset[str]] = []
        start = other.store._calls.start

        def noted(method: Any, request: Any) -> Any:
            asked.append(_kinds_written(request))
            return start(method, request)

        monkeypatch.setattr(other.store._calls, "start", noted)
        # As LangGraph does in a worker that has not put the superstep's own checkpoint.
        writes = [other.aput_writes(parent, [("a", number)], f"task-{number}") for number in range(tasks)]
        await asyncio.gather(*writes, other.aput(parent, empty_checkpoint(), {}, {}))

    saved = [each for each in asked if each]
    (with_checkpoint,) = (place for place, each in enumerate(saved) if "C" in each)
    with_writes = [place for place, each in enumerate(saved) if "W" in each]
    assert with_writes
    assert with_writes[-1] <= with_checkpoint
    if tasks == 1 and saver.store.name != REDIS:
        assert with_writes == [with_checkpoint] == [0]


def _kinds_written(request: Any) -> frozenset[str]:
    """Return the letters of what a request writes."""
    items = getattr(request, "states", None) or [each.request for each in getattr(request, "operations", ())]
    return frozenset(each.key.split("/")[1] for each in items)
