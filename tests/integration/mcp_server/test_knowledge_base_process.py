"""`python -m mcp_server` as a process: both transports, what stops a start, how it ends, how fast it answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from dapr_bridge.testing import Process, free_port

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "mcp_server")
# Without variables of the machine that runs the tests.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("KNOWLEDGE_BASE_", "LOG_"))}


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()


@pytest.fixture
def server(port: int, tmp_path: Path) -> Iterator[Process]:
    """The shipped knowledge base over HTTP, logging for machines."""
    command = [*COMMAND, "--port", str(port), "--log-format", "json", "--log-level", "info"]
    with Process(command, log=tmp_path / "kb.log", cwd=PROJECT) as process:
        yield process.wait_for_http(f"http://127.0.0.1:{port}/health")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=CLEAN | environment, capture_output=True, text=True, timeout=30, check=False
    )


async def test_it_answers_over_http(server: Process, port: int) -> None:
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        result = await client.call_tool("query_knowledge_base", {"query": "ERR_DIRECT_INVOKE failed to invoke"})
    assert result.structured_content is not None
    assert result.structured_content["results"][0]["article_id"] == "KB-CON-004"
    assert server.is_running


def test_health_tells_how_much_it_knows(server: Process, port: int) -> None:
    assert server.is_running
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
        health = json.load(response)
    assert health["status"] == "ok"
    assert health["articles"] >= 42
    assert health["passages"] > health["articles"]


async def test_a_client_outlives_a_restart_of_the_server(server: Process, port: int) -> None:
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        await client.call_tool("query_knowledge_base", {"query": "etag mismatch"})
        server.kill()
        server.start().wait_for_http(f"http://127.0.0.1:{port}/health")
        assert not (await client.call_tool("query_knowledge_base", {"query": "etag mismatch"})).is_error


async def test_each_query_is_one_line_for_machines(server: Process, port: int) -> None:
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        await client.call_tool("query_knowledge_base", {"query": "etag mismatch", "category": "configuration"})
    lines = [json.loads(line) for line in server.text().splitlines()]
    (query,) = (line for line in lines if line["message"].startswith("knowledge base queried"))
    assert (query["query_length"], query["category"], query["level"]) == (13, "configuration", "INFO")
    assert query["results"] > 0


async def test_many_clients_at_once_are_answered_quickly(server: Process, port: int) -> None:
    durations: list[float] = []

    async def ask_repeatedly() -> None:
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            for _ in range(10):
                started = time.perf_counter()
                result = await client.call_tool("query_knowledge_base", {"query": "kafka sasl authentication failed"})
                durations.append(time.perf_counter() - started)
                assert not result.is_error

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(ask_repeatedly)
    assert server.is_running
    assert len(durations) == 80
    # A single call takes a few milliseconds. The bound is wide because other tests share the machine; what it must
    # catch is a stall for each call, such as the 40 ms of a delayed acknowledgement times the clients in the queue.
    assert sorted(durations)[40] < 0.3


async def test_a_single_call_does_not_wait_for_a_delayed_acknowledgement(server: Process, port: int) -> None:
    assert server.is_running
    durations: list[float] = []
    async with Client(f"http://127.0.0.1:{port}/mcp") as client:
        for _ in range(40):
            started = time.perf_counter()
            await client.call_tool("query_knowledge_base", {"query": "kafka sasl authentication failed"})
            durations.append(time.perf_counter() - started)
    assert min(durations) < 0.03


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_in_order_when_told_to(port: int, number: int) -> None:
    with subprocess.Popen([*COMMAND, "--port", str(port)], cwd=PROJECT, env=CLEAN, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        while b"listening at" not in child.stderr.readline():
            assert child.poll() is None
        child.send_signal(number)
        rest = child.stderr.read().decode()
    assert child.returncode == 0
    assert "knowledge base stopped" in rest
    assert "Traceback" not in rest


async def test_it_answers_over_stdio() -> None:
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "--transport", "stdio"], cwd=PROJECT)
    async with Client(parameters) as client:
        result = await client.call_tool("get_article", {"article_id": "KB-CFG-006"})
        assert not result.is_error


def test_stdout_carries_nothing_but_messages_on_stdio() -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    command = [*COMMAND, "--transport", "stdio", "--log-level", "debug"]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=CLEAN,
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in done.stdout.splitlines())
    assert "knowledge base has" in done.stderr


def test_help_names_options_and_variables() -> None:
    done = run("--help")
    assert done.returncode == 0
    for part in ("--transport", "--host", "--port", "--articles", "--log-level", "--log-format"):
        assert part in done.stdout
    assert "KNOWLEDGE_BASE_PORT" in done.stdout
    assert "Exit code 2" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        ((), {"KNOWLEDGE_BASE_PORT": "eighty"}, "KNOWLEDGE_BASE_PORT='eighty'"),
        ((), {"LOG_LEVEL": "LOUD"}, "LOG_LEVEL='LOUD'"),
        (("--port", "70000"), {}, "'70000' is not a port"),
        (("--articles", "nowhere"), {}, "no folder of articles at nowhere; set --articles or KNOWLEDGE_BASE_ARTICLES"),
        (("--host", "256.1.1.1"), {}, "cannot listen on 256.1.1.1:8001"),
    ],
)
def test_a_bad_setting_stops_the_start_with_its_name(
    arguments: tuple[str, ...], environment: dict[str, str], complaint: str
) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_stops_the_start_with_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "KNOWLEDGE_BASE_PORT" in done.stderr


def test_a_bad_article_stops_the_start_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "broken.md").write_text("---\ncategory: conectivity\n---\nText.\n")
    done = run("--articles", str(tmp_path))
    assert done.returncode == 2
    assert "broken.md: the front matter is wrong: category" in done.stderr
