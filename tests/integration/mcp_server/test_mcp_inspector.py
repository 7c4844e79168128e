"""The MCP inspector's command line, the ecosystem's own judge of a server, over both transports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dapr_bridge.testing import Process, free_port

PROJECT = Path(__file__).parents[3]
INSPECTOR = ("npx", "-y", "@modelcontextprotocol/inspector@2.12.0", "--cli")
SERVER = ("-m", "mcp_server")

pytestmark = pytest.mark.skipif(shutil.which("npx") is None, reason="npx (Node.js) is not installed")

Inspect = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module", params=["http", "stdio"])
def inspect(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspect]:
    """A function that runs the inspector against the server, and returns its exit code and its JSON."""
    folder = tmp_path_factory.mktemp("inspector")
    config = folder / "servers.json"

    def inspect(method: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        command = [*INSPECTOR, "--config", str(config), "--server", "kb", "--format", "json", "--method", method]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
        answer = done.stdout or done.stderr[done.stderr.find('{"error"') :]
        return done.returncode, json.loads(answer.splitlines()[0])

    if request.param == "stdio":
        entry = {"command": sys.executable, "args": [*SERVER, "--transport", "stdio"], "cwd": str(PROJECT)}
        config.write_text(json.dumps({"mcpServers": {"kb": entry}}))
        yield inspect
        return
    port = free_port()
    entry = {"type": "streamable-http", "url": f"http://127.0.0.1:{port}/mcp"}
    config.write_text(json.dumps({"mcpServers": {"kb": entry}}))
    with Process([sys.executable, *SERVER, "--port", str(port)], log=folder / "kb.log", cwd=PROJECT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health")
        yield inspect


def test_tools_are_listed_and_their_schemas_are_portable(inspect: Inspect) -> None:
    code, answer = inspect("tools/list", "--strict")
    assert code == 0
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["query_knowledge_base", "get_article"]


def test_a_good_call_succeeds_with_structured_content(inspect: Inspect) -> None:
    arguments = ("query=possible etag mismatch", "category=configuration", "limit=2")
    code, answer = inspect("tools/call", "--tool-name", "query_knowledge_base", "--tool-arg", *arguments)
    assert code == 0
    found = answer["result"]["structuredContent"]["results"]
    assert [passage["article_id"] for passage in found] == ["KB-CFG-006", "KB-CFG-006"]


def test_a_bad_call_is_a_tool_error(inspect: Inspect) -> None:
    code, answer = inspect("tools/call", "--tool-name", "query_knowledge_base", "--tool-arg", "query=etag", "limit=99")
    assert code == 5
    assert "limit: Input should be less than or equal to 20" in answer["result"]["content"][0]["text"]


def test_resources_and_templates_are_listed(inspect: Inspect) -> None:
    code, answer = inspect("resources/list")
    assert (code, [resource["uri"] for resource in answer["result"]["resources"]]) == (0, ["kb://index"])
    code, answer = inspect("resources/templates/list")
    templates = [template["uriTemplate"] for template in answer["result"]["resourceTemplates"]]
    assert (code, templates) == (0, ["kb://articles/{article_id}"])


def test_an_article_can_be_read_and_an_unknown_one_is_an_error(inspect: Inspect) -> None:
    code, answer = inspect("resources/read", "--uri", "kb://articles/KB-CON-001")
    assert code == 0
    assert answer["result"]["contents"][0]["mimeType"] == "text/markdown"
    code, answer = inspect("resources/read", "--uri", "kb://articles/KB-CON-999")
    assert code == 1
    assert "no article 'KB-CON-999'" in answer["error"]["message"]


def test_the_prompt_is_listed_and_can_be_filled_in(inspect: Inspect) -> None:
    code, answer = inspect("prompts/list")
    assert (code, [prompt["name"] for prompt in answer["result"]["prompts"]]) == (0, ["diagnose_dapr_problem"])
    code, answer = inspect("prompts/get", "--prompt-name", "diagnose_dapr_problem", "--prompt-args", "symptom=it hangs")
    assert code == 0
    assert "it hangs" in answer["result"]["messages"][0]["content"]["text"]
