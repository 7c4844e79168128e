"""One trace from the caller over the workflow to the nodes, on a real daprd, in worker processes that write it down."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dapr.ext.workflow import DaprWorkflowClient
from langgraph.graph import START
from langgraph.types import Command

from dapr_bridge import DaprSaver, DurableGraph, GraphFailedError
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.counter import FarEnd, far_end
from tests.kit.serving import start_serving
from tests.kit.sidecars import sqlite_sidecar, workflow_client
from tests.kit.spans import Recorder, Seen, read_spans, recorded
from tests.kit.traced_worker import WIDTH, build_asking, build_failing, build_wide

pytestmark = pytest.mark.anyio

DEADLINE = 90.0


@dataclass(kw_only=True)
class Rig:
    """One sidecar, its worker processes, a far end, and what records the spans of this process."""

    sidecar: Sidecar
    far: FarEnd
    folder: Path
    unit: str
    here: Recorder
    saver: DaprSaver
    workers: list[Process] = field(default_factory=list[Process])

    def start_workers(self, how_many: int) -> None:
        """Start so many more workers side by side, and wait until they are ready."""
        started = [self._worker() for _ in range(how_many)]
        start_serving(*started)

    def _worker(self) -> Process:
        number = len(self.workers)
        worker = Process(
            [sys.executable, "-m", "tests.kit.traced_worker"],
            log=self.folder / f"worker-{number}.log",
            env={
                **self.sidecar.environment(),
                "FAR_END": self.far.url,
                "SPANS": str(self.folder / f"spans-{number}"),
                "UNIT": self.unit,
            },
        )
        self.workers.append(worker)
        return worker

    def client(self, name: str) -> DurableGraph:
        """Return a graph as this process sees it."""
        graphs = {"wide": build_wide(self.far.url), "asking": build_asking(), "failing": build_failing()}
        return DurableGraph(graphs[name], name=name, saver=self.saver, address=self.sidecar.address, events=None)

    def of_workers(self) -> list[list[Seen]]:
        """Return the bridge's spans of each worker."""
        written = [read_spans(self.folder / f"spans-{number}") for number in range(len(self.workers))]
        return [[each for each in spans if each.name.startswith("graph.")] for spans in written]

    async def checkpoints(self, thread_id: str) -> set[tuple[str, str]]:
        """Return the nodes of a thread's root graph, each with the checkpoint from which it has run."""
        return {
            (node, str(each.config["configurable"]["checkpoint_id"]))
            async for each in self.client("wide").aget_state_history(on_thread(thread_id))
            for node in each.next
            if node != START
        }

    def known(self, thread_id: str) -> list[Seen]:
        """Return the finished spans of a thread."""
        return [
            each for spans in (self.here.seen(), *self.of_workers()) for each in spans if each["thread_id"] == thread_id
        ]

    async def spans(self, thread_id: str, activity: str, times: int = 1) -> list[Seen]:
        """Return a thread's spans once an activity's are all there: they end a little after its result is known."""
        async with asyncio.timeout(DEADLINE):
            while True:
                found = self.known(thread_id)
                if names(found)[activity] >= times:
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module", params=["run", "task"])
def rig(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Rig]:
    """A fresh sidecar with a SQLite store, and two workers on it."""
    folder = tmp_path_factory.mktemp("tracing")
    sidecar = sqlite_sidecar("traced", control_plane=control_plane, folder=folder)
    with (
        recorded() as here,
        far_end() as far,
        sidecar,
        DaprSaver("execution-state", address=sidecar.address) as saver,
    ):
        rig = Rig(sidecar=sidecar, far=far, folder=folder, unit=request.param, here=here, saver=saver)
        try:
            rig.start_workers(2)
            yield rig
        finally:
            for worker in rig.workers:
                worker.stop()


@pytest.fixture
def workflows(rig: Rig) -> Iterator[DaprWorkflowClient]:
    with workflow_client(rig.sidecar) as client:
        yield client


def on_thread(thread_id: str) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": thread_id}}


def names(spans: list[Seen]) -> Counter[str]:
    return Counter(each.name for each in spans)


def nodes_of_wide() -> Counter[str]:
    """Return how often each node of the wide graph runs."""
    return Counter({"graph.node work": WIDTH, "graph.node inside": 1, "graph.node flaky": 2, "graph.node last": 1})


def activities_of_wide(unit: str) -> Counter[str]:
    """Return which activities the wide graph needs."""
    if unit == "run":
        return Counter({"graph.advance wide": 1})
    return Counter({"graph.advance wide": 2, "graph.task wide.work": WIDTH})


async def test_a_run_is_one_trace_from_its_caller_to_nodes_in_two_processes(rig: Rig) -> None:
    thread_id = uuid4().hex
    with rig.here.provider.get_tracer("caller").start_as_current_span("caller"):
        await rig.client("wide").ainvoke({"words": ["in"]}, on_thread(thread_id))

    activities = activities_of_wide(rig.unit)
    spans = await rig.spans(thread_id, "graph.advance wide", activities["graph.advance wide"])
    caller = rig.here.named("caller")[-1]
    assert names(spans) == Counter({"graph.run wide": 1}) + activities + nodes_of_wide()
    assert {each.trace_id for each in spans} == {caller.trace_id}
    assert {each.parent_id for each in spans} <= {caller.span_id, *(each.span_id for each in spans)}
    assert {each.parent_id for each in spans if each.name == "graph.run wide"} == {caller.span_id}
    assert {each["unit"] for each in spans if each.name != "graph.run wide"} == {rig.unit}
    *first, last = sorted(
        (each for each in spans if each.name == "graph.advance wide"), key=lambda each: each["attempt"]
    )
    assert last.links_within == [each.span_id for each in first]
    nodes = [each for each in spans if each.name.startswith("graph.node")]
    told = {(each["node"], each["checkpoint_id"]) for each in nodes if not each["namespace"]}
    assert told == await rig.checkpoints(thread_id)
    assert all(each["checkpoint_id"] for each in nodes)
    worked = [any(each["thread_id"] == thread_id for each in of_one) for of_one in rig.of_workers()]
    assert sum(worked) == (2 if rig.unit == "task" else 1)


