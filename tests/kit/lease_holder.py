"""A process that holds a lease until it is lost: `python -m tests.kit.lease_holder ADDRESS STORE NAME OWNER TTL`."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from dapr_bridge import DaprSaver


async def main(address: str, store: str, name: str, owner: str, seconds: str) -> None:
    """Say when the lease is held, and when it is lost."""
    with DaprSaver(store, address=address) as saver:
        async with saver.leases.hold(name, owner=owner, ttl=timedelta(seconds=float(seconds))) as lease:
            sys.stdout.write(f"held with token {lease.token}\n")
            sys.stdout.flush()
            await lease.lost.wait()
            sys.stdout.write(f"lost, is_held={lease.is_held}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
