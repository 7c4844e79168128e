"""The offline model and the knowledge base as real processes on free ports."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dapr_bridge.testing import Process, free_port

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class OfflineModel:
    """A running offline model."""

    process: Process
    url: str

    @property
    def base_url(self) -> str:
        """What `OPENAI_BASE_URL` is set to."""
        return f"{self.url}/v1"

    def counts(self) -> Counter[str | None]:
        """How often each node called."""
        return Counter(call["node"] for call in self.calls())

    def calls(self) -> list[dict[str, Any]]:
        """Every call since the last reset."""
        return self._request("GET", "/calls")["calls"]

    def order(self, **fault: Any) -> None:
        """Order a fault."""
        self._request("POST", "/faults", fault)

    def reset(self) -> None:
        """Forget calls and faults."""
        self._request("DELETE", "/calls")
        self._request("DELETE", "/faults")

    def _request(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
        return json.loads(text) if text else None


@dataclass(frozen=True, kw_only=True)
class KnowledgeBase:
    """A running knowledge base."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        """Where it speaks MCP."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def restart(self) -> None:
        """Start it again after a kill, on the same port."""
        self.process.start().wait_for_http(f"http://127.0.0.1:{self.port}/health")


@contextmanager
def running_offline_model(folder: Path) -> Iterator[OfflineModel]:
    """Run an offline model."""
    port = free_port()
    command = [sys.executable, "-m", "seed.offline_model", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with Process(command, log=folder / "offline-model.log", cwd=PROJECT) as process:
        process.wait_for_http(f"{url}/health")
        yield OfflineModel(process=process, url=url)


@contextmanager
def running_knowledge_base(folder: Path) -> Iterator[KnowledgeBase]:
    """Run a knowledge base over the project's articles."""
    port = free_port()
    command = [sys.executable, "-m", "mcp_server", "--transport", "http", "--port", str(port)]
    with Process(command, log=folder / "knowledge-base.log", cwd=PROJECT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health")
        yield KnowledgeBase(process=process, port=port)
