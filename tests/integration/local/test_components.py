"""The components of resources/ in a real sidecar: who sees what, and which model words the customer's message."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest
from dapr.ext.workflow import DaprWorkflowClient

from dapr_bridge.testing import ControlPlane, Sidecar
from desk.sidecar import Sidecar as DeskSidecar
from tests.kit.local_project import ROOT
from tests.kit.stores import write_sqlite_store

pytestmark = pytest.mark.anyio

COMPONENT = "customer-notification-llm"
DESK = "customer-support-system"
OFFLINE = "http://127.0.0.1:8002/v1"


class ModelService:
    """A model that keeps the headers and bodies of what it is asked."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.bodies: list[dict[str, object]] = []
        service = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                service.keys.append(self.headers["authorization"])
                service.bodies.append(json.loads(self.rfile.read(length)))
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
                body = json.dumps({"id": "1", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ModelService:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def model() -> Iterator[ModelService]:
    with ModelService() as service:
        yield service


@contextmanager
def sidecar(
    app_id: str, control_plane: ControlPlane, folder: Path, *, offline: str = OFFLINE, **env: str
) -> Iterator[Sidecar]:
    """Run a sidecar of an app over a copy of resources/, with another address of the offline model."""
    resources = folder / "resources"
    resources.mkdir()
    (folder / ".data").mkdir()
    for source in (ROOT / "resources").glob("*.yaml"):
        (resources / source.name).write_text(source.read_text().replace(OFFLINE, offline))
    started = Sidecar(app_id, control_plane=control_plane, resources=resources, folder=folder, env=env, anchored=False)
    try:
        yield started.start()
    finally:
        started.stop()


def plain_sidecar(control_plane: ControlPlane, folder: Path) -> Sidecar:
    return Sidecar("anything", control_plane=control_plane, resources=folder / "plain", folder=folder)


def loaded(running: Sidecar) -> set[str]:
    answer = json.load(urlopen(f"http://127.0.0.1:{running.http_port}/v1.0/metadata", timeout=10))
    return {component["name"] for component in answer.get("components", ())}


async def say_hello(running: Sidecar) -> str:
    async with DeskSidecar(running.address) as client:
        return await client.converse(COMPONENT, system="Be brief.", user="Greet jane@acme.example.")


async def test_without_a_setting_the_offline_model_is_asked(
    control_plane: ControlPlane, model: ModelService, tmp_path: Path
) -> None:
    with sidecar(DESK, control_plane, tmp_path, offline=model.url, OPENAI_API_KEY="", OPENAI_BASE_URL="") as running:
        assert await say_hello(running) == "Hello."
    assert model.keys == ["Bearer offline"]
    assert model.bodies[0]["model"] == "offline-support"


async def test_settings_of_the_environment_win_over_the_offline_model(
    control_plane: ControlPlane, model: ModelService, tmp_path: Path
) -> None:
    settings = {"OPENAI_API_KEY": "sk-mine", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "my-model"}
    with sidecar(DESK, control_plane, tmp_path, offline="http://127.0.0.1:1/v1", **settings) as running:
        assert await say_hello(running) == "Hello."
    assert model.keys == ["Bearer sk-mine"]
    assert model.bodies[0]["model"] == "my-model"


async def test_personal_data_does_not_reach_the_model(
    control_plane: ControlPlane, model: ModelService, tmp_path: Path
) -> None:
    with sidecar(DESK, control_plane, tmp_path, offline=model.url) as running:
        await say_hello(running)
    assert "jane@acme.example" not in json.dumps(model.bodies)


@pytest.mark.parametrize(
    ("app_id", "expected"),
    [
        ("data-setup", {"customer-state", "system-state"}),
        ("knowledge-base", set[str]()),
        ("offline-model", set[str]()),
    ],
)
async def test_an_app_sees_only_what_it_needs(
    control_plane: ControlPlane, tmp_path: Path, app_id: str, expected: set[str]
) -> None:
    with sidecar(app_id, control_plane, tmp_path) as running:
        assert loaded(running) == expected


async def test_the_desk_sees_every_component(control_plane: ControlPlane, tmp_path: Path) -> None:
    with sidecar(DESK, control_plane, tmp_path) as running:
        assert loaded(running) == {path.stem for path in (ROOT / "resources").glob("*.yaml")} - {"workflow-anchor"}


@pytest.mark.parametrize("app_id", [DESK, "anything"])
def test_workflow_actors_stay_while_no_worker_is_connected(
    control_plane: ControlPlane, tmp_path: Path, app_id: str
) -> None:
    """The product's own anchor holds the workflow actors, and so does the one of `dapr_bridge.testing`."""
    write_sqlite_store(tmp_path / "plain", "execution-state", tmp_path / "execution.db", actors=True)
    anchored = sidecar(app_id, control_plane, tmp_path) if app_id == DESK else plain_sidecar(control_plane, tmp_path)
    with anchored as running:
        client = DaprWorkflowClient(host="127.0.0.1", port=str(running.grpc_port))
        try:
            # Without the actors daprd could not even tell: "did not find address for actor".
            with pytest.raises(grpc.RpcError, match="no such instance exists"):
                client.raise_workflow_event("nobody", "anything")
        finally:
            client.close()
