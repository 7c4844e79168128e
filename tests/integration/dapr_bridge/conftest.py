"""A sidecar with a SQLite, a Redis and a PostgreSQL store, for the saver's tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dapr_bridge import DaprSaver
from dapr_bridge.testing import ControlPlane, Sidecar, free_port
from tests.kit.postgres import find_binaries, postgres
from tests.kit.sidecar_calls import CallCounter
from tests.kit.stores import (
    ALL_STORES,
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
def stores_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of the stores are."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="package")
def metrics_port() -> int:
    """Where the sidecar of the stores tells what it has done."""
    return free_port()


@pytest.fixture(scope="package")
def stores_sidecar(control_plane: ControlPlane, stores_folder: Path, metrics_port: int) -> Iterator[Sidecar]:
    """A sidecar with the state stores of `ALL_STORES`."""
    binaries = find_binaries()
    if not redis_server_is_installed() or binaries is None:
        pytest.fail("redis-server or postgres is missing: apt-get install redis-server postgresql")
    with redis_server(stores_folder) as redis_port, postgres(binaries) as postgres_url:
        resources = stores_folder / "resources"
        write_sqlite_store(resources, SQLITE, stores_folder / "state.db")
        write_redis_store(resources, REDIS, redis_port)
        write_postgres_store(resources, POSTGRES, postgres_url)
        with Sidecar(
            "saver-tests",
            control_plane=control_plane,
            resources=resources,
            folder=stores_folder,
            flags=[f"--metrics-port={metrics_port}"],
        ) as daprd:
            yield daprd


@pytest.fixture(params=ALL_STORES)
def saver(request: pytest.FixtureRequest, stores_sidecar: Sidecar) -> Iterator[DaprSaver]:
    """A saver on each of the stores in turn."""
    with DaprSaver(request.param, address=stores_sidecar.address) as opened:
        yield opened


@pytest.fixture
def sqlite_saver(stores_sidecar: Sidecar) -> Iterator[DaprSaver]:
    """A saver on the SQLite store."""
    with DaprSaver(SQLITE, address=stores_sidecar.address) as opened:
        yield opened


@pytest.fixture
def count_calls(stores_sidecar: Sidecar, metrics_port: int) -> Callable[[], CallCounter]:
    """Return a maker of counters of the calls that the sidecar answers."""
    assert stores_sidecar.is_healthy()
    return lambda: CallCounter(metrics_port)


@pytest.fixture
def sqlite_keys(stores_sidecar: Sidecar, stores_folder: Path) -> Callable[[str], set[str]]:
    """Return the keys of the SQLite store that have a part (such as a thread's id), read past Dapr."""

    def keys_with(part: str) -> set[str]:
        with closing(sqlite3.connect(stores_folder / "state.db")) as database:
            rows = database.execute("SELECT key FROM state").fetchall()
        keys = {key.removeprefix(f"{stores_sidecar.app_id}||") for (key,) in rows}
        return {key for key in keys if part in key.split("/")}

    return keys_with
