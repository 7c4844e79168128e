"""The offline model as people start it, and LangChain's own client against it."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from graph.model import open_chat_model
from graph.settings import ModelSettings, load_settings
from tests.kit.local_services import PROJECT, OfflineModel, running_offline_model

pytestmark = pytest.mark.anyio

TICKET = "Production is down: every call to the Redis state store ends with 'connection refused'."
COMMAND = [sys.executable, "-m", "seed.offline_model"]


class Verdict(BaseModel):
    """How bad it is."""

    severity: Literal["low", "high", "critical"]
    title: str


def lookup_system() -> str:
    """Look up the system."""
    return "{}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfflineModel]:
    with running_offline_model(tmp_path_factory.mktemp("offline-model")) as running:
        yield running


@pytest.fixture
async def model(server: OfflineModel) -> AsyncIterator[ChatOpenAI]:
    server.reset()
    settings = load_settings(ModelSettings, openai_base_url=server.base_url, _env_file=None)
    async with open_chat_model(settings) as opened:
        assert isinstance(opened, ChatOpenAI)
        yield opened


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


async def test_langchains_client_gets_text_and_usage(model: ChatOpenAI) -> None:
    answer = await model.ainvoke(TICKET)
    assert "offline model" in answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > 0


async def test_langchains_client_streams(model: ChatOpenAI, server: OfflineModel) -> None:
    pieces = [chunk.text async for chunk in model.astream(TICKET)]
    assert len(pieces) > 10
    assert "".join(pieces) == (await model.ainvoke(TICKET)).text
    assert [call["stream"] for call in server.calls()] == [True, False]


async def test_langchains_client_calls_tools(model: ChatOpenAI) -> None:
    answer = await model.bind_tools([lookup_system]).ainvoke(TICKET)
    assert [call["name"] for call in answer.tool_calls] == ["lookup_system"]


async def test_langchains_client_gets_structured_output(model: ChatOpenAI) -> None:
    verdict = await model.with_structured_output(Verdict, method="json_schema").ainvoke(TICKET)
    assert isinstance(verdict, Verdict)
    assert (verdict.severity, verdict.title) == ("critical", TICKET)


def test_help_says_what_it_is() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert "--port" in shown.stdout
    assert "OpenAI-compatible" in shown.stdout


def test_a_taken_port_is_named_and_ends_with_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run("--port", port)
    assert refused.returncode == 2
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "many"])
def test_a_port_that_is_none_ends_with_code_2(port: str) -> None:
    refused = run("--port", port)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_an_invalid_setting_is_named_and_ends_with_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_MODEL_PORT", "none")
    refused = run()
    assert refused.returncode == 2
    assert "OFFLINE_MODEL_PORT" in refused.stderr


def test_it_listens_on_loopback_and_stops_at_once(tmp_path: Path) -> None:
    with running_offline_model(tmp_path) as running:
        running.process.stop(seconds=3)
        assert not running.process.is_running
    assert "offline model listens on http://127.0.0.1:" in (tmp_path / "offline-model.log").read_text()
