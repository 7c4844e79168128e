"""A thread that the desk ran is listed, inspected and forked through the API that LangGraph Studio talks to."""

from __future__ import annotations

import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from dapr_bridge import DaprSaver
from dapr_bridge.testing import ControlPlane, Process, free_port
from examples.studio.open_thread import open_thread
from examples.survives_a_kill import graph as order
from tests.kit.desk_stack import PROJECT, DeskStack

pytestmark = pytest.mark.anyio

TICKET = "T-STUDIO"
THREAD = f"{TICKET}/expert/1"


@pytest.fixture(scope="module")
def desk(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskStack]:
    """A desk whose expert has proposed a solution."""
    with DeskStack(tmp_path_factory.mktemp("studio-desk"), control_plane) as desk:
        desk.file(TICKET)
        desk.wait_for_stage(TICKET, "awaiting_approval", seconds=60)
        yield desk


@pytest.fixture(scope="module")
def studio_url(desk: DeskStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`langgraph dev` beside the desk, as the example's README starts it."""
    langgraph, port = Path(sys.executable).with_name("langgraph"), free_port()
    options = ["--config", "examples/studio/langgraph.json", "--no-browser", "--no-reload", "--port", str(port)]
    env = {
        **desk.sidecar.environment(),
        "OPENAI_BASE_URL": f"{desk.model_url}/v1",
        "KNOWLEDGE_BASE_URL": f"http://127.0.0.1:{desk.knowledge_port}/mcp",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGSMITH_TRACING": "false",
    }
    log = tmp_path_factory.mktemp("studio") / "langgraph.log"
    with Process([str(langgraph), "dev", *options], log=log, env=env, cwd=PROJECT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/ok", seconds=120)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def studio(studio_url: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=studio_url) as client:
        yield client


@pytest.fixture
def saver(desk: DeskStack) -> Iterator[DaprSaver]:
    """The saver that the desk's worker has too."""
    with DaprSaver("execution-state", address=desk.sidecar.address) as saver:
        yield saver


async def checkpoints(saver: DaprSaver, thread_id: str) -> list[str]:
    found = saver.alist({"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}})
    return [each.checkpoint["id"] async for each in found]


async def test_a_thread_of_the_desk_is_listed_inspected_and_forked(
    desk: DeskStack, studio: LangGraphClient, studio_url: str, saver: DaprSaver
) -> None:
    before = await checkpoints(saver, THREAD)

    thread_id = await open_thread(THREAD, "expert", url=studio_url, address=desk.sidecar.address)

    assert thread_id in {listed["thread_id"] for listed in await studio.threads.search(metadata={"copy_of": THREAD})}
    state = await studio.threads.get_state(thread_id)
    assert state["values"]["analysis"] == desk.ticket(TICKET)["analysis"]
    history = await studio.threads.get_history(thread_id, limit=100)
    assert [each["checkpoint"]["checkpoint_id"] for each in history] == before
    early = history[-2]
    assert (early["next"], "analysis" in early["values"]) == (["recall_tickets"], False)
    changed = {"description": "state.redis reports NOAUTH since we set a password."}
    fork = await studio.threads.update_state(thread_id, changed, checkpoint=early["checkpoint"], as_node="__start__")
    again = await studio.runs.wait(thread_id, "expert", input=None, checkpoint=fork["checkpoint"])
    assert "KB-CON-012" in {source["article_id"] for source in again["analysis"]["sources"]}
    assert "KB-CON-012" not in {source["article_id"] for source in state["values"]["analysis"]["sources"]}
    assert await checkpoints(saver, THREAD) == before


async def test_a_thread_whose_id_is_a_uuid_is_forked_and_deleted_where_it_is(
    desk: DeskStack, studio: LangGraphClient, studio_url: str, saver: DaprSaver
) -> None:
    name, kept = str(uuid.uuid4()), order.copy({"checkpointer": saver})
    config: RunnableConfig = {"configurable": {"thread_id": name}}
    await kept.aupdate_state(config, {"done": ["reserve"]}, as_node="reserve")
    with pytest.raises(NotFoundError, match=f"Thread with ID {name} not found"):
        await studio.threads.get_state(name)

    assert await open_thread(name, "order", url=studio_url, address=desk.sidecar.address) == name
    await studio.threads.update_state(name, {"done": ["charge by hand"]}, as_node="charge")

    state = await kept.aget_state(config)
    assert (state.values["done"], state.next) == (["reserve", "charge by hand"], ("ship",))
    await studio.threads.delete(name)
    assert await checkpoints(saver, name) == []


async def test_a_thread_that_is_opened_again_brings_along_what_is_new(
    desk: DeskStack, studio: LangGraphClient, studio_url: str, saver: DaprSaver
) -> None:
    kept = order.copy({"checkpointer": saver})
    for step in ("reserve", "charge"):
        await kept.aupdate_state({"configurable": {"thread_id": "by/name"}}, {"done": [step]}, as_node=step)
        thread_id = await open_thread("by/name", "order", url=studio_url, address=desk.sidecar.address)

    assert (await studio.threads.get_state(thread_id))["values"]["done"] == ["reserve", "charge"]


async def test_what_cannot_be_opened(desk: DeskStack, studio: LangGraphClient, studio_url: str) -> None:
    with pytest.raises(UnprocessableEntityError, match="Invalid thread ID: must be a UUID"):
        await studio.threads.create(thread_id=THREAD)
    with pytest.raises(LookupError, match="no thread 'T-NONE/expert/1'"):
        await open_thread("T-NONE/expert/1", "expert", url=studio_url, address=desk.sidecar.address)
