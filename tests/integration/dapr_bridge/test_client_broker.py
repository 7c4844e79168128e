"""A client and a worker at different sidecars, over a broker that both reach."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dapr_bridge import DaprSaver, DurableGraph
from dapr_bridge.testing import ControlPlane, Process, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.client_worker import build_graphs
from tests.kit.counter import far_end
from tests.kit.serving import serving
from tests.kit.stores import redis_server, redis_server_is_installed, write_component, write_redis_store

pytestmark = pytest.mark.anyio


async def test_events_reach_a_client_at_another_sidecar(control_plane: ControlPlane, tmp_path: Path) -> None:
    if not redis_server_is_installed():
        pytest.fail("redis-server is missing: apt-get install redis-server")
    resources = tmp_path / "resources"
    with redis_server(tmp_path) as port, far_end() as far:
        write_redis_store(resources, "execution-state", port, actors=True)
        write_component(resources, "message-pubsub", "pubsub.redis", redisHost=f"127.0.0.1:{port}")
        # An anchor would have Dapr place workflows at the sidecar without a worker, too.
        near, there = (
            Sidecar("broker", control_plane=control_plane, resources=resources, folder=tmp_path, anchored=anchored)
            for anchored in (False, True)
        )
        with near, there:
            env = {**there.environment(), "FAR_END": far.url}
            worker = Process([sys.executable, "-m", "tests.kit.client_worker"], log=tmp_path / "worker.log", env=env)
            with serving(worker), DaprSaver("execution-state", address=near.address) as saver:
                chain = build_graphs(far.url)["chain"]
                async with DurableGraph(chain, name="chain", saver=saver, address=near.address) as durable:
                    stream = durable.astream({"words": ["in"]}, on_thread("t"), stream_mode=["updates", "custom"])
                    seen = [event async for event in stream]

    names = ["one", "two", "three"]
    assert seen == [
        event
        for name in names
        for event in (
            ("custom", f"{name} begins"),
            ("custom", {"done": name}),
            ("updates", {name: {"words": [name]}}),
        )
    ]
