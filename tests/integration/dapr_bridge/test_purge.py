"""Purging threads on a real daprd: what goes, what stays, and what a purge leaves that dies on its way."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dapr.ext.workflow import DaprWorkflowClient, WorkflowStatus
from langgraph.types import Command

from dapr_bridge import (
    CallRefusedError,
    DaprSaver,
    DurableGraph,
    LeaseHeldError,
    PurgeReport,
    ThreadBusyError,
    purge_threads,
    purging,
)
from dapr_bridge._thread_claim import Holding
from dapr_bridge.purge import main
from dapr_bridge.saver.effects import Steps
from dapr_bridge.saver.store import StateStore
from dapr_bridge.testing import ControlPlane, Process, Sidecar, wait_until
from tests.kit.client_rig import on_thread
from tests.kit.counter import FarEnd, far_end
from tests.kit.own_types import Offer
from tests.kit.postgres import find_binaries, postgres
from tests.kit.retention_worker import build_graphs
from tests.kit.serving import start_serving
from tests.kit.stores import (
    ALL_STORES,
    SQLITE,
    redis_server,
    write_postgres_store,
    write_redis_store,
    write_sqlite_store,
)

pytestmark = pytest.mark.anyio

NOW, LONG = timedelta(0), timedelta(days=1)
LARGE = "x" * 20_000
"""Too large for a history: it travels by reference."""


@dataclass(kw_only=True)
class Rig:
    """A sidecar, a worker that keeps one checkpoint a thread of its chain, and a far end."""

    sidecar: Sidecar
    saver: DaprSaver
    far: FarEnd
    folder: Path

    @asynccontextmanager
    async def graph(self, name: str) -> AsyncIterator[DurableGraph]:
        """Return a graph as a client sees it."""
        graph = build_graphs(self.far.url)[name]
        async with DurableGraph(graph, name=name, saver=self.saver, address=self.sidecar.address, events=None) as it:
            yield it

    async def run_chain(self, thread: str, *, run_id: str | None = None, words: str = "in") -> None:
        """Run the chain on a thread, to its end."""
        async with self.graph("chain") as chain:
            await chain.ainvoke({"words": [words]}, on_thread(thread), run_id=run_id)

    async def ask(self, thread: str) -> str:
        """Let a graph ask something on a thread; returns the id of the question."""
        async with self.graph("question") as question:
            asked = await question.ainvoke({"words": ["in"]}, on_thread(thread), run_id=f"{thread}-asks")
        return asked["__interrupt__"][0].id

    async def offer(self, thread: str) -> None:
        """Let a graph ask something on a thread, with a value of a type of its own."""
        with DaprSaver(SQLITE, address=self.sidecar.address, allowed_types=[Offer]) as saver:
            async with DurableGraph("offer", saver=saver, address=self.sidecar.address, events=None) as offer:
                run = await offer.arun({"words": []}, on_thread(thread))
        assert [each.value for each in run.interrupts] == [Offer(7)]

    async def purge(self, **given: Any) -> PurgeReport:
        """Purge."""
        return await purge_threads(saver=self.saver, **given)

    async def start(self, workflow: str, instance_id: str) -> None:
        """Start a workflow, and wait until it waits for an event."""
        with closing(self.workflows()) as client:
            client.schedule_new_workflow(workflow, instance_id=instance_id)
            client.wait_for_workflow_start(instance_id, timeout_in_seconds=20)

    def workflows(self) -> DaprWorkflowClient:
        """Return a client of Dapr's own."""
        host, _, port = self.sidecar.address.rpartition(":")
        return DaprWorkflowClient(host=host, port=port)

    def keys(self) -> set[str]:
        """Return the keys of the SQLite store, read past Dapr."""
        with closing(sqlite3.connect(self.folder / "state.db")) as database:
            return {key for (key,) in database.execute("SELECT key FROM state")}

    def rows(self) -> set[tuple[str, str]]:
        """Return the keys and ETags of the SQLite store."""
        with closing(sqlite3.connect(self.folder / "state.db")) as database:
            return set(database.execute("SELECT key, etag FROM state"))

    def workflow_of(self, instance_id: str) -> Any:
        """Return how a workflow stands, or None."""
        with closing(self.workflows()) as client:
            return client.get_workflow_state(instance_id)

    def is_waiting(self, thread: str) -> bool:
        """Whether a run has ended with a question."""
        claim = asyncio.run(self.saver.astanding(thread)).claim
        return Holding.from_document(claim).last_status == "interrupted"

    async def tell(self, instance_id: str, event: str, *, data: Any = None) -> Any:
        """Raise an event; returns how the workflow has ended then."""

        def tell() -> Any:
            with closing(self.workflows()) as client:
                client.raise_workflow_event(instance_id, event, data=data)
                return client.wait_for_workflow_completion(instance_id, timeout_in_seconds=20)

        return await asyncio.to_thread(tell)

    async def ends_when_told(self, instance_id: str, event: str, *, data: Any = None) -> None:
        """Raise an event, after which the workflow ends well."""
        assert (await self.tell(instance_id, event, data=data)).runtime_status is WorkflowStatus.COMPLETED

    def keys_of(self, name: str) -> set[str]:
        """Return the keys that a thread, a run or a workflow has left."""
        return {key for key in self.keys() if name in key}


