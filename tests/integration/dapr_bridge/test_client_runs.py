"""One live run per thread, one run per id, and runs that are cancelled, with two workers on one sidecar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from dapr_bridge import (
    BridgeError,
    CallRefusedError,
    DurableGraph,
    GraphFailedError,
    RunCancelledError,
    ThreadBusyError,
)
from dapr_bridge._workflows import Workflows
from dapr_bridge.testing import ControlPlane
from tests.kit.client_rig import ClientRig, client_rig, on_thread
from tests.kit.hasty_sidecar import hasty_sidecar
from tests.kit.sidecars import output_of, workflow_client

pytestmark = pytest.mark.anyio

WHOLE = {"words": ["in", "one", "two", "three"]}


@pytest.fixture(scope="module")
def shared(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientRig]:
    """Two workers for the whole module."""
    with client_rig(control_plane, tmp_path_factory.mktemp("runs")) as built:
        built.start_worker()
        yield built


@pytest.fixture
def rig(shared: ClientRig) -> Iterator[ClientRig]:
    """The same, the far end's marks forgotten."""
    shared.far.marks.clear()
    yield shared
    for mark in ("one", "two", "three"):
        shared.far.release(mark)


@asynccontextmanager
async def held_run(
    rig: ClientRig, durable: DurableGraph, thread: str, **given: Any
) -> AsyncIterator[asyncio.Task[Any]]:
    """A run that stands in its second node."""
    rig.far.hold("two")
    times = rig.far.counts()["two"] + 1
    running = asyncio.create_task(durable.ainvoke({"words": ["in"]}, on_thread(thread), **given))
    await asyncio.to_thread(rig.far.wait_for, "two", times=times)
    try:
        yield running
    finally:
        rig.far.release("two")
        running.cancel()


async def test_a_second_run_of_a_thread_is_told_who_has_it(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "busy", run_id="busy-1") as running:
        attempts = [durable.ainvoke({"words": ["x"]}, on_thread("busy"), run_id=f"late-{n}") for n in range(6)]
        ends = await asyncio.gather(*attempts, return_exceptions=True)
        rig.far.release("two")
        output = await running

    assert [type(end) for end in ends] == [ThreadBusyError] * 6
    assert {end.run_id for end in ends if isinstance(end, ThreadBusyError)} == {"busy-1"}
    assert output == WHOLE
    assert rig.far.counts() == {"one": 1, "two": 1, "three": 1}


