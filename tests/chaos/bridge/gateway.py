"""A gRPC proxy between a worker and its sidecar: knows each request, and holds it where a test is to kill something."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from dapr_bridge._contexts import Running
from tests.chaos.bridge.moments import Moments, Passage
from tests.chaos.bridge.requests import looks_at, subject_of

_STREAMS = frozenset({"GetWorkItems"})
_THREADS = 48
# The SDK asks for work again at once.
_CUT_OFF_SECONDS = 0.1
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.so_reuseport", 0),
]


class Gateway(Running):
    """Passes everything on, bytes as they are.

    Args:
        target: the sidecar's gRPC address.
        moments: told of each request before it is passed on, and before its answer is passed back.
    """

    def __init__(self, target: str, moments: Moments) -> None:
        self._moments = moments
        self._upstream = grpc.insecure_channel(target, options=_OPTIONS)
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), handlers=[_Handler(self)], options=_OPTIONS)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._streams: set[Any] = set()
        self._changed = threading.Condition()
        self._gives_work = True
        self._looks: Counter[str] = Counter()

    def start(self) -> None:
        """Take requests."""
        self._server.start()

    def stop(self) -> None:
        """Take no more."""
        self._server.stop(grace=None).wait()
        self._upstream.close()

    @property
    def is_connected(self) -> bool:
        """Whether a worker is taking work through here."""
        return bool(self._streams)

    def looks(self, kind: str) -> int:
        """Return how often the worker has read a lease, or whether a run is to be drained."""
        with self._changed:
            return self._looks[kind]

    def cut_work(self) -> None:
        """Break the stream of work off, and let no other one come about: the worker is cut off, but for its saves."""
        with self._changed:
            self._gives_work = False
            for stream in self._streams:
                stream.cancel()
            self._changed.notify_all()

    def give_work(self) -> None:
        """Let the worker have work again."""
        with self._changed:
            self._gives_work = True
            self._changed.notify_all()

    def call(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Pass one request on."""
        with self._changed:
            self._looks.update(looks_at(method, request))
        subject = subject_of(method, request)
        passage = self._moments.come_before(*subject) if subject else Passage(0)
        if passage.is_dropped:
            context.abort(grpc.StatusCode.CANCELLED, "its sender is dead")
        # A deadline of the sender's ends its own call, and with it this one.
        call = self._upstream.unary_unary(method).future(request, metadata=_metadata(context))
        context.add_callback(call.cancel)
        answer = self._answer(call, context)
        if subject:
            self._moments.come_after(*subject, passage.number)
        return answer

    def stream(self, method: str, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Pass a stream of work on."""
        with self._changed:
            self._changed.wait_for(lambda: self._gives_work, timeout=_CUT_OFF_SECONDS)
        if not self._gives_work:
            context.abort(grpc.StatusCode.UNAVAILABLE, "cut off")
        call = self._upstream.unary_stream(method)(request, metadata=_metadata(context))
        with self._changed:
            self._streams.add(call)
        context.add_callback(call.cancel)
        try:
            yield from call
        except grpc.RpcError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            with self._changed:
                self._streams.discard(call)

    def _answer(self, call: Any, context: grpc.ServicerContext) -> bytes:
        try:
            return call.result()
        except grpc.FutureCancelledError:
            context.abort(grpc.StatusCode.CANCELLED, "cancelled")
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method
        if method.rpartition("/")[2] in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(_bound(self._gateway.stream, method))
        return grpc.unary_unary_rpc_method_handler(_bound(self._gateway.call, method))


def _bound(handle: Callable[..., Any], method: str) -> Callable[..., Any]:
    return lambda request, context: handle(method, request, context)


def _metadata(context: grpc.ServicerContext) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in context.invocation_metadata() if not key.startswith(("grpc-", "user-agent"))]