@contextmanager
def rig_on(store: str, control_plane: ControlPlane, folder: Path) -> Iterator[Rig]:
    """Run a sidecar whose one state store is for threads and workflows, and a worker."""
    with ExitStack() as stack:
        match store:
            case "redis-state":
                port = stack.enter_context(redis_server(folder))
                write_redis_store(folder / "resources", store, port, actors=True)
            case "postgres-state":
                binaries = find_binaries()
                assert binaries, "postgres is missing: apt-get install postgresql"
                url = stack.enter_context(postgres(binaries))
                write_postgres_store(folder / "resources", store, url, actors=True)
            case _:
                write_sqlite_store(folder / "resources", store, folder / "state.db", actors=True)
        app = f"purge-{store}"
        sidecar = Sidecar(app, control_plane=control_plane, resources=folder / "resources", folder=folder)
        far = stack.enter_context(far_end())
        stack.enter_context(sidecar)
        saver = stack.enter_context(DaprSaver(store, address=sidecar.address))
        env = {**sidecar.environment(), "FAR_END": far.url, "STORE": store}
        worker = Process([sys.executable, "-m", "tests.kit.retention_worker"], log=folder / "worker.log", env=env)
        stack.callback(worker.stop)
        start_serving(worker)
        yield Rig(sidecar=sidecar, saver=saver, far=far, folder=folder)


@pytest.fixture(scope="module")
def rigs(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Rig]]:
    """Return a rig on a store, started when it is first asked for."""
    with ExitStack() as stack:

        @functools.cache
        def on(store: str) -> Rig:
            return stack.enter_context(rig_on(store, control_plane, tmp_path_factory.mktemp(store)))

        yield on


@pytest.fixture(params=ALL_STORES)
def any_rig(request: pytest.FixtureRequest, rigs: Callable[[str], Rig]) -> Rig:
    return rigs(request.param)


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs(SQLITE)


