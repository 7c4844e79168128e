"""Leases: at most one holder of a name at a time, in any number of processes, by documents that holders keep changing.

No two machines' clocks are compared. Whoever waits looks at the document, and takes over when by the waiter's own clock
it has not changed for the holder's time to live. The holder counts by its own clock, from before it sent the last
renewal, so it is the first to know that its lease is over. A holder that cannot know, because it stands still, is
recognised by its token: each lease of a name has a higher one than the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Self
from uuid import uuid4

from dapr_bridge.errors import LeaseHeldError, StateStoreError
from dapr_bridge.saver.effects import Pause, Steps, arun
from dapr_bridge.saver.keys import lease_key
from dapr_bridge.saver.store import ABSENT, Document, StateStore, Write

logger = logging.getLogger(__name__)

_RENEWALS = 3
"""How often a holder renews within its time to live: two may be lost."""

_LOOKS = 20
_SHORTEST_LOOK, _LONGEST_LOOK = 0.01, 0.5
"""Seconds between two looks at a lease that another holds; as many fit into its time to live as `_LOOKS` says."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A lease as it was given.

    Attributes:
        name: what is leased.
        owner: who holds it, for people to read.
        token: higher than that of every earlier lease of the name: whoever is told it can refuse a stale holder.
        ttl: how long it lasts without renewal.
        key: tells this lease from another of the same owner.
        before: what the holder before has noted, if that one has not given it back.
    """

    name: str
    owner: str
    token: int
    ttl: timedelta
    key: str
    before: str = ""


@dataclass(frozen=True, kw_only=True)
class _Record:
    """What the document of a lease says; `key` is empty when nobody holds it."""

    owner: str = ""
    token: int = 0
    seconds: float = 0.0
    key: str = ""
    beat: int = 0
    note: str = ""

    @classmethod
    def from_document(cls, document: Document | None) -> Self:
        return cls(**json.loads(document.data)) if document else cls()

    def to_bytes(self) -> bytes:
        said = asdict(self)
        if not self.note:
            del said["note"]
        return json.dumps(said).encode()


class Lease:
    """A lease that is renewed in the background.

    Attributes:
        grant: the lease as it was given.
        lost: is set once somebody else holds it, or it could not be renewed in time.
    """

    def __init__(self, grant: Grant, *, valid_until: float) -> None:
        self.grant = grant
        self.lost = asyncio.Event()
        self._valid_until = valid_until

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.grant.token

    @property
    def is_held(self) -> bool:
        """Whether nobody else can hold it now."""
        return not self.lost.is_set() and time.monotonic() < self._valid_until

    async def keep(self, leases: Leases) -> None:
        """Renew the lease until it is lost."""
        while not self.lost.is_set():
            await asyncio.sleep(self.grant.ttl.total_seconds() / _RENEWALS)
            sent_at = time.monotonic()
            is_renewed = await self._try_to_renew(leases)
            if is_renewed:
                self._valid_until = sent_at + self.grant.ttl.total_seconds()
            elif is_renewed is False or time.monotonic() >= self._valid_until:
                logger.warning("lease %r was lost by %r", self.grant.name, self.grant.owner)
                self.lost.set()

    async def _try_to_renew(self, leases: Leases) -> bool | None:
        """Renew once; None when the store does not say in time whether it worked."""
        seconds = max(self._valid_until - time.monotonic(), self.grant.ttl.total_seconds() / _RENEWALS)
        with contextlib.suppress(TimeoutError, StateStoreError):
            async with asyncio.timeout(seconds):
                return await leases.renew(self.grant)
        return None


class Leases:
    """The leases in one state store.

    Attributes:
        store: where they are.
    """

    def __init__(self, store: StateStore) -> None:
        self.store = store

    @asynccontextmanager
    async def hold(
        self,
        name: str,
        *,
        owner: str,
        ttl: timedelta,
        wait: timedelta | None = None,
        is_last: bool = False,
        note: str = "",
    ) -> AsyncGenerator[Lease]:
        """Hold a lease for the length of a block, renewing it; give it back at the end.

        Args:
            name: what is leased, such as a thread or a task.
            owner: who holds it, for people to read.
            ttl: how long others wait after the last sign of life. Renewed three times in that time.
            wait: for how long to wait for another holder; as long as it takes when not given.
            is_last: whether nobody will ask for it again once the block is done: what is stored of it is deleted, and
                its tokens begin anew. A block that raises gives it back.
            note: what the next holder is told if this one does not give it back.

        Raises:
            LeaseHeldError: another holder did not let go in that time.
        """
        grant, sent_at = await arun(self._acquire(name, owner, ttl, wait, note))
        lease = Lease(grant, valid_until=sent_at + ttl.total_seconds())
        keeper = asyncio.create_task(lease.keep(self))
        is_over = False
        try:
            yield lease
            is_over = is_last
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            # After its time to live it needs no giving back.
            with contextlib.suppress(TimeoutError, StateStoreError):
                async with asyncio.timeout(ttl.total_seconds()):
                    await (self._delete_held(grant) if is_over else self.release(grant))

    async def acquire(
        self, name: str, *, owner: str, ttl: timedelta, wait: timedelta | None = None, note: str = ""
    ) -> Grant:
        """Take a lease that the caller renews and gives back itself; else as `hold`."""
        grant, _ = await arun(self._acquire(name, owner, ttl, wait, note))
        return grant

    async def renew(self, grant: Grant) -> bool:
        """Give a sign of life; returns whether the lease is still the holder's."""
        return await arun(self._change(grant, lambda record: replace(record, beat=record.beat + 1)))

    async def release(self, grant: Grant) -> None:
        """Give a lease back, so that nobody waits for its end; one that is lost stays with whoever has it."""
        await arun(self._change(grant, lambda record: _Record(token=record.token)))

    async def _delete_held(self, grant: Grant) -> None:
        await arun(self._change(grant, lambda _: None))

    async def delete(self, names: Iterable[str]) -> None:
        """Delete what is stored of leases that nobody will ask for again; their tokens begin anew."""
        await arun(self.store.delete([lease_key(name) for name in names]))

    def _acquire(
        self, name: str, owner: str, ttl: timedelta, wait: timedelta | None, note: str
    ) -> Steps[tuple[Grant, float]]:
        watch = _Watch()
        give_up_at = None if wait is None else time.monotonic() + wait.total_seconds()
        while True:
            found = yield from self.store.read([lease_key(name)])
            document = found.get(lease_key(name))
            record = _Record.from_document(document)
            if not record.key or watch.sees_no_life(document, record.seconds):
                grant = Grant(
                    name=name, owner=owner, token=record.token + 1, ttl=ttl, key=uuid4().hex, before=record.note
                )
                sent_at = time.monotonic()
                if (yield from self._take(grant, document, note)):
                    return grant, sent_at
                continue
            now = time.monotonic()
            if give_up_at is not None and now >= give_up_at:
                raise LeaseHeldError(f"lease {name!r} is held by {record.owner!r}, who did not let go in {wait}")
            pause = min(max(record.seconds / _LOOKS, _SHORTEST_LOOK), _LONGEST_LOOK)
            yield Pause(pause if give_up_at is None else min(pause, give_up_at - now))

    def _take(self, grant: Grant, document: Document | None, note: str) -> Steps[bool]:
        seconds = grant.ttl.total_seconds()
        record = _Record(owner=grant.owner, token=grant.token, seconds=seconds, key=grant.key, note=note)
        guard = document.etag if document else ABSENT
        if (yield from self.store.write([Write(lease_key(grant.name), record.to_bytes(), guard)])):
            return True
        # An answer may have been lost, and the write been asked for again.
        found = yield from self.store.read([lease_key(grant.name)])
        return _Record.from_document(found.get(lease_key(grant.name))).key == grant.key

    def _change(self, grant: Grant, change: Callable[[_Record], _Record | None]) -> Steps[bool]:
        """Change the document of a lease, or delete it, if the holder still has it; returns whether it has."""
        key, is_held = lease_key(grant.name), False

        def decide(found: Mapping[str, Document]) -> list[Write]:
            nonlocal is_held
            record = _Record.from_document(found.get(key))
            is_held = record.key == grant.key
            if not is_held:
                return []
            changed = change(record)
            return [Write(key, changed.to_bytes() if changed else None, found[key].etag)]

        yield from self.store.update([key], decide)
        return is_held


class _Watch:
    """Looks at a lease's document, and at one's own clock."""

    def __init__(self) -> None:
        self._seen: bytes | None = None
        self._since = 0.0

    def sees_no_life(self, document: Document | None, seconds: float) -> bool:
        """Whether the document has not changed for so long; to be asked as soon as it was read."""
        data, now = document.data if document else None, time.monotonic()
        if data != self._seen:
            self._seen, self._since = data, now
        return now - self._since >= seconds
