"""Signals, and the end of processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from dapr_bridge.testing import wait_until
from local.processes import Service, is_alive, start_service, tail
from local.stop_signals import StopSignals

pytestmark = pytest.mark.anyio

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


async def start(folder: Path, script: str) -> Service:
    service = await start_service(
        "test", [sys.executable, "-S", "-c", script], log=folder / "log", folder=folder, environment=os.environ
    )
    async with asyncio.timeout(10):
        while not tail(service.log):
            await asyncio.sleep(0.02)
    return service


async def test_the_end_of_a_service_is_the_end_of_all_that_it_has_started(tmp_path: Path) -> None:
    service = await start(tmp_path, PARENT)
    child = psutil.Process(int(tail(service.log)[0]))
    await service.stop(forced=asyncio.Event(), patience=timedelta(seconds=5))
    assert not service.is_running
    wait_until(lambda: not is_alive(child), what="the child to end", seconds=5)


async def test_who_ignores_sigterm_is_killed_when_patience_is_over(tmp_path: Path) -> None:
    service = await start(tmp_path, STUBBORN)
    await service.stop(forced=asyncio.Event(), patience=timedelta(seconds=0.2))
    assert service.process.returncode == -signal.SIGKILL


async def test_force_ends_the_waiting(tmp_path: Path) -> None:
    service = await start(tmp_path, STUBBORN)
    forced = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, forced.set)
    started = time.monotonic()
    await service.stop(forced=forced, patience=timedelta(seconds=60))
    assert time.monotonic() - started < 10


async def test_the_first_signal_cancels_and_the_second_forces() -> None:
    said: list[str] = []
    signals = StopSignals(announce=said.append)
    task = asyncio.create_task(asyncio.sleep(60))
    signals.install(task)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert signals.was_asked
    assert not signals.forced.is_set()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(signals.forced.wait(), 5)
    assert len(said) == 1


async def test_a_signal_does_not_interrupt_an_end_that_has_begun() -> None:
    signals = StopSignals(announce=lambda _: None)
    task = asyncio.create_task(asyncio.sleep(0.2))
    signals.install(task)
    signals.begin_to_stop()
    os.kill(os.getpid(), signal.SIGINT)
    await task
    assert signals.forced.is_set()
    assert not signals.was_asked
