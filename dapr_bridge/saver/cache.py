"""Bounded memories of a saver: documents that never change, and what it expects to find of those that do."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class DocumentCache:
    """The most recently used documents, up to a number of bytes; for any thread.

    Only checkpoints and channel values go in: both are written once under keys that are never used again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._guard = threading.Lock()
        self._documents: OrderedDict[str, bytes] = OrderedDict()

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is here of `keys`."""
        found: dict[str, bytes] = {}
        with self._guard:
            for key in keys:
                if key in self._documents:
                    self._documents.move_to_end(key)
                    found[key] = self._documents[key]
        return found

    def put(self, key: str, data: bytes) -> None:
        """Keep a document, at the expense of the least recently used ones."""
        if len(data) > self._max_bytes:
            return
        with self._guard:
            self._bytes += len(data) - len(self._documents.pop(key, b""))
            self._documents[key] = data
            while self._bytes > self._max_bytes:
                _, oldest = self._documents.popitem(last=False)
                self._bytes -= len(oldest)

    def discard(self, keys: Iterable[str]) -> None:
        """Forget documents that were deleted."""
        with self._guard:
            for key in keys:
                self._bytes -= len(self._documents.pop(key, b""))


class Expectations(Generic[T]):
    """What a saver expects under some keys, forgotten when taken; for any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._expected: OrderedDict[str, T] = OrderedDict()

    def put(self, key: str, expectation: T) -> None:
        """Expect something, forgetting the oldest expectation when there are too many."""
        with self._guard:
            self._expected[key] = expectation
            if len(self._expected) > self._most:
                self._expected.popitem(last=False)

    def take(self, key: str) -> T | None:
        """Return what is expected, once."""
        with self._guard:
            return self._expected.pop(key, None)

    def look(self, key: str) -> T | None:
        """Return what is expected, and expect it further."""
        with self._guard:
            return self._expected.get(key)
