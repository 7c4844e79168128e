"""A sidecar with a SQLite, a Redis and a PostgreSQL store, for the saver's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.postgres import find_binaries, postgres
from tests.kit.stores import (
    POSTGRES,
    REDIS,
    SQLITE,
    redis_server,
    redis_server_is_installed,
    write_postgres_store,
    write_redis_store,
    write_sqlite_store,
)


@pytest.fixture(scope="package")
def stores_sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with the state stores of `ALL_STORES`."""
    binaries = find_binaries()
    if not redis_server_is_installed() or binaries is None:
        pytest.fail("redis-server or postgres is missing: apt-get install redis-server postgresql")
    folder = tmp_path_factory.mktemp("stores")
    with redis_server(folder) as redis_port, postgres(binaries) as postgres_url:
        resources = folder / "resources"
        write_sqlite_store(resources, SQLITE, folder / "state.db")
        write_redis_store(resources, REDIS, redis_port)
        write_postgres_store(resources, POSTGRES, postgres_url)
        with Sidecar("saver-tests", control_plane=control_plane, resources=resources, folder=folder) as daprd:
            yield daprd