async def test_an_old_thread_goes_and_those_that_wait_stay_and_go_on(any_rig: Rig) -> None:
    rig = any_rig
    for number in range(2):
        await rig.run_chain("old", run_id=f"old-{number}")
    await rig.start("patient", "waits")
    await rig.start("asking", "asks")
    rig.far.wait_for("two", times=3)
    question = await rig.ask("asked")

    planned = await rig.purge(older_than=NOW)
    recent = await rig.purge(older_than=LONG)
    done = await rig.purge(older_than=NOW, dry_run=False)
    again = await rig.purge(older_than=NOW, dry_run=False)

    kept = {"waits/chain": "going on", "asks/q": "going on", "asked": "waiting"}
    assert [(each.thread_id, each.checkpoints) for each in planned.threads] == [("old", 1)]
    assert (sorted(planned.workflows), planned.kept, planned.is_dry_run) == (["old-0", "old-1"], kept, True)
    assert (recent.threads, recent.workflows, recent.kept["old"]) == ([], [], "recent")
    assert done == replace(planned, is_dry_run=False)
    assert again == PurgeReport(is_dry_run=False, threads=[], workflows=[], kept=kept)
    assert not (await rig.saver.astanding("old")).exists
    await rig.ends_when_told("waits", "go on")
    await rig.ends_when_told("asks", "answer", data="yes")
    async with rig.graph("question") as graph:
        answered = await graph.ainvoke(Command(resume={question: "yes"}), on_thread("asked"))
    assert answered == {"words": ["in", "yes"]}

    at_last = await rig.purge(older_than=NOW, dry_run=False)

    assert sorted(each.thread_id for each in at_last.threads) == ["asked", "asks/q", "waits/chain"]
    assert (at_last.kept, {"asks", "waits"} <= set(at_last.workflows)) == ({}, True)
    assert [rig.workflow_of(each) for each in ("asks", "waits")] == [None, None]


async def test_a_workflow_whose_thread_was_deleted_by_name_is_told_so_when_the_answer_comes(rig: Rig) -> None:
    await rig.start("asking", "bereft")
    await asyncio.to_thread(wait_until, lambda: rig.is_waiting("bereft/q"), what="the question")

    report = await rig.purge(threads=["bereft/q"], dry_run=False)

    assert ([each.thread_id for each in report.threads], report.workflows) == (["bereft/q"], [])
    state = await rig.tell("bereft", "answer", data="yes")
    assert state.runtime_status is WorkflowStatus.FAILED
    assert "EmptyInputError" in state.failure_details.message


async def test_a_workflow_that_was_told_something_after_its_end_goes_too(rig: Rig) -> None:
    await rig.run_chain("beside")
    await rig.start("asking", "told-twice")
    await asyncio.to_thread(wait_until, lambda: rig.is_waiting("told-twice/q"), what="the question")
    await rig.ends_when_told("told-twice", "answer", data="yes")
    with closing(rig.workflows()) as client:
        await asyncio.to_thread(client.raise_workflow_event, "told-twice", "answer", data="yes")

    threads = ["beside", "told-twice/q"]
    report = await rig.purge(threads=threads, dry_run=False)

    assert sorted(each.thread_id for each in report.threads) == threads
    assert [(await rig.saver.astanding(each)).exists for each in threads] == [False, False]
    assert len(report.workflows) == 2
    assert rig.keys_of("told-twice") == set()


async def test_of_a_purged_thread_nothing_is_stored_any_more(rig: Rig) -> None:
    await rig.run_chain("all-of-it", run_id="all-of-it-run", words=LARGE)
    assert {key.split("/")[1] for key in rig.keys_of("all-of-it") if "lg/" in key} >= {"T", "H", "C", "B", "L", "P"}

    report = await rig.purge(older_than=NOW, dry_run=False)

    assert "all-of-it" in [each.thread_id for each in report.threads]
    assert report.values == 2
    assert rig.keys_of("all-of-it") == set()


async def test_a_dry_run_writes_nothing(rig: Rig) -> None:
    await rig.run_chain("dry")
    before = rig.rows()

    report = await rig.purge(older_than=NOW)

    assert "dry" in [each.thread_id for each in report.threads]
    assert rig.rows() == before


async def test_old_histories_of_a_thread_in_use_go_but_for_its_last(rig: Rig) -> None:
    await rig.ask("in-use")
    question = rig.workflow_of("in-use-asks")
    await rig.run_chain("used-1", run_id="used-1-run")
    async with rig.graph("question") as graph:
        await graph.aupdate_state(on_thread("in-use"), {"words": ["by hand"]}, as_node="ask")
        await graph.ainvoke({"words": ["more"]}, on_thread("in-use"), run_id="in-use-later")
    assert question

    report = await rig.purge(older_than=NOW, dry_run=False)

    assert report.kept["in-use"] == "waiting"
    assert not rig.workflow_of("in-use-asks")
    assert rig.workflow_of("in-use-later")


