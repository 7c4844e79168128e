"""Reads whose connection to the store is cut off: what is stored is never taken for absent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint

from dapr_bridge import DaprSaver
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.postgres import find_binaries, postgres
from tests.kit.stores import POSTGRES, REDIS, redis_server, write_postgres_store, write_redis_store
from tests.kit.tcp_gate import CuttingGate, cutting_gate


@dataclass(frozen=True, kw_only=True)
class GatedStore:
    """A state store behind a gate."""

    name: str
    address: str
    gate: CuttingGate


@pytest.fixture(scope="module", params=[REDIS, POSTGRES])
def gated(
    request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatedStore]:
    """A sidecar whose state store stands behind a gate."""
    folder: Path = tmp_path_factory.mktemp("gated")
    if request.param == REDIS:
        with redis_server(folder) as port, cutting_gate(port) as gate:
            write_redis_store(folder / "resources", REDIS, gate.port)
            yield from _served(REDIS, folder, control_plane, gate)
        return
    binaries = find_binaries()
    assert binaries is not None, "postgres is missing: apt-get install postgresql"
    with postgres(binaries) as url, cutting_gate(urlsplit(url).port or 0) as gate:
        gated_url = url.replace(f":{urlsplit(url).port}/", f":{gate.port}/")
        write_postgres_store(folder / "resources", POSTGRES, gated_url)
        yield from _served(POSTGRES, folder, control_plane, gate)


def _served(name: str, folder: Path, control_plane: ControlPlane, gate: CuttingGate) -> Iterator[GatedStore]:
    resources = folder / "resources"
    with Sidecar("gated", control_plane=control_plane, resources=resources, folder=folder, anchored=False) as daprd:
        yield GatedStore(name=name, address=daprd.address, gate=gate)


def on(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


def test_a_checkpoint_is_found_although_the_connection_is_cut_while_it_is_read(gated: GatedStore) -> None:
    with DaprSaver(gated.name, address=gated.address) as writer:
        saved = writer.put(on("cut"), empty_checkpoint(), {}, {})
    # Nothing in its memory: it has to ask the store.
    with DaprSaver(gated.name, address=gated.address) as reader:
        gated.gate.cut_at(b"lg/H/cut")
        found = reader.get_tuple(on("cut"))

    assert gated.gate.cuts == 1
    assert found is not None
    assert found.config == saved
