"""A Dapr state store as the saver needs it: bulk reads, guarded writes, documents of any size, patience.

Measured on Dapr 1.18: one gRPC message holds at most 4 MiB either way; a transaction keeps its order but is atomic on
SQLite and Postgres only; "must not exist" is kept by a plain save on all stores, and in a transaction not on Redis; the
error of a failed guard differs by store. So larger documents are cut into parts, creations are plain saves, and after a
failed guarded write the caller reads back and decides. Parts are written before the document that names them, and
removed after another has replaced it: who misses some reads that one.

A bulk read whose connection breaks on the way is answered on Postgres as if nothing were stored, without an error: its
rows end early, and nobody asks why. So each read asks for a witness too, which is always there: where it is missing,
nothing was read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self

import grpc
from dapr.proto import api_v1

from dapr_bridge.errors import BridgeError, StateStoreError, StateStoreNotFoundError
from dapr_bridge.saver.effects import Awaited, Steps
from dapr_bridge.saver.keys import witness_key
from dapr_bridge.saver.parts import MESSAGE_BYTES, WHOLE, Pair, batches, cut, part_keys
from dapr_bridge.saver.sidecar import Holder, Patience, SidecarCalls, Tries, describe, status_of, tells_of_no_store

logger = logging.getLogger(__name__)

_ONE_PIECE = 4 << 10
"""An answer of so many bytes reaches Dapr as a whole or not at all: Postgres sends off 8 kB at a time."""

_BULK_PARALLELISM = 10
_KEYS_AT_ONCE = 500
# Tested on these: all of a transaction is written or nothing, and "must not exist" is kept in it. Not so on Redis.
_WHOLE_TRANSACTIONS = frozenset({"state.sqlite", "state.postgresql"})
ABSENT = ""
"""The guard of a write that must create its key."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it was read: its bytes, the ETag that guards the next write, and where its parts are."""

    data: bytes
    etag: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """One document to write, or to delete when `data` is None.

    Attributes:
        key: where.
        data: the bytes, of any size.
        guard: the ETag that the key must still have, `ABSENT` when it must not exist, None to write over anything.
    """

    key: str
    data: bytes | None
    guard: str | None = None

    def cut(self) -> list[Pair]:
        """Return its key-value pairs, itself last."""
        return cut(self.key, self.data, self.guard)

    @property
    def parts(self) -> list[str]:
        """The keys of its parts, if it is large."""
        return [pair.key for pair in self.cut()[:-1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAhead:
    """A document that was sent for, or was found: the one, or that there is none."""

    call: Awaited | None = None
    found: Mapping[str, Document] = field(default_factory=dict[str, Document])


@dataclass
class StateStore:
    """One Dapr state store over one sidecar.

    All methods but `close` are steps (see `effects`). The gRPC channel is thread-safe and belongs to no event loop.
    """

    name: str
    address: str | None = None
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        self._calls = SidecarCalls(self.address, self.patience)
        self._stub = self._calls.stub
        self._holder: Holder | None = None
        # Shared with the views of this store.
        self._is_whole: list[bool] = []

    def on_behalf_of(self, holder: Holder) -> Self:
        """Return a view over the same connection that writes for as long as its holder may."""
        view = copy(self)
        view._holder = holder
        return view

    def close(self) -> None:
        """Close the connection to the sidecar."""
        self._calls.close()

    def read(self, keys: Sequence[str]) -> Steps[dict[str, Document]]:
        """Read documents; a key that holds nothing is missing from the answer."""
        documents: dict[str, Document] = {}
        for key, stored in (yield from self._read_raw(keys)).items():
            document = yield from self._join(key, stored)
            if document is not None:
                documents[key] = document
        return documents

    def write(self, writes: Sequence[Write]) -> Steps[bool]:
        """Write documents in this order, as few requests as the store's rules allow.

        Returns:
            Whether all were written. False: a guard may have failed; the documents before it may have been written.
        """
        for creates, run in groupby(writes, key=lambda write: write.guard == ABSENT):
            send = self._create if creates else self._commit
            if not (yield from send(list(run))):
                return False
        return True

    def write_at_once(self, writes: Sequence[Write]) -> Steps[bool]:
        """Write documents in one transaction, with creations among the rest; for stores that `has_whole_transactions`.

        Returns:
            Whether they were written. False: none was; a guard may have failed, or they are too large for one message.
        """
        return _fit_one_message(writes) and (yield from self._commit(writes))

    def has_whole_transactions(self) -> Steps[bool]:
        """Tell whether the store is known to write all of a transaction or nothing; it is asked for once."""
        if not self._is_whole:
            try:
                answer = yield from self._calls.call(self._stub.GetMetadata, api_v1.GetMetadataRequest())
            except grpc.RpcError as error:
                raise _refused(self.name, "to say what it is", error) from error
            kinds = {each.name: each.type for each in answer.registered_components}
            self._is_whole[:] = [kinds.get(self.name) in _WHOLE_TRANSACTIONS]
        return self._is_whole[0]

    def start_read(self, key: str) -> ReadAhead:
        """Send for one document without waiting; `finish_read` takes the answer."""
        return ReadAhead(call=self._calls.start(self._stub.GetBulkState, self._bulk_request([key])))

    def finish_read(self, key: str, ahead: ReadAhead) -> Steps[Mapping[str, Document]]:
        """Take the answer of `start_read`, asking again when there is none to be had from it."""
        call = ahead.call
        if call is None:
            return ahead.found
        yield call
        if call.exception() is None:
            found = _found(call.result().items)
            if key in found and not part_keys(key, found[key].data):
                return {key: Document(found[key].data[1:], found[key].etag)}
            if key not in found and witness_key() in found:
                return {}
        return (yield from self.read([key]))

    def update(
        self,
        keys: Sequence[str],
        decide: Callable[[Mapping[str, Document]], Sequence[Write]],
        *,
        expected: Mapping[str, Document] | None = None,
        at_once: bool = False,
    ) -> Steps[None]:
        """Read documents, decide what to write, write it; again when somebody else wrote in between.

        Parts of what was replaced are removed when it is.

        Args:
            keys: what `decide` looks at.
            decide: returns the writes, guarded by the ETags it was shown; nothing when there is nothing to do.
            expected: what the caller believes is stored: decided on at first, in place of a read.
            at_once: whether to write in one transaction what fits into one, where the store can be relied on for that.

        Raises:
            StateStoreError: the store refuses although the guards hold.
        """
        write = (yield from self._writer()) if at_once else self.write
        leftovers = _Leftovers()
        if expected is not None:
            writes = decide(expected)
            if (yield from write(writes)):
                yield from self._remove(leftovers.of(expected, writes))
                return
            leftovers.refused(expected, writes)
        tries, seen = Tries(self.patience.trouble), None
        while True:
            found = yield from self.read(keys)
            writes = decide(found)
            if found == seen and writes:
                # Nobody came between, so it was no guard that failed: the store is in trouble.
                pause = tries.pause()
                if pause is None:
                    raise StateStoreError(f"state store {self.name!r} does not take {writes[-1].key!r}, see its log")
                yield pause
            if (yield from write(writes)):
                yield from self._remove(leftovers.of(found, writes))
                return
            leftovers.refused(found, writes)
            seen = found

    def _writer(self) -> Steps[Callable[[Sequence[Write]], Steps[bool]]]:
        """Return what writes in one transaction if it can."""
        is_whole = yield from self.has_whole_transactions()
        return lambda writes: (self._commit if is_whole and _fit_one_message(writes) else self.write)(writes)

    def delete(self, keys: Iterable[str]) -> Steps[None]:
        """Delete documents with their parts; a key that holds nothing is no error."""
        ordered = list(dict.fromkeys(keys))
        for start in range(0, len(ordered), _KEYS_AT_ONCE):
            some = ordered[start : start + _KEYS_AT_ONCE]
            found = yield from self._read_raw(some)
            parts = [part for key, stored in found.items() for part in part_keys(key, stored.data)]
            # A document goes before its parts: what is left by a crash is unreferenced.
            yield from self._remove([*some, *parts])

    def _remove(self, keys: Iterable[str]) -> Steps[None]:
        yield from self._commit([Write(key, None) for key in keys])

    def _commit(self, writes: Sequence[Write]) -> Steps[bool]:
        cuts = [write.cut() for write in writes]
        # All parts go first: without them the documents fit into one request, which most stores take as a whole.
        parts = [pair for pairs in cuts for pair in pairs[:-1]]
        return (yield from self._send([*parts, *(pairs[-1] for pairs in cuts)]))

    def _send(self, pairs: Sequence[Pair]) -> Steps[bool]:
        for batch in batches(pairs):
            operations = [
                api_v1.TransactionalStateOperation(operationType=pair.operation, request=pair.to_proto())
                for pair in batch
            ]
            request = api_v1.ExecuteStateTransactionRequest(storeName=self.name, operations=operations)
            guarded = any(pair.guard is not None for pair in batch)
            if not (yield from self._attempt(self._stub.ExecuteStateTransaction, request, guarded=guarded)):
                return False
        return True

    def _create(self, writes: Sequence[Write]) -> Steps[bool]:
        # One by one: that keeps their order, and SQLite takes longer for several in one request.
        for write in writes:
            *parts, own = write.cut()
            yield from self._send(parts)
            request = api_v1.SaveStateRequest(store_name=self.name, states=[own.to_proto()])
            if not (yield from self._attempt(self._stub.SaveState, request, guarded=True)):
                return False
        return True

    def _read_raw(self, keys: Sequence[str]) -> Steps[dict[str, Document]]:
        found = yield from self._ask_for(keys)
        absent = [key for key in keys if key not in found]
        if absent and sum(len(document.data) for document in found.values()) > _ONE_PIECE:
            # The connection may have broken after the first rows.
            found |= yield from self._ask_for(absent)
        return found

    def _ask_for(self, keys: Sequence[str]) -> Steps[dict[str, Document]]:
        tries = Tries(self.patience.trouble)
        while keys:
            items = yield from self._bulk_items(keys)
            if items is None:
                # The answer would pass 4 MiB.
                half = len(keys) // 2
                return {**(yield from self._ask_for(keys[:half])), **(yield from self._ask_for(keys[half:]))}
            found = _found(items)
            failed = next((item for item in items if item.error), None)
            # Whatever is missing beside the witness is missing in truth.
            if failed is None and (witness_key() in found or found.keys() >= set(keys)):
                return {key: found[key] for key in keys if key in found}
            pause = tries.pause()
            if pause is None:
                what = f"{failed.key!r}: {failed.error}" if failed else f"{keys[0]!r}: it answers, and holds nothing"
                raise StateStoreError(f"state store {self.name!r} could not read {what}")
            if failed is None:
                yield from self._send([Pair(witness_key(), WHOLE)])
            yield pause
        return {}

    def _bulk_items(self, keys: Sequence[str]) -> Steps[Sequence[Any] | None]:
        """Return what the store answers; None when that is too much for one answer."""
        try:
            answer = yield from self._calls.call(self._stub.GetBulkState, self._bulk_request(keys))
        except grpc.RpcError as error:
            if status_of(error) is not grpc.StatusCode.RESOURCE_EXHAUSTED or len(keys) == 1:
                raise _refused(self.name, "a read", error) from error
            return None
        return answer.items

    def _join(self, key: str, stored: Document) -> Steps[Document | None]:
        """Put a document together; when another has replaced it in the meantime, as it is by now."""
        now: Document | None = stored
        while now is not None:
            names = part_keys(key, now.data)
            if not names:
                return Document(now.data[1:], now.etag)
            parts = yield from self._read_raw(names)
            missing = len(names) - len(parts)
            if not missing:
                return Document(b"".join(parts[name].data for name in names), now.etag, tuple(names))
            before, now = now, (yield from self._read_raw([key])).get(key)
            if now == before:
                raise StateStoreError(f"state store {self.name!r} has lost {missing} of {len(names)} parts of {key!r}")
        return None

    def _attempt(self, method: Any, request: Any, *, guarded: bool) -> Steps[bool]:
        try:
            yield from self._calls.call(method, request, guarded=guarded, holder=self._holder)
        except grpc.RpcError as error:
            is_too_large = status_of(error) is grpc.StatusCode.RESOURCE_EXHAUSTED
            if not guarded or is_too_large or tells_of_no_store(error):
                raise _refused(self.name, "a write", error) from error
            logger.debug("guarded write refused by state store %s: %s", self.name, describe(error))
            return False
        return True

    def _bulk_request(self, keys: Sequence[str]) -> api_v1.GetBulkStateRequest:
        asked = [*keys, witness_key()]
        return api_v1.GetBulkStateRequest(store_name=self.name, keys=asked, parallelism=_BULK_PARALLELISM)


@dataclass
class _Leftovers:
    """The parts that an update leaves behind: of what it has replaced, and of what was refused.

    Attributes:
        spare: keys of parts that may be of no use any more, each with the key of its document.
    """

    spare: dict[str, str] = field(default_factory=dict[str, str])

    def replaced(self, found: Mapping[str, Document], writes: Sequence[Write]) -> None:
        """Note what writes replace."""
        sure = (write.key for write in writes if write.guard and write.key in found)
        self.spare |= {part: key for key in sure for part in found[key].parts}

    def refused(self, found: Mapping[str, Document], writes: Sequence[Write]) -> None:
        """Note writes that were not all done; some may have been."""
        self.replaced(found, writes)
        # What has no guard may stand where nobody has looked.
        self.spare |= {part: write.key for write in writes if write.guard is not None for part in write.parts}

    def of(self, found: Mapping[str, Document], writes: Sequence[Write]) -> list[str]:
        """Return the keys of the parts that nothing names, now that writes have replaced what was found."""
        self.replaced(found, writes)
        spare = [part for part, key in self.spare.items() if key in found]
        if not spare:
            return []
        kept = {key: document.parts for key, document in found.items()} | {each.key: each.parts for each in writes}
        named = {part for parts in kept.values() for part in parts}
        return [part for part in spare if part not in named]


def _found(items: Iterable[Any]) -> dict[str, Document]:
    return {item.key: Document(item.data, item.etag) for item in items if item.data}


def _fit_one_message(writes: Sequence[Write]) -> bool:
    """Tell whether one message can carry all; the names of parts are within what it leaves free."""
    return sum(len(write.key) + len(write.data or b"") for write in writes) <= MESSAGE_BYTES


def _refused(store: str, what: str, error: BaseException) -> BridgeError:
    if tells_of_no_store(error):
        return StateStoreNotFoundError(
            f"the sidecar has no state store {store!r}: {describe(error)}. Name one that it has loaded, or give it a "
            "component of that name"
        )
    return StateStoreError(f"state store {store!r} refused {what}: {describe(error)}")
