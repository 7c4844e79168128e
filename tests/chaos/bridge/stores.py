"""The state stores that are killed: servers that come back from their disk; SQLite dies with its sidecar."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

from dapr_bridge.testing import Process, free_port, wait_until
from tests.kit.postgres import as_owner, find_binaries
from tests.kit.stores import write_postgres_store, write_redis_store, write_sqlite_store


class Store(Protocol):
    """A state store that can be killed.

    Attributes:
        process: its server; None when it has none.
        port: where that listens.
    """

    process: Process | None
    port: int | None

    def start(self) -> object:
        """Start it and wait until it answers; also after a kill."""

    def stop(self) -> None:
        """Stop it."""

    def write_component(self, resources: Path, name: str, port: int) -> None:
        """Write the component by which a sidecar finds it, at some port."""


class SqliteStore:
    """A file."""

    process = port = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "state.db"

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def write_component(self, resources: Path, name: str, port: int) -> None:
        """Write the component."""
        write_sqlite_store(resources, name, self._file, actors=True)


class RedisStore:
    """A Redis server that answers a write only when it is on disk: with less, a kill loses what was answered."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
        self.process = Process(command, log=folder / "redis.log")

    def start(self) -> None:
        """Start it and wait until it answers."""
        ready = ["redis-cli", "-p", str(self.port), "ping"]
        self.process.start().wait_for(lambda: _says(ready, "PONG"), what="Redis to answer")

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()

    def write_component(self, resources: Path, name: str, port: int) -> None:
        """Write the component."""
        write_redis_store(resources, name, port, actors=True)


class PostgresStore:
    """A Postgres server."""

    def __init__(self, folder: Path) -> None:
        binaries = find_binaries()
        assert binaries is not None, "postgres is missing: apt-get install postgresql"
        self._binaries, self.port = binaries, free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-postgres-"))
        data = str(self._folder / "data")
        command = [str(binaries / "postgres"), "-D", data, "-p", str(self.port), "-k", str(self._folder)]
        self.process = Process(as_owner([*command, "-h", "127.0.0.1"]), log=folder / "postgres.log", cwd=self._folder)
        self._data = data

    def start(self) -> None:
        """Start it and wait until it answers; after a kill the last of the old server's own processes goes first."""
        if not Path(self._data).exists():
            self._create()
        ready = [str(self._binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]

        def is_up() -> bool:
            if not self.process.is_running:
                self.process.start()
            return subprocess.run(ready, capture_output=True, check=False).returncode == 0

        wait_until(is_up, what="Postgres", pause=0.1)

    def stop(self) -> None:
        """Stop it, and leave nothing behind."""
        self.process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write_component(self, resources: Path, name: str, port: int) -> None:
        """Write the component."""
        write_postgres_store(resources, name, f"postgresql://desk@127.0.0.1:{port}/postgres", actors=True)

    def _create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        initdb = [str(self._binaries / "initdb"), "-D", self._data, "-A", "trust", "-U", "desk", "--no-sync"]
        subprocess.run(as_owner(initdb), check=True, capture_output=True, cwd=self._folder)


STORES = {"sqlite": SqliteStore, "redis": RedisStore, "postgres": PostgresStore}


def _says(command: list[str], word: str) -> bool:
    return word in subprocess.run(command, capture_output=True, check=False, text=True).stdout
