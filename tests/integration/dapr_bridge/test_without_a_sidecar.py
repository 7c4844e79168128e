"""What a program does that was started without a sidecar."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from dapr_bridge import CallRefusedError, DaprSaver, DurableGraph, Patience, StateStoreUnavailableError
from dapr_bridge.testing import Process, free_port, wait_until

# Whoever runs the tests in the background may have them ignore SIGINT, and a child inherits that.
_WORKER = """
import asyncio
import signal
from dapr_bridge import CallRefusedError, DaprSaver, GraphWorker

async def main():
    with DaprSaver("execution-state") as saver:
        async with GraphWorker(graphs={}, saver=saver):
            pass

signal.signal(signal.SIGINT, signal.default_int_handler)
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


@pytest.mark.anyio
@pytest.mark.parametrize("run_id", [None, "named"])
async def test_a_call_waits_as_long_as_the_patience_of_its_saver(run_id: str | None) -> None:
    address, patience = f"127.0.0.1:{free_port()}", Patience(away=timedelta(seconds=2))
    with DaprSaver("execution-state", address=address, patience=patience) as saver:
        async with DurableGraph("shout", saver=saver, address=address) as shout:
            called_at = time.monotonic()
            with pytest.raises(StateStoreUnavailableError, match=r"did not answer in 0:00:02: .* Is daprd running\?"):
                await shout.ainvoke({"question": "why?"}, run_id=run_id)

    assert 2 < time.monotonic() - called_at < 3.9


@pytest.mark.anyio
async def test_a_stream_without_a_sidecar_says_that_it_is_away_and_begins_when_it_is_back() -> None:
    port, patience = free_port(), Patience(away=timedelta(seconds=1))
    address = f"127.0.0.1:{port}"
    with DaprSaver("execution-state", address=address, patience=patience) as saver:
        async with DurableGraph("shout", saver=saver, address=address) as shout:
            with pytest.raises(StateStoreUnavailableError, match=r"did not answer in 0:00:01: .* Is daprd running\?"):
                await anext(shout.astream({"question": "why?"}))
            with (
                sidecar_without_components(port),
                pytest.raises(CallRefusedError, match=r"'message-pubsub': .*no such"),
            ):
                await anext(shout.astream({"question": "why?"}))


@contextmanager
def sidecar_without_components(port: int) -> Generator[None]:
    """Answer every call with a refusal, as a sidecar does that lacks a component."""

    def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such component")

    class Refusing(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.stream_stream_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Refusing()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(grace=None).wait()
