"""A far end that counts: an HTTP server where a node leaves a mark each time it runs."""

from __future__ import annotations

import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TypeVar

from tests.kit.http_serving import http_server


class FarEnd:
    """Marks that were left, in order; `hold` makes a mark wait until `release`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.marks: list[str] = []
        self._held: set[str] = set()
        self._changed = threading.Condition()

    def counts(self) -> Counter[str]:
        """How often each mark was left."""
        with self._changed:
            return Counter(self.marks)

    def hold(self, mark: str) -> None:
        """Keep whoever leaves this mark waiting for its answer."""
        with self._changed:
            self._held.add(mark)

    def release(self, mark: str) -> None:
        """Answer those who wait."""
        with self._changed:
            self._held.discard(mark)
            self._changed.notify_all()

    def wait_for(self, mark: str, *, times: int = 1, seconds: float = 30.0) -> None:
        """Wait until a mark was left so many times."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.marks.count(mark) >= times, timeout=seconds)
        assert came, f"{mark!r} was left {self.counts()[mark]} times in {seconds:g} s, not {times}; marks: {self.marks}"

    def note(self, mark: str) -> None:
        """Record a mark, and wait while it is held."""
        with self._changed:
            self.marks.append(mark)
            self._changed.notify_all()
            self._changed.wait_for(lambda: mark not in self._held, timeout=60)


Kind = TypeVar("Kind", bound=FarEnd)


@contextmanager
def far_end(make: Callable[[str], Kind] = FarEnd) -> Iterator[Kind]:
    """Run a counting server on a free port; `make` builds what counts, given its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counted.note(urllib.parse.unquote(self.path[1:]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as url:
        counted = make(url)
        yield counted


def leave_mark(url: str, mark: str) -> None:
    """Leave a mark at a far end and wait for its answer."""
    urllib.request.urlopen(f"{url}/{urllib.parse.quote(mark)}", timeout=120).close()
