"""Telling which ports are taken."""

from __future__ import annotations

import os
import socket

import pytest

from dapr_bridge.testing import free_port
from local.errors import PortTakenError
from local.ports import check_ports, is_answering, is_taken, lent_port
from local.run_file import PortNeed


@pytest.mark.parametrize("port", [free_port(), lent_port()])
def test_a_free_port_is_not_taken(port: int) -> None:
    assert not is_taken(port)
    assert not is_answering(f"127.0.0.1:{port}")
    check_ports([PortNeed(port=port, who="an app")])


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_a_listener_takes_its_port(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        assert is_taken(port)
        assert is_answering(f"127.0.0.1:{port}")


def test_a_connection_that_only_lingers_does_not_take_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            # The side that closes first keeps the port in TIME_WAIT.
            accepted.close()
    assert not is_taken(port)


def test_the_message_names_every_taken_port_who_needs_it_and_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [server.getsockname()[1] for server in (one, two)]
        needs = [PortNeed(port=ports[0], who="the API"), PortNeed(port=ports[1], who="the model")]
        with pytest.raises(PortTakenError) as caught:
            check_ports([*needs, PortNeed(port=free_port(), who="nobody")])
    message = str(caught.value)
    for port, who in zip(ports, ("the API", "the model"), strict=True):
        assert f"port {port} is taken" in message
        assert f"{who} needs it" in message
    assert f"(process {os.getpid()})" in message
    assert "nobody" not in message
    assert caught.value.exit_code == 2
