"""How the workers of tests serve, and how tests wait until they do."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dapr_bridge import GraphWorker
from dapr_bridge.testing import Process

_READY = "worker is ready"

# On a machine with much else to do, imports alone take long.
_SECONDS_TO_START = 90


async def serve_until_stopped(worker: GraphWorker) -> None:
    """Serve until SIGTERM, saying so when the worker is connected."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with worker:
        sys.stdout.write(f"{_READY}\n")
        sys.stdout.flush()
        await stopping.wait()


def start_serving(*workers: Process) -> None:
    """Start workers side by side, also such as have served before, and wait until they serve."""
    already = {worker: worker.text().count(_READY) for worker in workers}
    for worker in workers:
        worker.start()
    for worker, before in already.items():
        worker.wait_for(
            lambda worker=worker, before=before: worker.text().count(_READY) > before,
            what="the worker to be ready",
            seconds=_SECONDS_TO_START,
        )


@contextmanager
def serving(worker: Process) -> Iterator[Process]:
    """Let a worker serve until the block ends."""
    try:
        start_serving(worker)
        yield worker
    finally:
        worker.stop()