@pytest.mark.parametrize("is_called_in_a_trace", [True, False], ids=["in a trace", "by itself"])
async def test_graphs_that_a_workflow_calls_are_in_its_callers_trace_also_after_an_answer(
    rig: Rig, workflows: DaprWorkflowClient, *, is_called_in_a_trace: bool
) -> None:
    place = uuid4().hex
    caller = f"00-{uuid4().hex}-00f067aa0ba902b7-01" if is_called_in_a_trace else None
    order = {"thread_id": place, "traceparent": caller} if caller else {"thread_id": place}
    instance = workflows.schedule_new_workflow("ticket", input=order)
    await rig.spans(f"{place}/asking", "graph.advance asking")
    workflows.raise_workflow_event(instance, "approval", data="yes")
    await rig.spans(f"{place}/asking", "graph.advance asking", 2)

    wide, asking = rig.known(f"{place}/wide"), rig.known(f"{place}/asking")
    assert names(wide) == Counter({"graph.run wide": 1}) + activities_of_wide(rig.unit) + nodes_of_wide()
    assert names(asking) == Counter({"graph.run asking": 1, "graph.advance asking": 2, "graph.node ask": 2})
    traces = [{each.trace_id for each in of_one} for of_one in (wide, asking)]
    assert [len(each) for each in traces] == [1, 1]
    if caller:
        assert traces[0] == traces[1] == {caller.split("-")[1]}


async def test_a_run_that_answers_what_another_one_has_asked_is_linked_to_it(rig: Rig) -> None:
    thread_id = uuid4().hex
    asking = rig.client("asking")

    asked = await asking.ainvoke({"words": ["in"]}, on_thread(thread_id))
    await asking.ainvoke(Command(resume={asked["__interrupt__"][0].id: "yes"}), on_thread(thread_id))

    spans = await rig.spans(thread_id, "graph.advance asking", 2)
    first, second = [each for each in spans if each.name == "graph.run asking"]
    advances = {each.parent_id: each for each in spans if each.name == "graph.advance asking"}
    assert first.trace_id != second.trace_id
    assert (first["status"], second["status"]) == ("interrupted", "finished")
    assert first.span_id not in advances[first.span_id].links
    assert first.span_id in advances[second.span_id].links


async def test_a_failure_is_told_as_its_kind_and_the_state_to_nobody(rig: Rig) -> None:
    thread_id, spoken = uuid4().hex, f"what a customer has said: {uuid4().hex}"
    with pytest.raises(GraphFailedError, match=spoken):
        await rig.client("failing").ainvoke({"words": [spoken]}, on_thread(thread_id))

    spans = await rig.spans(thread_id, "graph.advance failing")
    assert {(each.name, each.status, each.error, each["node"]) for each in spans} == {
        (name, "ERROR", "ValueError", "broken")
        for name in ("graph.run failing", "graph.advance failing", "graph.node broken")
    }
    assert not [each for each in spans if spoken in each.text]


async def test_a_call_that_finds_its_run_done_is_linked_to_the_one_that_has_begun_it(rig: Rig) -> None:
    thread_id, run_id = uuid4().hex, uuid4().hex
    asking = rig.client("asking")
    for _ in range(2):
        await asking.ainvoke({"words": ["in"]}, on_thread(thread_id), run_id=run_id)

    first, second = [each for each in rig.known(thread_id) if each.name == "graph.run asking"]
    assert (first.links, second.links) == ([], [first.span_id])


async def test_a_run_whose_worker_is_killed_goes_on_in_its_trace_and_no_span_is_told_twice(rig: Rig) -> None:
    thread_id = uuid4().hex
    rig.far.hold("last")
    running = asyncio.ensure_future(rig.client("wide").ainvoke({"words": ["in"]}, on_thread(thread_id)))
    await asyncio.to_thread(rig.far.wait_for, "last", times=rig.far.counts()["last"] + 1, seconds=DEADLINE)
    for worker in rig.workers:
        worker.kill()
    rig.start_workers(1)
    rig.far.release("last")
    await running

    activities = activities_of_wide(rig.unit)
    spans = await rig.spans(thread_id, "graph.advance wide", activities["graph.advance wide"])
    assert names(spans) == Counter({"graph.run wide": 1}) + activities + nodes_of_wide()
    assert len({each.trace_id for each in spans}) == 1
    *before, last = [each["attempt"] for each in spans if each.name == "graph.advance wide"]
    assert before == ([] if rig.unit == "run" else [1])
    assert all(each.links_within for each in spans if each.name == "graph.advance wide" and each["attempt"] > 1)
    # Dapr may have handed it to the second worker, before that one was killed too.
    assert last >= len(before) + 2
