"""An OpenTelemetry collector as far as tests need one: it takes spans over HTTP, as an OTLP exporter sends them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A span as it was sent.

    Attributes:
        service: the name of the process's service.
        attributes: those that are text.
        text: all of it, for whoever looks for what must not be there.
    """

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: Mapping[str, str]
    text: str


class OtlpReceiver:
    """The spans that have come, in their order.

    Attributes:
        url: what to name in `OTEL_EXPORTER_OTLP_ENDPOINT`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._sent: list[Sent] = []
        self._changed = threading.Condition()

    def take(self, body: bytes) -> None:
        """Take what an exporter has sent."""
        spans = _read(ExportTraceServiceRequest.FromString(body))
        with self._changed:
            self._sent += spans
            self._changed.notify_all()

    def wait_for(self, has_come: Callable[[Sequence[Sent]], bool], *, seconds: float = 30) -> Sequence[Sent]:
        """Wait until a condition holds for all that has come, and return that."""
        with self._changed:
            in_time = self._changed.wait_for(lambda: has_come(self._sent), timeout=seconds)
            sent = list(self._sent)
        assert in_time, f"after {seconds:g} s only {sorted({each.name for each in sent})} have come"
        return sent


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_taken = self.path == "/v1/traces"
            if is_taken:
                receiver.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_taken else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read(request: ExportTraceServiceRequest) -> list[Sent]:
    return [
        Sent(
            service=_texts(of_process.resource.attributes).get("service.name", ""),
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            attributes=_texts(span.attributes),
            text=str(span),
        )
        for of_process in request.resource_spans
        for of_library in of_process.scope_spans
        for span in of_library.spans
    ]


def _texts(attributes: Sequence[object]) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes if each.value.string_value}
