"""How many calls a sidecar answered, and how many bytes it was sent, by its own metrics."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

from dapr_bridge.testing import wait_until

_LINE = re.compile(
    r'^dapr_grpc_io_server_received_bytes_per_rpc_(count|sum)\{[^}]*grpc_server_method="[^"]*/(\w+)"[^}]*\} (\S+)$',
    re.MULTILINE,
)


_ALIKE = 6


class CallCounter:
    """Calls of a sidecar's gRPC API, by method, since the counter was made or last asked."""

    def __init__(self, metrics_port: int) -> None:
        self._url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._calls, self._bytes = self._settled()

    def new_calls(self) -> Counter[str]:
        """Return the calls since the last time."""
        return self.new_calls_and_bytes()[0]

    def new_calls_and_bytes(self) -> tuple[Counter[str], Counter[str]]:
        """Return the calls since the last time, and the bytes that they carried."""
        calls, received = self._settled()
        new = calls - self._calls, received - self._bytes
        self._calls, self._bytes = calls, received
        return new

    def _settled(self) -> tuple[Counter[str], Counter[str]]:
        """Read the counters when several readings agree: a call is counted a little after it is answered."""
        readings = [self._read()]

        def is_settled() -> bool:
            readings.append(self._read())
            return len(readings) > _ALIKE and all(each == readings[-1] for each in readings[-_ALIKE:])

        wait_until(is_settled, what="the sidecar to answer no more calls", pause=0.05)
        return readings[-1]

    def _read(self) -> tuple[Counter[str], Counter[str]]:
        with urllib.request.urlopen(self._url, timeout=5) as answer:
            text = answer.read().decode()
        counters: dict[str, Counter[str]] = {"count": Counter(), "sum": Counter()}
        for kind, method, value in _LINE.findall(text):
            counters[kind][method] = int(float(value))
        return counters["count"], counters["sum"]
