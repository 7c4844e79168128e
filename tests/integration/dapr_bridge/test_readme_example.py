"""The code of the bridge's README does what the page says."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import pytest
from dapr.ext.workflow import DaprWorkflowClient
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from dapr_bridge import DaprSaver, DaprStore, DurableGraph, GraphFailedError, GraphWorker, call_graph
from dapr_bridge.testing import Sidecar, local_dapr
from tests.parity.hosting import collect_event_loops
from tests.parity.shapes.agent_models import ToldModel

# Dapr's SDK leaves an event loop of a stopped worker open.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]

README = Path(__file__).resolve().parents[3] / "dapr_bridge" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
OWN = [each for each in BLOCKS if not each.startswith("# examples/")]


def block(text: str) -> str:
    """The first block that has a text."""
    return next(each for each in OWN if text in each)


PROGRAM, TESTS, WORKFLOW = block("def build"), block("import pytest"), block("def ticket")
QUESTIONS, ERRORS, AGENT = block("__interrupt__"), block("except GraphFailedError"), block("def build_agent")
OTHERS = [each for each in OWN if each not in (PROGRAM, TESTS, QUESTIONS, ERRORS, AGENT) and "call_graph(" not in each]


class State(TypedDict, total=False):
    """What the README's graph has."""

    question: str
    answer: str


def graph_of(node: Any) -> Any:
    """A graph of one node."""
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


async def asking(state: State) -> State:
    return {"answer": interrupt(state.get("question"))}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with local_dapr(tmp_path_factory.mktemp("readme"), app_id="readme") as sidecar:
        yield sidecar


@pytest.fixture(scope="module")
def shout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The first block, saved as `shout.py` as the page has it, beside the tests that it shows."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "shout.py").write_text(PROGRAM)
    (folder / "page_tests.py").write_text(TESTS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("shout")
    sys.path.remove(str(folder))


@pytest.fixture(autouse=True)
def no_event_loop_is_left() -> Iterator[None]:
    yield
    collect_event_loops()


@asynccontextmanager
async def hosted(sidecar: Sidecar, **graphs: Any) -> AsyncIterator[dict[str, Any]]:
    """Host graphs; yields the names that the page's blocks use."""
    async with AsyncExitStack() as stack:
        saver = stack.enter_context(DaprSaver("execution-state", address=sidecar.address))
        worker = GraphWorker(graphs=graphs, saver=saver, address=sidecar.address)
        names: dict[str, Any] = {
            "Command": Command,
            "DaprStore": DaprStore,
            "GraphFailedError": GraphFailedError,
            "GraphWorker": GraphWorker,
            "call_graph": call_graph,
            "logging": logging,
            "saver": saver,
            "timedelta": timedelta,
            "worker": worker,
        }
        await run(WORKFLOW, names)
        worker.runtime.register_workflow(names["ticket"], name="ticket")
        await stack.enter_async_context(worker)
        for name, graph in graphs.items():
            client = DurableGraph(graph, name=name, saver=saver, address=sidecar.address)
            names[name] = await stack.enter_async_context(client)
        yield names


async def run(code: str, names: dict[str, Any]) -> None:
    """Run a block as if it stood in an `async def`."""
    running = eval(compile(code, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
    if inspect.isawaitable(running):
        await running


def on_thread(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}}


def test_the_program_answers(sidecar: Sidecar, shout: ModuleType) -> None:
    env = {**sidecar.environment(), "PYTHONPATH": str(README.parents[1])}
    ran = subprocess.run(
        [sys.executable, str(shout.__file__)], env=env, capture_output=True, text=True, timeout=120, check=False
    )

    assert "{'question': 'why?', 'answer': 'WHY?'}" in ran.stdout, ran.stderr


def test_the_tests_that_the_page_shows_pass(sidecar: Sidecar, shout: ModuleType) -> None:
    page_tests = importlib.import_module("page_tests")

    page_tests.test_it_means_the_same_as_the_graph_itself(sidecar)


async def test_a_workflow_of_ones_own_calls_the_graph(sidecar: Sidecar, shout: ModuleType) -> None:
    async with hosted(sidecar, shout=shout.build()) as names:
        client = DaprWorkflowClient(host="127.0.0.1", port=str(sidecar.grpc_port))
        instance = client.schedule_new_workflow("ticket", input="T-1", instance_id="page-ticket")
        ended = await asyncio.to_thread(client.wait_for_workflow_completion, instance, timeout_in_seconds=60)
        client.close()

        assert ended is not None
        assert ended.runtime_status.name == "COMPLETED", ended
        assert (await names["shout"].aget_state(on_thread("T-1/shout"))).values["answer"] == "WHY?"


async def test_a_question_is_answered(sidecar: Sidecar) -> None:
    async with hosted(sidecar, shout=graph_of(asking)) as names:
        await run(QUESTIONS, names | {"config": on_thread("asking")})

        assert (await names["shout"].aget_state(on_thread("asking"))).values == {"question": "why?", "answer": "yes"}


async def test_a_failed_run_goes_on_when_it_is_mended(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    failures = ["out of paper"]

    async def failing(_: State) -> State:
        if failures:
            raise RuntimeError(failures.pop())
        return {"answer": "printed"}

    async with hosted(sidecar, shout=graph_of(failing)) as names:
        await run(ERRORS, names | {"config": on_thread("failing")})

        assert "node: RuntimeError: out of paper" in caplog.messages
        assert (await names["shout"].aget_state(on_thread("failing"))).values["answer"] == "printed"


@tool
async def find(word: str) -> str:
    """Say whether there is some of it."""
    return f"no {word}"


@tool
async def order(word: str) -> str:
    """Order some of it."""
    return f"{word} is ordered"


async def test_an_agent_is_swapped(sidecar: Sidecar) -> None:
    names: dict[str, Any] = {
        "Command": Command,
        "HumanInTheLoopMiddleware": HumanInTheLoopMiddleware,
        "create_agent": create_agent,
        "find": find,
        "order": order,
    }
    await run(AGENT, names)
    build, stock_up = lambda: names["build_agent"](_Buyer()), names["stock_up"]

    plain = await stock_up(build().copy({"checkpointer": InMemorySaver()}), on_thread("agent"))
    async with hosted(sidecar, agent=build()) as hosts:
        durable = await stock_up(hosts["agent"], on_thread("agent"))

    said = [message.content for message in durable["messages"]]
    assert said == [message.content for message in plain["messages"]]
    assert "milk is ordered" in said


class _Buyer(ToldModel):
    """Does what it is told, whatever it is asked."""

    def _generate(self, messages: list[BaseMessage], *given: Any, **more: Any) -> ChatResult:
        told = HumanMessage("find milk, find tea; order milk, find tea")
        return super()._generate([told, *messages[1:]], *given, **more)


@pytest.mark.parametrize("code", OTHERS, ids=lambda code: re.sub(r"\W+", "-", code[:30]))
async def test_every_other_block_runs(sidecar: Sidecar, shout: ModuleType, code: str) -> None:
    async with hosted(sidecar, shout=shout.build()) as names:
        given = {"config": on_thread(code[:30]), "question": {"question": "why?"}}

        await run(code, names | given | {name: shout.build() for name in ("triage", "expert", "chat", "audit")})
