"""A gate before the knowledge base: counts the queries that pass, and holds them where a test is to kill something."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.kit.http_serving import http_server

Query = tuple[str, str]
"""A query's category and text."""

_HOP_HEADERS = frozenset({"connection", "content-length", "host", "transfer-encoding", "accept-encoding"})


class KnowledgeGate:
    """What came through, by query; `hold` makes queries of a category wait until `release`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._target = ""
        self._arrived: Counter[Query] = Counter()
        self._answered: Counter[Query] = Counter()
        self._spans: list[tuple[float, float]] = []
        self._delay = 0.0
        self._held: set[str] = set()
        self._changed = threading.Condition()

    def lead_to(self, target: str) -> None:
        """Pass requests on to the knowledge base at `target`."""
        self._target = target

    @property
    def arrived(self) -> Counter[Query]:
        """How often each query arrived."""
        with self._changed:
            return Counter(self._arrived)

    @property
    def answered(self) -> Counter[Query]:
        """How often each query was answered."""
        with self._changed:
            return Counter(self._answered)

    @property
    def spans(self) -> list[tuple[float, float]]:
        """When each answered query arrived and left, by a monotonic clock."""
        with self._changed:
            return list(self._spans)

    def delay(self, seconds: float) -> None:
        """Slow every query down."""
        self._delay = seconds

    def forget(self) -> None:
        """Count from zero."""
        with self._changed:
            self._spans.clear()
            self._arrived.clear()
            self._answered.clear()

    def hold(self, category: str) -> None:
        """Keep queries of a category waiting."""
        with self._changed:
            self._held.add(category)

    def release(self) -> None:
        """Let everything through."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def wait_until_held(self, category: str, *, seconds: float = 30) -> None:
        """Wait until a query of a category stands at the gate."""
        with self._changed:
            came = self._changed.wait_for(lambda: any(each == category for each, _ in self._arrived), timeout=seconds)
        assert came, f"no {category} query came in {seconds:g} s; there were {dict(self._arrived)}"

    def enter(self, query: Query) -> float:
        """Count a query and wait while its category is held; returns when it arrived."""
        arrived_at = time.monotonic()
        with self._changed:
            self._arrived[query] += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: query[0] not in self._held, timeout=60)
        time.sleep(self._delay)
        return arrived_at

    def leave(self, query: Query, arrived_at: float) -> None:
        """Count an answer."""
        with self._changed:
            self._answered[query] += 1
            self._spans.append((arrived_at, time.monotonic()))

    def forward(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Pass a request on; a knowledge base that is away answers 502, as a proxy does."""
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_HEADERS}
        request = urllib.request.Request(f"{self._target}{path}", body or None, kept, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, list(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, list(error.headers.items()), error.read()
        except OSError:
            return 502, [("Content-Type", "text/plain")], b"the knowledge base is away"


@contextmanager
def knowledge_gate() -> Iterator[KnowledgeGate]:
    """Run a gate on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = _query_in(body)
            arrived_at = gate.enter(query) if query else 0.0
            answer = gate.forward("POST", self.path, self.headers, body)
            # A client that was killed meanwhile does not hear the answer.
            with contextlib.suppress(OSError):
                self._send(*answer)
                if query and answer[0] == 200:
                    gate.leave(query, arrived_at)

        def do_GET(self) -> None:
            # A GET of the MCP endpoint is a stream without end, which a server may turn down.
            self._send(405, [], b"")

        def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as url:
        gate = KnowledgeGate(url)
        try:
            yield gate
        finally:
            gate.release()


def _query_in(body: bytes) -> Query | None:
    try:
        message = json.loads(body)
    except ValueError:
        return None
    if not isinstance(message, dict) or message.get("method") != "tools/call":
        return None
    arguments = message["params"]["arguments"]
    return arguments.get("category") or "", arguments["query"]
