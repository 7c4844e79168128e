"""At most one worker at a piece of work, where a worker asks for that: by leases in the state store."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from dapr_bridge.errors import BridgeError
from dapr_bridge.saver.lease import Grant, Lease, Leases

T = TypeVar("T")


class LeaseLostError(BridgeError):
    """A worker gave no sign of life for too long, and another may be at its work."""


@dataclass(frozen=True, kw_only=True)
class AloneAtWork:
    """Lets one worker at a time do a piece of work; without a time to live, whoever comes.

    Attributes:
        leases: where workers see each other.
        ttl: how long the others wait after a worker's last sign of life.
    """

    leases: Leases
    ttl: timedelta | None = None

    async def do(
        self, name: str, work: Callable[[], Awaitable[T]], *, told: Callable[[Grant], object] = repr, note: str = ""
    ) -> T:
        """Work when nobody else is at it.

        Args:
            name: what is worked on.
            work: the work.
            told: is handed the lease, before the work begins.
            note: what the next worker is told if this one dies.

        Raises:
            LeaseLostError: this worker gave no sign of life for too long, and another may be at it.
        """
        if self.ttl is None:
            return await work()
        owner = f"{socket.gethostname()}/{os.getpid()}"
        # No other work waits for its token: what it guards is saved.
        async with self.leases.hold(name, owner=owner, ttl=self.ttl, is_last=True, note=note) as lease:
            told(lease.grant)
            return await _while_held(lease, work)

    async def forget(self, name: str) -> None:
        """Delete what a dead worker has left of work that is done."""
        await self.leases.delete([name])


async def _while_held(lease: Lease, work: Callable[[], Awaitable[T]]) -> T:
    working = asyncio.ensure_future(work())
    losing = asyncio.create_task(lease.lost.wait())
    try:
        await asyncio.wait([working, losing], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise LeaseLostError(f"lease {lease.grant.name!r} was lost, and another worker may have it")
    finally:
        losing.cancel()
        working.cancel()
        await asyncio.gather(working, losing, return_exceptions=True)
