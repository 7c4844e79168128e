"""What a program does that was started without a sidecar."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from dapr_bridge.testing import Process, free_port
from dapr_bridge.testing.processes import wait_until

_WORKER = """
import asyncio
from dapr_bridge import DaprSaver, GraphWorker

async def main():
    with DaprSaver("execution-state") as saver:
        async with GraphWorker(graphs={}, saver=saver):
            pass

asyncio.run(main())
"""


def test_a_worker_says_that_it_waits_and_ends_with_the_first_interrupt(tmp_path: Path) -> None:
    port = free_port()
    worker = Process([sys.executable, "-c", _WORKER], log=tmp_path / "worker.log", env={"DAPR_GRPC_PORT": str(port)})
    with worker:
        worker.wait_for(lambda: f"answers at 127.0.0.1:{port} yet" in worker.text(), what="its word", seconds=60)
        os.kill(worker.pid, signal.SIGINT)
        wait_until(lambda: not worker.is_running, what="the worker to end", seconds=15)

    assert worker.text().rstrip().endswith("KeyboardInterrupt")
