"""Dapr's Conversation API reaches the offline model: the way by which the desk writes to customers."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.local_services import OfflineModel, running_offline_model

pytestmark = pytest.mark.anyio

COMPONENT = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: writer
spec:
  type: conversation.openai
  version: v1
  metadata:
    - {{name: key, value: offline}}
    - {{name: model, value: offline-support}}
    - {{name: endpoint, value: "{endpoint}"}}
"""
INSTRUCTIONS = "Write the notification message to the customer around the approved text."
REQUEST = """\
<customer_name>Acme Corporation</customer_name>
<summary>Redis refuses connections; write to dba@acme.example</summary>
<text>[[SOLUTION]]</text>
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OfflineModel]:
    with running_offline_model(tmp_path) as running:
        yield running


@pytest.fixture
def sidecar(server: OfflineModel, control_plane: ControlPlane, tmp_path: Path) -> Iterator[Sidecar]:
    resources = tmp_path / "resources"
    resources.mkdir()
    (resources / "writer.yaml").write_text(COMPONENT.format(endpoint=server.base_url))
    with Sidecar("conversation-test", control_plane=control_plane, resources=resources, folder=tmp_path) as running:
        yield running


async def test_a_customers_message_is_written_with_addresses_scrubbed(sidecar: Sidecar, server: OfflineModel) -> None:
    messages = [{"ofSystem": {"content": [{"text": INSTRUCTIONS}]}}, {"ofUser": {"content": [{"text": REQUEST}]}}]
    url = f"http://127.0.0.1:{sidecar.http_port}/v1.0-alpha2/conversation/writer/converse"
    async with httpx2.AsyncClient(timeout=30) as client:
        response = await client.post(url, json={"inputs": [{"messages": messages, "scrubPii": True}]})
    letter = response.raise_for_status().json()["outputs"][0]["choices"][0]["message"]["content"]
    assert letter.startswith("Hello Acme Corporation,")
    assert "\n\n[[SOLUTION]]\n\n" in letter
    assert "dba@acme.example" not in letter
    assert "offline model" in letter
    assert [(call["node"], call["kind"], call["status"]) for call in server.calls()] == [(None, "text", 200)]