async def test_a_run_that_was_told_so_may_be_asked_for_again(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        async with held_run(rig, durable, "again") as running:
            with pytest.raises(ThreadBusyError):
                await durable.ainvoke({"words": ["x"]}, on_thread("again"), run_id="again-2")
            rig.far.release("two")
            await running
        output = await durable.ainvoke({"words": ["x"]}, on_thread("again"), run_id="again-2")

    assert output["words"] == [*WHOLE["words"], "x", "one", "two", "three"]


async def test_a_run_may_wait_for_the_thread(rig: ClientRig) -> None:
    async with rig.client("chain", if_busy="wait") as durable, held_run(rig, durable, "wait") as running:
        waiting = asyncio.create_task(durable.ainvoke({"words": ["x"]}, on_thread("wait")))
        await asyncio.wait([waiting], timeout=1)
        was_done = waiting.done()
        rig.far.release("two")
        first, second = await running, await waiting

    assert not was_done
    assert first == WHOLE
    assert second["words"] == [*WHOLE["words"], "x", "one", "two", "three"]


async def test_an_interrupted_or_failed_run_leaves_its_thread_free(rig: ClientRig) -> None:
    async with rig.client("asking") as asking, rig.client("failing") as failing:
        for _ in range(2):
            asked = await asking.ainvoke({"words": []}, on_thread("asking"))
            with pytest.raises(BridgeError, match="as expected"):
                await failing.ainvoke({"words": []}, on_thread("failing"))

    assert len(asked["__interrupt__"]) == 2


async def test_a_run_id_given_twice_is_one_run_also_after_its_end(rig: ClientRig) -> None:
    config: Any = {**on_thread("twice"), "metadata": {"run_id": "twice-1"}}
    async with (
        rig.client("chain") as durable,
        rig.client("chain") as other,
        held_run(rig, durable, "twice", run_id="twice-1") as running,
    ):
        joined = asyncio.create_task(other.ainvoke({"words": ["in"]}, on_thread("twice"), run_id="twice-1"))
        await asyncio.wait([joined], timeout=0.5)
        rig.far.release("two")
        ends = [await running, await joined]
        ends.append(await other.ainvoke({"words": ["in"]}, on_thread("twice"), run_id="twice-1"))
        ends.append(await other.ainvoke({"words": ["in"]}, config))

    assert ends == [WHOLE] * 4
    assert rig.far.counts() == {"one": 1, "two": 1, "three": 1}


async def test_a_run_id_given_twice_with_equal_sets_is_one_run(rig: ClientRig) -> None:
    # Walked in another order, as sets of strings are in another process.
    first, second = {0, 8}, {8, 0}
    async with rig.client("chain") as durable:
        ends = [
            await durable.ainvoke({"words": [each]}, on_thread("sets"), run_id="sets-1") for each in (first, second)
        ]

    assert list(first) != list(second)
    assert ends == [{"words": [first, "one", "two", "three"]}] * 2


async def test_a_run_id_given_twice_with_a_large_input_is_one_run_only_if_they_are_equal(rig: ClientRig) -> None:
    # Too large for a history, which holds its name.
    large, numbers = "x" * 20_000, ({0, 8}, {8, 0})
    async with rig.client("chain") as durable:
        ends = [
            await durable.ainvoke({"words": [large, each]}, on_thread("large"), run_id="large-1") for each in numbers
        ]
        with pytest.raises(CallRefusedError, match="'large-1' is taken by a run with another input"):
            await durable.ainvoke({"words": [large, {0}]}, on_thread("large"), run_id="large-1")

    assert ends == [{"words": [large, {0, 8}, "one", "two", "three"]}] * 2


async def test_a_run_id_for_something_else_is_refused(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        await durable.ainvoke({"words": ["in"]}, on_thread("else"), run_id="else-1")
        with pytest.raises(CallRefusedError, match="'else-1' is taken by a run with another input"):
            await durable.ainvoke({"words": ["other"]}, on_thread("else"), run_id="else-1")
        with pytest.raises(CallRefusedError, match="with another thread"):
            await durable.ainvoke({"words": ["in"]}, on_thread("elsewhere"), run_id="else-1")


async def test_a_run_id_that_has_ended_is_ended_and_its_thread_goes_on_without_it(rig: ClientRig) -> None:
    config = on_thread("broken")
    async with rig.client("failing") as durable:
        with pytest.raises(GraphFailedError, match="node 'broken' failed with RuntimeError"):
            await durable.ainvoke({"words": ["in"]}, config, run_id="broken-1")
        with pytest.raises(CallRefusedError, match=r"without it goes on with its thread") as refused:
            await durable.ainvoke(None, config, run_id="broken-1")
        with pytest.raises(GraphFailedError, match="node 'broken' failed with RuntimeError"):
            await durable.ainvoke(None, config)
        state = await durable.aget_state(config)

    assert "when this one has ended, ainvoke(None, config)" in str(refused.value)
    assert state.values == {"words": ["in", "fine"]}


async def test_a_run_id_that_is_the_instance_id_of_another_workflow_is_refused(rig: ClientRig) -> None:
    with Workflows(rig.sidecar.address) as workflows:
        await workflows.start("calling", instance_id="order-7", record=cast("Any", ["no", "run"]))
        await workflows.end("order-7")
    async with rig.client("chain") as durable:
        with pytest.raises(CallRefusedError, match="'order-7' is taken by a run with another graph"):
            await durable.ainvoke({"words": ["in"]}, on_thread("order"), run_id="order-7")


async def test_a_cancelled_run_stops_where_it_is_and_its_thread_goes_on(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "cancel", run_id="cancel-1") as running:
        was_cancelled = await durable.acancel("cancel-1")
        with pytest.raises(RunCancelledError):
            await running
        rig.far.release("two")
        state = await durable.aget_state(on_thread("cancel"))
        output = await durable.ainvoke(None, on_thread("cancel"))
        with pytest.raises(RunCancelledError):
            await durable.ainvoke({"words": ["in"]}, on_thread("cancel"), run_id="cancel-1")

    assert was_cancelled
    assert state.next == ("two",)
    assert output == WHOLE
    assert rig.far.counts() == {"one": 1, "two": 2, "three": 1}


async def test_a_stream_of_a_cancelled_run_ends_with_the_error(rig: ClientRig) -> None:
    seen: list[Any] = []
    rig.far.hold("two")

    async def watch(durable: DurableGraph) -> None:
        async for event in durable.astream({"words": ["in"]}, on_thread("stream"), run_id="stream-1"):
            seen.append(event)
            await durable.acancel("stream-1")

    async with rig.client("chain") as durable:
        with pytest.raises(RunCancelledError):
            await watch(durable)

    assert seen == [{"one": {"words": ["one"]}}]


async def test_a_run_that_waits_for_its_thread_can_be_cancelled(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "patient") as running:
        config = on_thread("patient")
        waiting = asyncio.create_task(durable.ainvoke({"words": []}, config, run_id="patient-2", if_busy="wait"))
        await asyncio.wait([waiting], timeout=0.5)
        was_cancelled = await durable.acancel("patient-2")
        with pytest.raises(RunCancelledError):
            await waiting
        rig.far.release("two")
        output = await running

    assert was_cancelled
    assert output == WHOLE


async def test_who_holds_a_busy_thread_can_be_cancelled_by_the_id_in_the_error(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "holder") as running:
        with pytest.raises(ThreadBusyError) as caught:
            await durable.ainvoke(None, on_thread("holder"))
        await durable.acancel(caught.value.run_id)
        with pytest.raises(RunCancelledError):
            await running


async def test_a_run_that_a_workflow_calls_can_be_cancelled_by_its_id(rig: ClientRig) -> None:
    rig.far.hold("two")
    with workflow_client(rig.sidecar) as client:
        instance = await asyncio.to_thread(client.schedule_new_workflow, "calling", input="called")
        await asyncio.to_thread(rig.far.wait_for, "two")
        async with rig.client("chain") as durable:
            was_cancelled = await durable.acancel("called/run")
        output = await asyncio.to_thread(output_of, client, instance)

    assert was_cancelled
    assert output == "cancelled"


async def test_who_watches_a_run_of_another_call_sees_its_end(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "watched", run_id="watched-1"):
        stream = durable.astream({"words": ["in"]}, on_thread("watched"), run_id="watched-1", stream_mode="values")
        watching = asyncio.create_task(anext(stream))
        await asyncio.wait([watching], timeout=0.3)
        rig.far.release("two")

        assert await watching == WHOLE


async def test_cancelling_an_ended_run_changes_nothing(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        await durable.ainvoke({"words": ["in"]}, on_thread("ended"), run_id="ended-1")

        assert await durable.acancel("ended-1") is False
        assert await durable.ainvoke({"words": ["in"]}, on_thread("ended"), run_id="ended-1") == WHOLE


async def test_cancelling_a_run_that_no_worker_has_says_so(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        with pytest.raises(BridgeError, match=r"no worker took notice .* Or no run has that id"):
            await durable.acancel("never-begun", timeout=timedelta(seconds=0.3))
        with pytest.raises(RunCancelledError):
            await durable.ainvoke({"words": ["in"]}, on_thread("never"), run_id="never-begun")


async def test_a_caller_that_stops_waiting_leaves_the_run_alone(rig: ClientRig) -> None:
    async with rig.client("chain") as durable:
        async with held_run(rig, durable, "left", run_id="left-1") as running:
            running.cancel()
            rig.far.release("two")
        output = await durable.ainvoke({"words": ["in"]}, on_thread("left"), run_id="left-1")

    assert output == WHOLE
    assert rig.far.counts() == {"one": 1, "two": 1, "three": 1}


async def test_a_thread_whose_workflow_was_terminated_can_be_taken_over(rig: ClientRig) -> None:
    async with rig.client("chain") as durable, held_run(rig, durable, "taken", run_id="taken-1"):
        with workflow_client(rig.sidecar) as client:
            await asyncio.to_thread(client.terminate_workflow, "taken-1")
            await asyncio.to_thread(client.wait_for_workflow_completion, "taken-1", timeout_in_seconds=30)
        going_on = asyncio.create_task(durable.ainvoke(None, on_thread("taken")))
        await asyncio.to_thread(rig.far.wait_for, "two", times=2)
        # The first attempt is stopped where it stands: nothing of it comes when the far end answers at last.
        await _until_logged(rig, "run is stopped: its thread is no longer its own")
        rig.far.release("two")
        output = await going_on

    assert output == WHOLE
    assert rig.far.counts() == {"one": 1, "two": 2, "three": 1}


async def _until_logged(rig: ClientRig, text: str) -> None:
    async with asyncio.timeout(30):
        while not any(text in worker.text() for worker in rig.workers):
            await asyncio.sleep(0.05)


async def test_a_run_that_goes_on_while_it_is_read_is_read_again(rig: ClientRig) -> None:
    with hasty_sidecar(rig.sidecar.address, refusals=3) as address, Workflows(address) as workflows:
        assert await workflows.state("nobody-knows-it") is None
        assert list(await workflows.history("nobody-knows-it")) == []
