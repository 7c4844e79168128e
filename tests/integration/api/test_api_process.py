"""`python -m api` as a process: how it starts, what it says, what it logs."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dapr_bridge.testing import Process, free_port, wait_until
from tests.kit.desk_stack import call


def start(folder: Path, **settings: str) -> tuple[Process, int]:
    """Return an API without any Dapr, not started, and its port."""
    port = free_port()
    env = {
        "DATABASE_URL": f"sqlite:///{folder}/desk.db",
        "DAPR_HTTP_PORT": str(free_port()),
        "DAPR_GRPC_PORT": str(free_port()),
        "KNOWLEDGE_BASE_URL": f"http://127.0.0.1:{free_port()}/mcp",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
        "PYTHONDONTWRITEBYTECODE": "",
        **settings,
    }
    command = [sys.executable, "-m", "api", "--port", str(port)]
    return Process(command, log=folder / "api.log", env=env, cwd=folder), port


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    """An API that nobody has given a sidecar."""
    process, port = start(tmp_path_factory.mktemp("lonely"), LOG_FORMAT="json")
    with process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health")
        yield process, port


def test_it_lives_without_a_sidecar_and_says_what_is_missing(lonely: tuple[Process, int]) -> None:
    ready = call("GET", f"http://127.0.0.1:{lonely[1]}/health/ready")
    assert ready.status == 503
    assert not any(check["ready"] for check in ready.body["checks"].values())
    assert call("GET", f"http://127.0.0.1:{lonely[1]}/health/data").status == 503
    assert call("GET", f"http://127.0.0.1:{lonely[1]}/support/tickets").body["total"] == 0


def test_the_log_is_one_json_object_for_each_event(lonely: tuple[Process, int]) -> None:
    events = [json.loads(line) for line in lonely[0].text().splitlines()]
    assert events
    assert {"time", "level", "logger", "message"} <= set(events[0])
    waiting = [event for event in events if "waits for the Dapr sidecar" in event["message"]]
    assert len(waiting) == 1, "a sidecar that is away is said once, not twice a second"


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_many_megabytes_is_turned_away(lonely: tuple[Process, int], *, declared: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lonely[1], timeout=20)
    chunks = (b"x" * 65536 for _ in range(200))
    headers = {"Content-Type": "application/json"}
    if declared:
        headers["Content-Length"] = str(200 * 65536)
        connection.putrequest("POST", "/support/ticket")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
    else:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/support/ticket", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json")
    connection.close()


def test_it_listens_on_loopback_only(lonely: tuple[Process, int]) -> None:
    with pytest.raises(OSError, match=r".*"), socket.create_connection((_own_address(), lonely[1]), timeout=2):
        pass


def test_a_taken_port_ends_it_with_2_and_the_reason(tmp_path: Path) -> None:
    process, port = start(tmp_path)
    with socket.create_server(("127.0.0.1", port)):
        ended = subprocess.run(process.command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_invalid_setting_ends_it_with_2_and_the_variable(tmp_path: Path) -> None:
    env = {**os.environ, "API_PORT": "eight thousand"}
    ended = subprocess.run(
        [sys.executable, "-m", "api"], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "API_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_although_no_sidecar_ever_came(tmp_path: Path, number: signal.Signals) -> None:
    process, port = start(tmp_path)
    with process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health")
        os.kill(process.pid, number)
        wait_until(lambda: not process.is_running, what="the API to end", seconds=10)
    assert "Traceback" not in process.text()


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
