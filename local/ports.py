"""Tell which ports are taken, and by whom."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterable
from datetime import timedelta

import psutil

from local.errors import PortTakenError
from local.run_file import PortNeed

_PAUSE_SECONDS = 0.05

_ADDRESSES = ("127.0.0.1", "")
"""Loopback, and every interface: the Dapr CLI insists that the port is free on all of them."""


def check_ports(needs: Iterable[PortNeed], *, patience: timedelta = timedelta()) -> None:
    """Make sure that nothing listens on the ports that are needed.

    Args:
        needs: The ports, and who needs them.
        patience: How long to wait for those that are taken.

    Raises:
        PortTakenError: The message names each taken port, who needs it and, where the system tells, who has it.
    """
    deadline = time.monotonic() + patience.total_seconds()
    taken = _find_taken(needs)
    while taken and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        taken = _find_taken(taken)
    if taken:
        lines = "\n".join(f"  port {need.port} is taken{_by_whom(need.port)}; {need.who} needs it" for need in taken)
        raise PortTakenError(f"cannot start:\n{lines}\nStop what has them, or give other ports in dapr.yaml.")


def _find_taken(needs: Iterable[PortNeed]) -> list[PortNeed]:
    return [need for need in needs if is_taken(need.port)]


def is_taken(port: int) -> bool:
    """Tell whether a listener on this port would be refused."""
    return any(_is_refused(address, port) for address in _ADDRESSES)


def is_answering(address: str) -> bool:
    """Tell whether something accepts connections at `host:port`."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def lent_port() -> int:
    """Return a port of 127.0.0.1 as the system lends them to outgoing connections: for what is started at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_refused(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that is only lingering does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _by_whom(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.laddr.port != port:
                continue
            if connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""
