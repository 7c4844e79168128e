"""A gRPC proxy in front of a sidecar whose reads of a workflow instance fail at first, in daprd 1.18's own words."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

_WORDS = "workflow 'x': inbox key 'inbox-000000' declared in metadata (inboxLength=1) but missing from state store"
_READS = ("GetInstance", "GetInstanceHistory")


@contextmanager
def hasty_sidecar(target: str, *, refusals: int) -> Iterator[str]:
    """Refuse so many calls of each way to read an instance, pass on what comes after, and give the address."""
    with grpc.insecure_channel(target) as upstream:
        server = grpc.server(ThreadPoolExecutor(4), handlers=[_Handler(upstream, refusals)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, upstream: grpc.Channel, refusals: int) -> None:
        self._upstream = upstream
        self._left = dict.fromkeys(_READS, refusals)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> Any:
            read = method.rpartition("/")[2]
            if self._left.get(read):
                self._left[read] -= 1
                context.abort(grpc.StatusCode.UNKNOWN, _WORDS)
            return self._upstream.unary_unary(method)(request)

        return grpc.unary_unary_rpc_method_handler(answer)
