"""What tests start: their ports; a process that is told one binds its namesake in UDP."""

from __future__ import annotations

import socket

import pytest

from dapr_bridge.testing import free_port


def test_free_ports_are_none_of_those_lent_to_outgoing_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as lent:
        assert all(free_port() < 30_000 < lent.getsockname()[1] for _ in range(100))


def test_a_port_is_not_returned_twice_in_a_row_nor_while_something_listens() -> None:
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == len(ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert all(free_port() != ports[0] for _ in range(10_000))


def test_a_port_is_kept_from_other_processes_until_it_is_listened_on() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as another_process:
        told = _unkept_port()
        another_process.bind(("127.0.0.1", told))
        assert all(free_port() != told for _ in range(10_000))

    with socket.socket(type=socket.SOCK_DGRAM) as another_process, pytest.raises(OSError, match="in use"):
        another_process.bind(("127.0.0.1", free_port()))


def _unkept_port() -> int:
    port = free_port()
    for _ in range(1_000):
        free_port()
    return port
