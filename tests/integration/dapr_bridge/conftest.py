"""A sidecar with a SQLite store and a Redis store, for the saver's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.stores import redis_server, redis_server_is_installed, write_redis_store, write_sqlite_store


@pytest.fixture(scope="package")
def stores_sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with the state stores `sqlite-state` and `redis-state`."""
    if not redis_server_is_installed():
        pytest.fail("redis-server is missing: apt-get install redis-server")
    folder = tmp_path_factory.mktemp("stores")
    with redis_server(folder) as port:
        write_sqlite_store(folder / "resources", "sqlite-state", folder / "state.db")
        write_redis_store(folder / "resources", "redis-state", port)
        with Sidecar(
            "saver-tests", control_plane=control_plane, resources=folder / "resources", folder=folder
        ) as daprd:
            yield daprd
