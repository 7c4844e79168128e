"""What the examples run on: a Dapr, and workers in processes of their own."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dapr_bridge.testing import Process, local_dapr


@contextmanager
def sidecar_address() -> Generator[str]:
    """Yield the gRPC address of the sidecar that `dapr run` has given us, or else of one of our own on free ports."""
    if port := os.environ.get("DAPR_GRPC_PORT"):
        yield f"127.0.0.1:{port}"
        return
    with TemporaryDirectory() as folder, local_dapr(Path(folder)) as sidecar:
        yield sidecar.address


@contextmanager
def worker_process(module: str, address: str) -> Generator[Process]:
    """Run `python -m MODULE ADDRESS` until the block ends; it says `ready` when it takes work."""
    with TemporaryDirectory() as folder:
        worker = Process([sys.executable, "-m", module, address], log=Path(folder, "worker.log"))
        with worker:
            yield worker.wait_for(lambda: "ready" in worker.text(), what="the worker to be ready", seconds=60)
