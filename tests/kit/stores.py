"""State stores that tests start themselves: SQLite files, a Redis server, a PostgreSQL server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dapr_bridge.testing import Process, free_port

_COMPONENT = """apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: {name}
spec:
  type: {kind}
  version: {version}
  metadata:
{metadata}
"""


SQLITE, REDIS, POSTGRES = "sqlite-state", "redis-state", "postgres-state"
"""Names of the state stores on which the saver is tested."""

ALL_STORES = (SQLITE, REDIS, POSTGRES)


def write_component(folder: Path, name: str, kind: str, *, version: str = "v1", **metadata: str) -> None:
    """Write one component file."""
    rows = "\n".join(f'  - {{name: {key}, value: "{value}"}}' for key, value in metadata.items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(_COMPONENT.format(name=name, kind=kind, version=version, metadata=rows))


def write_sqlite_store(folder: Path, name: str, database: Path, *, actors: bool = False) -> None:
    """Write a state store over a SQLite file of its own."""
    write_component(
        folder, name, "state.sqlite", connectionString=f"file:{database}", actorStateStore=str(actors).lower()
    )


def redis_server_is_installed() -> bool:
    """Whether this machine has redis-server."""
    return shutil.which("redis-server") is not None


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Run a Redis server that keeps nothing; yields its port."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = Process(command, log=folder / "redis.log")
    with process:
        process.wait_for(lambda: "Ready to accept connections" in process.text(), what="Redis to be ready")
        yield port


def write_redis_store(folder: Path, name: str, port: int, *, actors: bool = False) -> None:
    """Write a state store over a Redis server on loopback."""
    write_component(folder, name, "state.redis", redisHost=f"127.0.0.1:{port}", actorStateStore=str(actors).lower())


def write_postgres_store(folder: Path, name: str, url: str, *, actors: bool = False) -> None:
    """Write a state store over a PostgreSQL database."""
    write_component(
        folder, name, "state.postgresql", version="v2", connectionString=url, actorStateStore=str(actors).lower()
    )
