"""A TCP proxy that cuts a connection off in the middle of a request, as the death of a server does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 16


class TcpGate:
    """Passes bytes on, until told to cut a connection that carries some of them."""

    def __init__(self, target_port: int, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self.cuts = 0
        self._target_port = target_port
        self._listener = listener
        self._needle: bytes | None = None
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()

    def cut_at(self, needle: bytes) -> None:
        """Cut the next connection on which a request with these bytes comes; the request does not arrive."""
        with self._guard:
            self._needle = needle

    def serve(self) -> None:
        """Take connections until closed."""
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                with self._guard:
                    self._open |= {near, far}
                for way in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self._pump, args=way, daemon=True).start()

    def close(self) -> None:
        """Take no more, and cut everything."""
        self._listener.close()
        with self._guard:
            for each in list(self._open):
                _close(each)

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if is_request and self._is_to_be_cut(data):
                    break
                sink.sendall(data)
        for each in (source, sink):
            _close(each)
            with self._guard:
                self._open.discard(each)

    def _is_to_be_cut(self, data: bytes) -> bool:
        with self._guard:
            if self._needle is None or self._needle not in data:
                return False
            self._needle = None
            self.cuts += 1
            return True


@contextmanager
def tcp_gate(target_port: int) -> Iterator[TcpGate]:
    """Run a gate in front of a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gate = TcpGate(target_port, listener)
        threading.Thread(target=gate.serve, daemon=True).start()
        try:
            yield gate
        finally:
            gate.close()


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
