"""Documents as key-value pairs of Dapr's API: a large one is cut into parts, behind a manifest that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from dapr.proto import common_v1

from dapr_bridge.saver.keys import part_key

PART_BYTES = 1 << 20
"""Size of one part of a large document; several fit into one answer."""

MESSAGE_BYTES = 3 << 20
"""What one request carries at most, leaving room for keys and framing under Dapr's 4 MiB."""

WHOLE = b"\x00"
"""What the stored bytes of a document in one piece begin with."""

_PARTS = b"\x01"
_FIRST_WRITE = common_v1.StateOptions(concurrency=common_v1.StateOptions.CONCURRENCY_FIRST_WRITE)


@dataclass(frozen=True, slots=True)
class Pair:
    """One key-value pair to write, or to delete when `data` is None."""

    key: str
    data: bytes | None
    guard: str | None = None

    @property
    def operation(self) -> str:
        """Dapr's name for what is done."""
        return "delete" if self.data is None else "upsert"

    @property
    def size(self) -> int:
        """Bytes that it takes in a request."""
        return len(self.key) + len(self.data or b"")

    def to_proto(self) -> common_v1.StateItem:
        """Return Dapr's message."""
        etag = common_v1.Etag(value=self.guard) if self.guard else None
        options = None if self.guard is None else _FIRST_WRITE
        return common_v1.StateItem(key=self.key, value=self.data or b"", etag=etag, options=options)


def cut(key: str, data: bytes | None, guard: str | None) -> list[Pair]:
    """Return the pairs of one document: itself, after its parts when it is large."""
    if data is None or len(data) < PART_BYTES:
        return [Pair(key, None if data is None else WHOLE + data, guard)]
    pieces = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
    manifest = _PARTS + f"{_digest(data, guard)}:{len(pieces)}".encode()
    parts = [Pair(name, piece) for name, piece in zip(part_keys(key, manifest), pieces, strict=True)]
    return [*parts, Pair(key, manifest, guard)]


def part_keys(key: str, stored: bytes) -> list[str]:
    """Return the keys of the parts of a document as it is stored: none when it is in one piece."""
    if stored[:1] != _PARTS:
        return []
    digest, count = stored[1:].decode().split(":")
    return [part_key(key, digest, number) for number in range(int(count))]


def batches(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Group pairs, in order, into requests that fit into one message; the last takes as many as it can."""
    groups: list[list[Pair]] = []
    size = 0
    for pair in reversed(pairs):
        size += pair.size
        if size > MESSAGE_BYTES or not groups:
            groups.append([])
            size = pair.size
        groups[-1].append(pair)
    return [group[::-1] for group in reversed(groups)]


def _digest(data: bytes, guard: str | None) -> str:
    """Name what is cut by what it is and what it replaces: a document that comes back later has parts of its own."""
    digest = hashlib.sha256((guard or "").encode())
    digest.update(data)
    return digest.hexdigest()[:32]
