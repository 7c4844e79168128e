"""A TCP proxy that cuts a connection off in the middle of a request, as the death of a server does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_CHUNK = 1 << 16


@dataclass(eq=False)
class Line:
    """One connection from end to end."""

    near: socket.socket
    far: socket.socket

    def close(self) -> None:
        """Cut it."""
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class TcpGate:
    """Passes bytes on to a port of this machine; what passes is up to `passes_request` and `passes_answer`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._guard = threading.Lock()
        self._open: set[Line] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more, and cut everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            for each in self._open:
                each.close()

    def passes_request(self, data: bytes, line: Line) -> bool:
        """Whether bytes from the client pass; else their connection is cut."""
        raise NotImplementedError

    def passes_answer(self, line: Line) -> bool:
        """Whether bytes from the server pass; else their connection is cut."""
        raise NotImplementedError

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connect(self._listener.accept()[0])

    def _connect(self, near: socket.socket) -> None:
        try:
            line = Line(near, socket.create_connection(("127.0.0.1", self._target_port)))
        except OSError:
            # The server is away: so is the gate.
            near.close()
            return
        with self._guard:
            self._open.add(line)
        for pump in (self._pump_requests, self._pump_answers):
            threading.Thread(target=pump, args=[line], daemon=True).start()

    def _pump_requests(self, line: Line) -> None:
        with contextlib.suppress(OSError):
            while (data := line.near.recv(_CHUNK)) and self.passes_request(data, line):
                line.far.sendall(data)
        self._end(line)

    def _pump_answers(self, line: Line) -> None:
        with contextlib.suppress(OSError):
            while (data := line.far.recv(_CHUNK)) and self.passes_answer(line):
                line.near.sendall(data)
        self._end(line)

    def _end(self, line: Line) -> None:
        line.close()
        with self._guard:
            self._open.discard(line)


class CuttingGate(TcpGate):
    """Cuts the connection that carries some bytes, once."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.cuts = 0
        self._needle: bytes | None = None

    def cut_at(self, needle: bytes) -> None:
        """Cut the next connection on which a request with these bytes comes; the request does not arrive."""
        self._needle = needle

    def passes_request(self, data: bytes, line: Line) -> bool:
        """Whether the bytes are not those that are waited for."""
        if self._needle is None or self._needle not in data:
            return True
        self._needle = None
        self.cuts += 1
        return False

    def passes_answer(self, line: Line) -> bool:
        """All do."""
        return True


@contextmanager
def cutting_gate(target_port: int) -> Iterator[CuttingGate]:
    """Run a gate in front of a port of this machine."""
    gate = CuttingGate(target_port)
    try:
        yield gate
    finally:
        gate.close()
