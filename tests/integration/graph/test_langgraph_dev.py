"""`langgraph dev` serves both graphs of `langgraph.json`, driven through its API as Studio does."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langgraph_sdk import get_client

from dapr_bridge.testing import Process, free_port
from tests.kit.local_services import PROJECT, KnowledgeBase, OfflineModel

pytestmark = pytest.mark.anyio

PROBLEM = "In production state.redis reports 'connection refused' and NOAUTH since we set a password on Redis."


@pytest.fixture(scope="module")
def studio(
    offline_model: OfflineModel, knowledge_base: KnowledgeBase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        str(Path(sys.executable).parent / "langgraph"),
        "dev",
        "--no-browser",
        "--no-reload",
        "--port",
        str(port),
    ]
    env = {
        "OPENAI_BASE_URL": offline_model.base_url,
        "KNOWLEDGE_BASE_URL": knowledge_base.url,
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGSMITH_TRACING": "false",
    }
    log = tmp_path_factory.mktemp("studio") / "langgraph.log"
    with Process(command, log=log, env=env, cwd=PROJECT) as process:
        process.wait_for_http(f"{url}/ok", seconds=60)
        yield url


async def test_both_graphs_run_through_the_api(studio: str) -> None:
    async with get_client(url=studio) as client:
        assert {found["graph_id"] for found in await client.assistants.search()} == {"triage", "expert"}
        ticket = {"ticket_id": "T-1", "customer_id": "CUST001", "description": PROBLEM}
        triage = (await client.runs.wait(None, "triage", input=ticket))["triage"]
        assert (triage["customer"]["name"], triage["entitled"]) == ("Acme Corporation", True)
        question = {"ticket_id": "T-1", "description": PROBLEM, "triage": triage, "feedback": None}
        analysis = (await client.runs.wait(None, "expert", input=question))["analysis"]
        assert "KB-CON-012" in {source["article_id"] for source in analysis["sources"]}


async def test_the_nodes_of_a_thread_can_be_watched(studio: str) -> None:
    async with get_client(url=studio) as client:
        thread = await client.threads.create()
        ticket = {"ticket_id": "T-2", "customer_id": "CUST404", "description": PROBLEM}
        seen: list[str] = []
        async for part in client.runs.stream(thread["thread_id"], "triage", input=ticket, stream_mode="updates"):
            seen += list(part.data) if part.event == "updates" else []
        assert set(seen) == {"request_lookups", "lookup_customer", "lookup_system_info", "check_entitlement", "report"}
        state = await client.threads.get_state(thread["thread_id"])
        assert state["values"]["triage"]["known"] is False
