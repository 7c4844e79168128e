"""A run's events put in order at the client, each handed on once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dapr_bridge._events import Event, source_name
from dapr_bridge._subscription import Inbox
from dapr_bridge._wire import RunOutcome

# How long to wait for an event that others have overtaken, and for the last ones of a run that has ended.
_GRACE_SECONDS = 2.0


@dataclass
class _Source:
    """One attempt of one source: the number that comes next, what has overtaken it, and how many are past."""

    next: int = 1
    past: int = 0
    early: dict[int, Event] = field(default_factory=dict[int, Event])


class Arrivals:
    """Sorts events as they come in.

    Events of one attempt are handed on in their order. What a later attempt tells again, by its key, is not.
    """

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._told: set[str] = set()

    @property
    def has_gap(self) -> bool:
        """Whether some events wait for one before them."""
        return any(source.early for source in self._sources.values())

    def add(self, event: Event) -> Iterator[Event]:
        """Take in an event; returns those that can be handed on."""
        source = self._sources.setdefault(source_name(event.source, event.attempt), _Source())
        if event.number >= source.next:
            source.early[event.number] = event
        yield from self._in_order(source)

    def skip_gaps(self) -> Iterator[Event]:
        """Wait no longer for what is missing; returns what had waited for it."""
        for source in self._sources.values():
            while source.early:
                source.next = min(source.early)
                yield from self._in_order(source)

    def has_all(self, counts: Mapping[str, int]) -> bool:
        """Tell whether all events have come in, of each source as many as it has published."""
        return all(self._sources.get(name, _Source()).next > count for name, count in counts.items())

    def missing(self, counts: Mapping[str, int]) -> int:
        """Return how many events have not come in, or not before they were given up."""
        return sum(max(0, count - self._sources.get(name, _Source()).past) for name, count in counts.items())

    def _in_order(self, source: _Source) -> Iterator[Event]:
        while source.next in source.early:
            event = source.early.pop(source.next)
            source.next += 1
            source.past += 1
            if event.key not in self._told:
                self._told.add(event.key)
                yield event


async def until_end(inbox: Inbox, outcome: asyncio.Future[RunOutcome], arrivals: Arrivals) -> AsyncIterator[Event]:
    """Hand on a run's events until it has ended and they are all here, or nothing more comes."""
    patience = _Patience()
    while not (outcome.done() and arrivals.has_all(_counts(outcome))):
        has_ended = outcome.done()
        patience.watch(has_gap=arrivals.has_gap, has_ended=has_ended)
        event = await _next(inbox, outcome, seconds=patience.seconds)
        for each in arrivals.add(event) if event else ():
            yield each
        if patience.is_at_end(is_silent=event is None):
            for each in arrivals.skip_gaps():
                yield each
            if has_ended:
                return
    for each in arrivals.skip_gaps():
        yield each


async def nothing() -> AsyncIterator[Event]:
    """Hand on no event."""
    return
    yield


class _Patience:
    """How long to wait yet for what is missing: from when it was missed, and after a run's end from the last event."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._ends: float | None = None
        self._has_ended = False

    @property
    def seconds(self) -> float | None:
        """What is left; None while nothing is missing."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    def watch(self, *, has_gap: bool, has_ended: bool) -> None:
        """Take note of how things stand before the next event."""
        if not (has_gap or has_ended):
            self._ends = None
        elif self._ends is None or has_ended:
            self._ends = self._clock() + _GRACE_SECONDS
        self._has_ended = has_ended

    def is_at_end(self, *, is_silent: bool) -> bool:
        """Tell whether to wait no longer, now that an event has come or nothing has."""
        if self.seconds != 0.0 or (self._has_ended and not is_silent):
            return False
        self._ends = None
        return True


def _counts(outcome: asyncio.Future[RunOutcome]) -> Mapping[str, int]:
    has_one = not outcome.cancelled() and outcome.exception() is None
    return outcome.result().events if has_one else {}


async def _next(inbox: Inbox, outcome: asyncio.Future[RunOutcome], *, seconds: float | None) -> Event | None:
    """Return the next event; None when the run ends meanwhile, or after so much silence."""
    if not inbox.empty():
        return inbox.get_nowait()
    getting = asyncio.ensure_future(inbox.get())
    waited: list[asyncio.Future[Any]] = [getting] if outcome.done() else [getting, outcome]
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()
