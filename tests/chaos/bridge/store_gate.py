"""A proxy between the sidecar and its state store: knows when a workflow's own history is saved, and holds it there."""

from __future__ import annotations

import re
import threading
from weakref import WeakKeyDictionary

from tests.chaos.bridge.moments import Moments
from tests.kit.tcp_gate import Line, TcpGate

HISTORY = "history"
"""The kind of moment at which the workflow engine saves what it knows of a run."""

_INSTANCE = re.compile(rb"\|\|((?:run|task)-[0-9]+)(?:[.:][0-9a-f.:]*)?\|\|")
# Redis is sent a script for each key, Postgres a transaction.
_REDIS_WRITE, _POSTGRES_COMMIT = b"HSET", b"commit\x00"


class StoreGate(TcpGate):
    """Passes everything on; saves of a workflow are moments of its run.

    Args:
        target_port: where the store listens.
        moments: told before a save is passed on, and before its answer is passed back.
    """

    def __init__(self, target_port: int, moments: Moments) -> None:
        super().__init__(target_port)
        self._moments = moments
        self._guard_lines = threading.Lock()
        # The workflow that a connection's transaction is about, and the save that an answer is awaited for.
        self._about: WeakKeyDictionary[Line, str] = WeakKeyDictionary()
        self._awaited: WeakKeyDictionary[Line, tuple[str, int]] = WeakKeyDictionary()

    def passes_request(self, data: bytes, line: Line) -> bool:
        """Whether nobody has died who sent it."""
        thread_id = self._saved_thread(data, line)
        if not thread_id:
            return True
        passage = self._moments.come_before(thread_id, HISTORY)
        with self._guard_lines:
            self._awaited[line] = thread_id, passage.number
        return not passage.is_dropped

    def passes_answer(self, line: Line) -> bool:
        """Whether nobody has died who waits for it: that one's connection is cut by itself."""
        with self._guard_lines:
            awaited = self._awaited.pop(line, None)
        if awaited:
            self._moments.come_after(awaited[0], HISTORY, awaited[1])
        return True

    def _saved_thread(self, data: bytes, line: Line) -> str:
        found = _INSTANCE.search(data)
        with self._guard_lines:
            if found:
                self._about[line] = found.group(1).decode()
            if found and _REDIS_WRITE in data:
                return self._about[line]
            return self._about.pop(line, "") if _POSTGRES_COMMIT in data else ""
