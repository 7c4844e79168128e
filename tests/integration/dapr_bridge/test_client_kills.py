"""A stream, and a run's claim on its thread, while processes are killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from dapr_bridge import CallRefusedError, _remote_run
from dapr_bridge._workflows import Workflows
from dapr_bridge.testing import ControlPlane
from tests.kit.client_rig import ClientRig, client_rig, on_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def rig(control_plane: ControlPlane, tmp_path: Path) -> Iterator[ClientRig]:
    """A sidecar and a worker that the test may kill."""
    with client_rig(control_plane, tmp_path) as built:
        yield built


async def collect(events: AsyncIterator[Any], seen: list[Any]) -> None:
    async for event in events:
        seen.append(event)  # noqa: PERF401 - the test looks at it meanwhile


async def until(seen: list[Any], wanted: Any) -> None:
    async with asyncio.timeout(30):
        while wanted not in seen:
            await asyncio.sleep(0.02)


async def kill_worker_while_held(rig: ClientRig, mark: str) -> None:
    """Kill the worker while a node waits at the far end, then bring another one."""
    rig.workers[-1].kill()
    rig.far.release(mark)
    await asyncio.to_thread(rig.start_worker)


async def test_a_worker_killed_in_a_chain_leaves_each_event_once_and_in_order(rig: ClientRig) -> None:
    seen: list[Any] = []
    rig.far.hold("two")
    async with rig.client("chain") as durable:
        modes = ["values", "updates", "custom", "tasks", "checkpoints"]
        stream = durable.astream({"words": ["in"]}, on_thread("t"), stream_mode=modes)
        watching = asyncio.create_task(collect(stream, seen))
        await asyncio.to_thread(rig.far.wait_for, "two")
        await until(seen, ("custom", "two begins"))

        await kill_worker_while_held(rig, "two")
        await asyncio.wait_for(watching, 60)
        state = await durable.aget_state(on_thread("t"))

    names = ["one", "two", "three"]
    assert [event for mode, event in seen if mode == "values"] == [{"words": ["in", *names[:n]]} for n in range(4)]
    assert [event for mode, event in seen if mode == "updates"] == [{name: {"words": [name]}} for name in names]
    assert [event for mode, event in seen if mode == "custom"] == [
        event for name in names for event in (f"{name} begins", {"done": name})
    ]
    assert [event["name"] for mode, event in seen if mode == "tasks" and "input" in event] == names
    assert [event["name"] for mode, event in seen if mode == "tasks" and "result" in event] == names
    assert [event["metadata"]["step"] for mode, event in seen if mode == "checkpoints"] == [-1, 0, 1, 2, 3]
    assert state.values == {"words": ["in", *names]}
    assert rig.far.counts() == {"one": 1, "two": 2, "three": 1}


async def test_a_worker_killed_in_a_subgraph_leaves_each_event_once(rig: ClientRig) -> None:
    seen: list[Any] = []
    rig.far.hold("two")
    async with rig.client("nested") as durable:
        stream = durable.astream(
            {"words": ["in"]}, on_thread("t"), stream_mode=["values", "updates", "checkpoints"], subgraphs=True
        )
        watching = asyncio.create_task(collect(stream, seen))
        await asyncio.to_thread(rig.far.wait_for, "two")

        await kill_worker_while_held(rig, "two")
        await asyncio.wait_for(watching, 60)

    inner = [(mode, event) for namespace, mode, event in seen if namespace]
    outer = [(mode, event) for namespace, mode, event in seen if not namespace]
    words = ["in", "before"]
    assert [event["words"] for mode, event in inner if mode == "values"] == [
        [*words, *["one", "two", "three"][:n]] for n in range(4)
    ]
    assert [next(iter(event)) for mode, event in inner if mode == "updates"] == ["one", "two", "three"]
    assert [event["metadata"]["step"] for mode, event in inner if mode == "checkpoints"] == [-1, 0, 1, 2, 3]
    assert [next(iter(event)) for mode, event in outer if mode == "updates"] == ["before", "inside"]
    assert len([event for mode, event in outer if mode == "values"]) == 3


async def test_what_parallel_tasks_had_saved_is_told_once_after_a_kill(rig: ClientRig) -> None:
    seen: list[Any] = []
    rig.far.hold("work-1")
    async with rig.client("fan") as durable:
        stream = durable.astream({"words": ["in"]}, on_thread("t"), stream_mode=["updates", "values"])
        watching = asyncio.create_task(collect(stream, seen))
        for number in (0, 2):
            await until(seen, ("updates", {"work": {"words": [f"work-{number}"]}}))

        await kill_worker_while_held(rig, "work-1")
        await asyncio.wait_for(watching, 60)

    updates = [event["work"]["words"][0] for mode, event in seen if mode == "updates" and "work" in event]
    assert sorted(updates) == ["work-0", "work-1", "work-2"]
    assert [event["words"] for mode, event in seen if mode == "values"] == [
        ["in"],
        ["in", "work-0", "work-1", "work-2"],
        ["in", "work-0", "work-1", "work-2", "4 words"],
    ]
    assert rig.far.counts() == {"work-0": 1, "work-1": 2, "work-2": 1}


async def test_a_sidecar_killed_in_a_stream_costs_no_end_and_no_last_value(rig: ClientRig) -> None:
    seen: list[Any] = []
    rig.far.hold("two")
    async with rig.client("chain") as durable:
        watching = asyncio.create_task(
            collect(durable.astream({"words": ["in"]}, on_thread("t"), stream_mode="values"), seen)
        )
        await asyncio.to_thread(rig.far.wait_for, "two")
        rig.sidecar.kill()
        await asyncio.to_thread(rig.sidecar.start)
        rig.far.release("two")
        await asyncio.wait_for(watching, 60)

    words = [values["words"] for values in seen]
    assert words[-1] == ["in", "one", "two", "three"]
    assert words == sorted(words, key=len)
    assert len({len(each) for each in words}) == len(words)


async def test_a_run_ends_with_the_worker_that_has_it_and_goes_on_in_the_next(rig: ClientRig) -> None:
    """The claim on the thread is the run's, not the process's."""
    rig.far.hold("two")
    async with rig.client("chain") as durable:
        running = asyncio.create_task(durable.ainvoke({"words": ["in"]}, on_thread("t")))
        await asyncio.to_thread(rig.far.wait_for, "two")

        await kill_worker_while_held(rig, "two")
        output = await asyncio.wait_for(running, 60)
        after = await durable.ainvoke({"words": ["more"]}, on_thread("t"))

    assert output == {"words": ["in", "one", "two", "three"]}
    assert after["words"] == [*output["words"], "more", "one", "two", "three"]


@pytest.mark.parametrize("is_drained", [False, True], ids=["plainly", "with a control"])
async def test_a_call_that_comes_while_the_sidecar_is_away_waits_for_it(rig: ClientRig, is_drained: bool) -> None:
    given: dict[str, Any] = {"control": RunControl()} if is_drained else {}
    async with rig.client("chain") as durable:
        first = await durable.ainvoke({"words": ["in"]}, on_thread("t"), run_id="first")
        rig.sidecar.kill()
        running = asyncio.create_task(durable.ainvoke({"words": ["more"]}, on_thread("t"), run_id="second", **given))
        again = asyncio.create_task(durable.ainvoke({"words": ["in"]}, on_thread("t"), run_id="first"))
        await asyncio.sleep(1)
        await asyncio.to_thread(rig.sidecar.start)

        output, joined = await asyncio.wait_for(asyncio.gather(running, again), 60)

    assert joined == first
    assert output["words"] == [*first["words"], "more", "one", "two", "three"]
    assert rig.far.counts() == {"one": 2, "two": 2, "three": 2}


async def test_a_call_that_no_worker_takes_up_says_so_once(
    rig: ClientRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_remote_run, "_LONG_TO_BEGIN_SECONDS", 1.0)
    rig.workers[-1].kill()
    async with rig.client("chain") as durable:
        running = asyncio.create_task(durable.ainvoke({"words": ["in"]}, on_thread("t"), run_id="r"))
        async with asyncio.timeout(30):
            while not caplog.messages:
                await asyncio.sleep(0.02)
        await asyncio.wait([running], timeout=1)
        await asyncio.to_thread(rig.start_worker)
        output = await asyncio.wait_for(running, 60)

    assert output == {"words": ["in", "one", "two", "three"]}
    assert caplog.messages == [
        "run r has not begun: is a worker that hosts graph 'chain' connected to this app's sidecar?"
    ]


async def test_a_run_that_no_worker_has_begun_is_known_to_all_who_ask_for_it(rig: ClientRig) -> None:
    rig.workers[-1].kill()
    given, other = {"words": ["in"]}, {"words": ["another"]}
    with Workflows(rig.sidecar.address) as workflows:
        async with rig.client("chain") as durable, rig.client("chain") as same:
            first = asyncio.create_task(durable.ainvoke(given, on_thread("t"), run_id="r"))
            async with asyncio.timeout(30):
                while await workflows.state("r") is None:
                    await asyncio.sleep(0.02)
            again = asyncio.create_task(same.ainvoke(given, on_thread("t"), run_id="r"))
            refused = asyncio.create_task(same.ainvoke(other, on_thread("t"), run_id="r"))
            done, _ = await asyncio.wait([again, refused], timeout=1)
            await asyncio.to_thread(rig.start_worker)
            outputs = await asyncio.wait_for(asyncio.gather(first, again), 60)
            with pytest.raises(CallRefusedError, match="run id 'r' is taken by a run with another input"):
                await refused

    assert not done
    assert outputs == [{"words": ["in", "one", "two", "three"]}] * 2
    assert rig.far.counts() == {"one": 1, "two": 1, "three": 1}
