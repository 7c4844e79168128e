"""How the workers of tests serve."""

from __future__ import annotations

import asyncio
import signal
import sys

from dapr_bridge import GraphWorker


async def serve_until_stopped(worker: GraphWorker) -> None:
    """Serve until SIGTERM, saying so when the worker is connected."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with worker:
        sys.stdout.write("worker is ready\n")
        sys.stdout.flush()
        await stopping.wait()