async def test_a_thread_that_is_named_goes_whatever_it_waits_for_and_no_other(rig: Rig) -> None:
    await rig.ask("named")
    await rig.run_chain("not-named")

    planned = await rig.purge(threads=["named", "nowhere"])
    report = await rig.purge(threads=["named", "nowhere"], dry_run=False)

    assert [each.thread_id for each in planned.threads] == ["named"]
    assert (report.kept, report.workflows) == ({"nowhere": "not found"}, ["named-asks"])
    assert rig.keys_of("named-asks") == set()
    assert {key for key in rig.keys_of("/named") if key.endswith("/named")} == set()
    assert (await rig.saver.astanding("not-named")).exists


async def test_a_purge_needs_not_know_the_types_in_what_waits(rig: Rig) -> None:
    await rig.offer("offered")

    by_age = await rig.purge(older_than=NOW)
    by_name = await rig.purge(threads=["offered"], dry_run=False)

    assert by_age.kept["offered"] == "waiting"
    assert [each.thread_id for each in by_name.threads] == ["offered"]
    assert {key for key in rig.keys_of("/offered") if key.endswith("/offered")} == set()


async def test_a_thread_that_a_run_has_stays_even_when_it_is_named(rig: Rig) -> None:
    rig.far.hold("two")
    running = asyncio.create_task(rig.run_chain("had", run_id="had-run"))
    try:
        await asyncio.to_thread(rig.far.wait_for, "two", times=rig.far.counts()["two"] + 1)
        by_name = await rig.purge(threads=["had"], dry_run=False)
        by_age = await rig.purge(older_than=NOW, dry_run=False)
    finally:
        rig.far.release("two")
        await running

    assert by_name.kept == {"had": "going on"}
    assert by_age.kept["had"] == "going on"
    async with rig.graph("chain") as chain:
        assert (await chain.aget_state(on_thread("had"))).values == {"words": ["in", "one", "two"]}


async def test_a_thread_that_somebody_uses_while_it_is_purged_stays(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.run_chain("overtaken")
    planned = purging._Purge.plan_by_name

    async def overtaken(self: Any, threads: Any) -> Any:
        plan = await planned(self, threads)
        await rig.run_chain("overtaken")
        return plan

    monkeypatch.setattr(purging._Purge, "plan_by_name", overtaken)

    report = await rig.purge(threads=["overtaken"], dry_run=False)

    assert (report.threads, report.kept) == ([], {"overtaken": "going on"})
    async with rig.graph("chain") as chain:
        again = await chain.ainvoke({"words": ["more"]}, on_thread("overtaken"))
    assert len(again["words"]) == 9


class _Died(BaseException):
    """Stands for the end of the process."""


class DyingStore(StateStore):
    """A state store of a process that dies at one of its writes, before or after it is carried out."""

    left = 10_000
    is_after = False

    def _attempt(self, method: Any, request: Any, *, guarded: bool) -> Steps[bool]:
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.is_after):
            raise _Died
        done = yield from super()._attempt(method, request, guarded=guarded)
        if self.left == 0:
            raise _Died
        return done


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_purge_that_dies_at_any_write_is_finished_by_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, is_after: bool
) -> None:
    # The next one would wait for so long until it takes the dead one for dead.
    monkeypatch.setattr(purging, "_LEASE", timedelta(seconds=0.1))
    await rig.purge(older_than=NOW, dry_run=False)
    died = half_gone = 0
    has_died = True
    while has_died:
        thread = f"dies-{is_after}-{died}"
        await rig.run_chain(thread, run_id=f"{thread}-run", words=LARGE)
        with DaprSaver(SQLITE, address=rig.sidecar.address) as saver:
            saver.store = DyingStore(SQLITE, address=rig.sidecar.address)
            saver.store.left, saver.store.is_after = died + 1, is_after
            try:
                await purge_threads(saver=saver, older_than=NOW, dry_run=False)
                has_died = False
            except _Died:
                died += 1
            finally:
                saver.store.close()
        standing = await rig.saver.astanding(thread)
        if Holding.from_document(standing.claim).run_id:
            # Nobody runs on what is half gone; and the next purge finishes it, whoever has asked for it since.
            with pytest.raises(ThreadBusyError):
                await rig.run_chain(thread)
            await rig.purge(older_than=LONG, dry_run=False)
            standing = await rig.saver.astanding(thread)
            half_gone += 1
        assert not standing.exists or standing.checkpoints == 1
        await rig.purge(older_than=NOW, dry_run=False)
        assert rig.keys_of(thread) == set()

    assert died > 6
    assert half_gone > 2


