"""Bounded memories of a saver: documents that never change, and what it expects to find of those that do."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

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


class Decoded:
    """What the last documents that were read say, decoded once for all who share a read; for any thread.

    What is handed out is not to be changed.
    """

    def __init__(self, most: int) -> None:
        self._guard = threading.Lock()
        self._latest: deque[tuple[bytes, Any]] = deque(maxlen=most)

    def of(self, data: bytes, decode: Callable[[bytes], Any]) -> Any:
        """Return what the very same bytes say, decoding them when they were not seen of late."""
        with self._guard:
            known = next((each for seen, each in self._latest if seen is data), None)
        if known is None:
            known = decode(data)
            with self._guard:
                self._latest.append((data, known))
        return known


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
