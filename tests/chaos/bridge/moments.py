"""The moments of a run at which something can be killed, by name: the third save of a checkpoint, before it arrives."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

Side = Literal["before", "after"]
"""Before a request has arrived, or when it was carried out and nobody knows yet."""

NODE = "node "
"""What the kind of a node's run begins with."""

_LONGEST_HOLD = 120.0
_LOOK = 0.1


@dataclass(frozen=True, kw_only=True, order=True)
class Moment:
    """The `number`-th time, from 1, that something of a kind happens in a run."""

    kind: str
    number: int = 1
    side: Side = "before"

    @property
    def trigger(self) -> str:
        """The name without the number, nor which node it is."""
        return "in a node" if self.kind.startswith(NODE) else f"{self.side} {self.kind}"

    @property
    def sender(self) -> str:
        """Whose request it is, that dies with it."""
        return {"history": "daprd", "event": "client"}.get(self.kind, "worker")

    def __str__(self) -> str:
        return f"{self.side} {self.kind} {self.number}"


@dataclass(eq=False)
class Hold:
    """A moment at which whatever comes there waits."""

    moment: Moment
    is_reached: bool = False
    is_released: bool = False
    is_dropped: bool = False


@dataclass(frozen=True)
class Passage:
    """How something came past: its number, and whether it is to go no further."""

    number: int
    is_dropped: bool = False


@dataclass(eq=False)
class Moments:
    """Follows one run at a time, and holds it where it is told to."""

    _thread_id: str = ""
    _counts: Counter[str] = field(default_factory=Counter[str])
    _seen: list[Moment] = field(default_factory=list[Moment])
    _holds: list[Hold] = field(default_factory=list[Hold])
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self, thread_id: str) -> None:
        """Follow the run of a thread from now on, and count from zero."""
        with self._changed:
            self._thread_id = thread_id
            self._counts.clear()
            self._seen.clear()
            self._release_all()

    def seen(self) -> list[Moment]:
        """Return the moments that have come until now, in order."""
        with self._changed:
            return list(self._seen)

    def hold_next(self, moment: Moment) -> Hold:
        """Let whatever comes to a moment wait there; the moment's number counts from now on."""
        with self._changed:
            hold = Hold(replace(moment, number=self._counts[moment.kind] + moment.number))
            self._holds.append(hold)
        return hold

    def wait_until_reached(self, hold: Hold, *, unless: Callable[[], bool], seconds: float) -> bool:
        """Wait until something stands at a hold; False when it never comes, as `unless` tells or the time does."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not hold.is_reached and not unless() and time.monotonic() < deadline:
                self._changed.wait(timeout=_LOOK)
            return hold.is_reached

    def wait_until_quiet(self, *, seconds: float = 1.5, most: float = 20.0) -> None:
        """Wait until nothing has come for some time."""
        deadline = time.monotonic() + most
        with self._changed:
            while time.monotonic() < deadline:
                before = len(self._seen)
                if not self._changed.wait_for(lambda before=before: len(self._seen) > before, timeout=seconds):
                    return

    def release(self, hold: Hold, *, drop: bool = False) -> None:
        """Let go, or drop what waits: it has died with whoever sent it."""
        with self._changed:
            hold.is_released, hold.is_dropped = True, drop
            self._changed.notify_all()

    def release_all(self) -> None:
        """Let everything go."""
        with self._changed:
            self._release_all()

    def come_before(self, thread_id: str, kind: str) -> Passage:
        """Count something that is about to happen, and wait while it is held."""
        with self._changed:
            if thread_id != self._thread_id:
                return Passage(0)
            self._counts[kind] += 1
            number = self._counts[kind]
            return Passage(number, self._come(Moment(kind=kind, number=number, side="before")))

    def come_after(self, thread_id: str, kind: str, number: int) -> None:
        """Tell that it has happened, and wait while that is held."""
        with self._changed:
            if thread_id == self._thread_id and number:
                self._come(Moment(kind=kind, number=number, side="after"))

    def _come(self, moment: Moment) -> bool:
        """Wait while a moment is held; tells whether what came is dropped."""
        self._seen.append(moment)
        self._changed.notify_all()
        hold = next((each for each in self._holds if each.moment == moment and not each.is_reached), None)
        if hold is None:
            return False
        hold.is_reached = True
        self._changed.wait_for(lambda: hold.is_released, timeout=_LONGEST_HOLD)
        return hold.is_dropped

    def _release_all(self) -> None:
        for hold in self._holds:
            hold.is_released = True
        self._holds.clear()
        self._changed.notify_all()
