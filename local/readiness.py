"""Wait until something answers over HTTP."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2

from local.errors import StartError
from local.processes import tail

_PAUSE_SECONDS = 0.1
_ANSWER_SECONDS = 5.0


async def wait_until_ready(
    url: str, *, name: str, log: Path, patience: timedelta, is_running: Callable[[], bool] = lambda: True
) -> None:
    """Ask a URL until it answers with 2xx.

    Args:
        url: What to ask.
        name: Who answers there, for the message.
        log: Where its last lines are.
        patience: How long to go on.
        is_running: Whether waiting makes sense at all.

    Raises:
        StartError: The process has ended meanwhile, or patience is over; the message has its last log lines.
    """
    deadline = time.monotonic() + patience.total_seconds()
    async with httpx2.AsyncClient(timeout=_ANSWER_SECONDS) as client:
        while not (answer := await _ask(client, url)).is_ready:
            if not is_running():
                raise StartError(f"{name} ended at its start.{_last_lines(log)}")
            if time.monotonic() > deadline:
                waited = f"{patience.total_seconds():.0f} s"
                raise StartError(f"{name} is not ready after {waited}: {url} {answer.text}.{_last_lines(log)}")
            await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a URL said: whether it is ready, and the words for people."""

    is_ready: bool
    text: str


async def _ask(client: httpx2.AsyncClient, url: str) -> Answer:
    try:
        response = await client.get(url)
    except httpx2.HTTPError as error:
        return Answer(is_ready=False, text=f"does not answer ({error})")
    return Answer(is_ready=response.is_success, text=f"answers {response.status_code}: {response.text[:500]}")


def _last_lines(log: Path) -> str:
    lines = tail(log)
    return "\n".join([f" Its last lines ({log}):", *(f"  {line}" for line in lines)]) if lines else ""
