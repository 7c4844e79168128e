"""The saver that takes the place of `InMemorySaver` in LangGraph's tests."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from dapr_bridge import DaprSaver


class Stores:
    """State stores in turn: a saver in memory is empty when it is made, and so must each of these be.

    Args:
        databases: the SQLite files, by the names of their components.
        address: the sidecar's gRPC address.
    """

    def __init__(self, databases: dict[str, Path], *, address: str) -> None:
        self.address = address
        self._databases = databases
        self._turn: Iterator[str] = itertools.cycle(databases)
        self._used: list[str] = []
        self._open: list[DaprSaver] = []

    def next(self, saver: DaprSaver) -> str:
        """Return the store for a new saver."""
        self._open.append(saver)
        self._used.append(next(self._turn))
        return self._used[-1]

    def clear(self) -> None:
        """Close the savers of a test and empty their stores."""
        for saver in self._open:
            saver.close()
        for name in set(self._used):
            with closing(sqlite3.connect(self._databases[name], timeout=30)) as database, database:
                database.execute("DELETE FROM state")
        self._open.clear()
        self._used.clear()


class RoutedSaver(DaprSaver):
    """A `DaprSaver` that is made like an `InMemorySaver`."""

    stores: Stores

    def __init__(self, *, serde: Any = None, factory: Any = None) -> None:
        # As LangGraph's own default does, it allows every type.
        serde = serde or JsonPlusSerializer(allowed_msgpack_modules=True)
        super().__init__(self.stores.next(self), address=self.stores.address, serde=serde)
        self.stack = ExitStack()
