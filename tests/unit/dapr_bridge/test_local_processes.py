"""What tests start: their ports."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack

from dapr_bridge.testing import free_port


def test_free_ports_are_none_of_those_lent_to_outgoing_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as lent:
        assert all(free_port() < 30_000 < lent.getsockname()[1] for _ in range(100))


def test_a_port_is_not_returned_twice_in_a_row_nor_while_something_listens() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == len(ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert all(free_port() != ports[0] for _ in range(10_000))


_ASK = """
from dapr_bridge.testing import free_port

print(*(free_port() for _ in range(100)), flush=True)
input()
"""


def test_processes_side_by_side_are_told_different_ports() -> None:
    with ExitStack() as stack:
        command = [sys.executable, "-c", _ASK]
        asking = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        told = [port for each in asking if each.stdout for port in each.stdout.readline().split()]
        for each in asking:
            each.communicate("\n")

    assert len(told) == 400
    assert len(set(told)) == len(told)
