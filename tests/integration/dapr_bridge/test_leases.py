"""Leases between processes, on a real daprd: one holder at a time, and another when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from dapr_bridge import DaprSaver, LeaseHeldError, Patience
from dapr_bridge.saver.effects import arun
from dapr_bridge.saver.keys import lease_key
from dapr_bridge.saver.lease import Leases
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.stores import ALL_STORES, write_sqlite_store

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=2)
LONG = timedelta(hours=1)
"""Whoever waited for this to pass would never come to an end."""

PROJECT = Path(__file__).parents[3]


@pytest.fixture(params=ALL_STORES)
async def leases(request: pytest.FixtureRequest, stores_sidecar: Sidecar) -> AsyncIterator[Leases]:
    with DaprSaver(request.param, address=stores_sidecar.address) as saver:
        yield saver.leases


@pytest.fixture
def start_holder(leases: Leases, tmp_path: Path) -> Callable[[str], AbstractContextManager[Process]]:
    """Start another process that holds a lease."""

    def start(name: str) -> AbstractContextManager[Process]:
        address = leases.store.address or ""
        place = [address, leases.store.name, name, "other process", str(TTL.total_seconds())]
        return Process(
            [sys.executable, "-m", "tests.kit.lease_holder", *place], log=tmp_path / "holder.log", cwd=PROJECT
        )

    return start


def wait_for_text(process: Process, text: str) -> None:
    process.wait_for(lambda: text in process.text(), what=f"the holder to say {text!r}")


async def test_one_at_a_time_holds_a_lease_and_each_has_a_higher_token(leases: Leases) -> None:
    inside: list[int] = []
    most: list[int] = []
    tokens: list[int] = []

    async def work(number: int) -> None:
        # All of one owner: it is not the name that tells them apart.
        async with leases.hold("crowd", owner="worker", ttl=LONG) as lease:
            inside.append(number)
            most.append(len(inside))
            tokens.append(lease.token)
            await asyncio.sleep(0)
            assert await leases.renew(lease.grant)
            assert lease.is_held
            inside.remove(number)

    await asyncio.wait_for(asyncio.gather(*(work(number) for number in range(8))), 60)

    assert most == [1] * 8
    assert tokens == list(range(1, 9))


async def test_two_attempts_of_one_owner_are_told_apart(leases: Leases) -> None:
    await leases.acquire("same owner", owner="worker", ttl=LONG)

    with pytest.raises(LeaseHeldError, match="lease 'same owner' is held by 'worker'"):
        await leases.acquire("same owner", owner="worker", ttl=LONG, wait=timedelta(0))


async def test_nobody_takes_over_before_the_time_to_live_has_passed(leases: Leases) -> None:
    ttl = timedelta(seconds=1)
    gone = await leases.acquire("gone", owner="gone", ttl=ttl)
    begun = time.monotonic()

    with pytest.raises(LeaseHeldError):
        await leases.acquire("gone", owner="hasty", ttl=ttl, wait=ttl / 4)
    next_one = await asyncio.wait_for(leases.acquire("gone", owner="patient", ttl=LONG), 60)

    # The patient one began to watch after a quarter of the time.
    assert time.monotonic() - begun >= 1.25
    assert next_one.token == gone.token + 1


async def test_a_stale_holder_neither_renews_nor_frees_what_another_holds(leases: Leases) -> None:
    stale = await leases.acquire("stale", owner="stale", ttl=timedelta(0))
    current = await leases.acquire("stale", owner="current", ttl=LONG)

    assert not await leases.renew(stale)
    await leases.release(stale)

    assert await leases.renew(current)
    with pytest.raises(LeaseHeldError):
        await leases.acquire("stale", owner="third", ttl=LONG, wait=timedelta(0))


async def test_a_lease_that_was_given_back_is_free_at_once_and_counts_on(leases: Leases) -> None:
    first = await leases.acquire("back", owner="first", ttl=LONG)
    await leases.release(first)

    second = await asyncio.wait_for(leases.acquire("back", owner="second", ttl=LONG), 30)

    assert second.token == first.token + 1
    assert not await leases.renew(first)


async def test_a_holder_is_told_that_another_has_its_lease(leases: Leases) -> None:
    async with leases.hold("taken", owner="holder", ttl=timedelta(seconds=1)) as lease:
        assert lease.is_held
        await leases.delete(["taken"])
        await leases.acquire("taken", owner="rival", ttl=LONG)
        await asyncio.wait_for(lease.lost.wait(), 30)

        assert not lease.is_held
    with pytest.raises(LeaseHeldError, match="rival"):
        await leases.acquire("taken", owner="third", ttl=LONG, wait=timedelta(0))


async def test_whoever_takes_a_lease_over_is_told_what_the_dead_holder_has_noted(leases: Leases) -> None:
    await leases.acquire("noted", owner="dead", ttl=timedelta(0), note="where I was")

    async with leases.hold("noted", owner="next", ttl=LONG) as lease:
        assert lease.grant.before == "where I was"
        assert await leases.renew(lease.grant)
    after = await leases.acquire("noted", owner="last", ttl=LONG)

    assert after.before == ""


async def test_the_last_use_of_a_lease_leaves_nothing_of_it(leases: Leases) -> None:
    async with leases.hold("last", owner="holder", ttl=LONG, is_last=True):
        pass

    assert await arun(leases.store.read([lease_key("last")])) == {}


async def test_the_last_use_of_a_lease_that_was_lost_leaves_it_with_whoever_has_it(leases: Leases) -> None:
    async with leases.hold("lost", owner="holder", ttl=LONG, is_last=True):
        await leases.delete(["lost"])
        rival = await leases.acquire("lost", owner="rival", ttl=LONG)

    assert await leases.renew(rival)


async def test_a_last_use_that_fails_gives_the_lease_back(leases: Leases) -> None:
    with pytest.raises(ValueError, match="on the way"):
        async with leases.hold("failed", owner="holder", ttl=LONG, is_last=True):
            raise ValueError("on the way")

    assert (await leases.acquire("failed", owner="next", ttl=LONG, wait=timedelta(0))).token == 2


async def test_while_a_process_lives_nobody_takes_over_and_after_sigkill_another_does(
    leases: Leases, start_holder: Callable[[str], AbstractContextManager[Process]]
) -> None:
    with start_holder("killed") as holder:
        await asyncio.to_thread(wait_for_text, holder, "held with token 1")
        with pytest.raises(LeaseHeldError, match="held by 'other process'"):
            await leases.acquire("killed", owner="waiter", ttl=LONG, wait=2 * TTL)

        waiter = asyncio.create_task(leases.acquire("killed", owner="waiter", ttl=LONG))
        holder.kill()
        begun = time.monotonic()
        grant = await asyncio.wait_for(waiter, 60)

    # The waiter looked for the first time when the holder was dead.
    assert time.monotonic() - begun >= TTL.total_seconds()
    assert grant.token == 2


async def test_a_process_that_stood_still_too_long_learns_that_its_lease_is_lost(
    leases: Leases, start_holder: Callable[[str], AbstractContextManager[Process]]
) -> None:
    with start_holder("frozen") as holder:
        await asyncio.to_thread(wait_for_text, holder, "held with token 1")
        os.kill(holder.pid, signal.SIGSTOP)
        try:
            grant = await asyncio.wait_for(leases.acquire("frozen", owner="waiter", ttl=LONG), 60)
        finally:
            os.kill(holder.pid, signal.SIGCONT)
        await asyncio.to_thread(wait_for_text, holder, "lost, is_held=False")

    assert grant.token == 2
    assert await leases.renew(grant)


async def test_a_holder_whose_sidecar_is_gone_does_not_trust_its_lease(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    write_sqlite_store(tmp_path / "resources", "state", tmp_path / "state.db")
    sidecar = Sidecar("app", control_plane=control_plane, resources=tmp_path / "resources", folder=tmp_path)
    patience = Patience(away=LONG)
    with sidecar, DaprSaver("state", address=sidecar.address, patience=patience) as saver:
        async with saver.leases.hold("name", owner="holder", ttl=timedelta(seconds=1)) as lease:
            sidecar.kill()
            await asyncio.wait_for(lease.lost.wait(), 60)

            assert not lease.is_held