async def test_a_purge_that_dies_at_many_threads_at_once_is_finished_by_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_LEASE", timedelta(seconds=0.1))
    await rig.purge(older_than=NOW, dry_run=False)
    names = [f"many-{number}" for number in range(12)]
    for name in names:
        await rig.run_chain(name, run_id=f"{name}-run", words=LARGE)
    with DaprSaver(SQLITE, address=rig.sidecar.address) as saver:
        saver.store = DyingStore(SQLITE, address=rig.sidecar.address)
        saver.store.left = 30
        with pytest.raises(_Died):
            await purge_threads(saver=saver, older_than=NOW, dry_run=False)
        saver.store.close()

    standings = [await rig.saver.astanding(name) for name in names]
    half_gone = [each for each in standings if Holding.from_document(each.claim).run_id]
    report = await rig.purge(older_than=NOW, dry_run=False)

    assert len(half_gone) > 1
    assert sorted(report.workflows) == sorted(f"{name}-run" for name in names)
    assert not report.kept.keys() & set(names)
    assert rig.keys_of("many-") == set()


def test_the_command_tells_what_it_would_delete_and_deletes_when_told_to(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(rig.run_chain("by-command"))

    def said(*arguments: str) -> str:
        assert main(["--store", SQLITE, "--address", rig.sidecar.address, *arguments]) == 0
        return capsys.readouterr().out

    told, kept = said("--thread", "by-command"), said("--older-than", "1h")
    command = [sys.executable, "-m", "dapr_bridge.purge", "--store", SQLITE, "--thread", "by-command", "--yes"]
    environment = {**os.environ, **rig.sidecar.environment()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)

    assert f"thread 'by-command': last used {datetime.now(UTC):%Y-%m-%d}" in told
    size = r"1 thread with 1 checkpoint, 1 workflow history with 6 events of [1-9]\.\d kB, 0 values by reference\n"
    assert re.search(f"\nwould be deleted: {size}", told)
    assert told.endswith("This was a dry run, and nothing was deleted; --yes deletes.\n")
    assert "thread, recent" in kept.replace("threads,", "thread,")
    assert re.search(f"\ndeleted: {size}", done.stdout)
    assert said("--thread", "by-command", "--yes") == (
        "deleted: 0 threads with 0 checkpoints, 0 workflow histories with 0 events of 0.0 kB, 0 values by reference\n"
        "kept: 1 thread, not found\n"
    )


async def test_a_purge_is_told_either_an_age_or_threads(rig: Rig) -> None:
    for given in ({}, {"older_than": LONG, "threads": ["t"]}):
        with pytest.raises(CallRefusedError, match="either older_than="):
            await rig.purge(**given)
    with pytest.raises(CallRefusedError, match="lies in the future"):
        await rig.purge(older_than=-LONG)
    with pytest.raises(CallRefusedError, match="before all time"):
        await rig.purge(older_than=timedelta.max)


async def test_one_purge_is_at_work_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_LEASE", timedelta(seconds=0.1))
    async with rig.saver.leases.hold("dapr_bridge:purge", owner="somebody", ttl=timedelta(seconds=30)):
        with pytest.raises(LeaseHeldError, match="held by 'somebody'"):
            await rig.purge(older_than=NOW, dry_run=False)
