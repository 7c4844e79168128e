"""Say what is being done and for how long already."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from rich.console import Console

_LINE_SECONDS = 30.0


@asynccontextmanager
async def progress(console: Console, what: str) -> AsyncGenerator[None]:
    """Show a running clock at a terminal, or a line now and then elsewhere; at the end, how long it took."""
    started = time.monotonic()
    ticker = asyncio.create_task(_tick(console, what, started))
    try:
        yield
    finally:
        ticker.cancel()
        with suppress(asyncio.CancelledError):
            await ticker
    console.print(f"{what}: done in {spell(timedelta(seconds=time.monotonic() - started))}")


def spell(duration: timedelta) -> str:
    """Write a duration as people say it: `4.2 s`, `2 min 45 s`."""
    seconds = duration.total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


async def _tick(console: Console, what: str, started: float) -> None:
    if not console.is_terminal:
        while True:
            console.print(f"{what} ... {spell(timedelta(seconds=round(time.monotonic() - started)))}")
            await asyncio.sleep(_LINE_SECONDS)
    with console.status(what) as status:
        while True:
            status.update(f"{what} ... {spell(timedelta(seconds=time.monotonic() - started))}")
            await asyncio.sleep(0.2)
