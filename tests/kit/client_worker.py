"""A worker process with the graphs that the client's tests stream, cancel and compare with plain LangGraph.

Run as `python -m tests.kit.client_worker`, with the far end's URL in FAR_END and the sidecar in DAPR_GRPC_PORT; EVENTS
names the pub/sub component, and is empty for a worker that streams nothing; STORE names the state store.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
from collections.abc import Generator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.runtime import Runtime
from langgraph.types import Send, interrupt
from pydantic import BaseModel

from dapr_bridge import DaprSaver, GraphNotFoundError, GraphWorker, RunCancelledError, call_graph
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped


class State(TypedDict, total=False):
    """Words that are gathered."""

    words: Annotated[list[str], operator.add]


class Talk(TypedDict, total=False):
    """A conversation."""

    messages: Annotated[list[AnyMessage], add_messages]


class Typed(BaseModel):
    """A state with a type of its own."""

    count: int = 0


@dataclass
class Tone:
    """A static context."""

    loud: bool = False


def build_chain(url: str) -> Any:
    """Three nodes; each leaves a mark between two custom events."""

    def step(name: str) -> Any:
        async def node(_: State) -> State:
            write = get_stream_writer()
            write(f"{name} begins")
            await asyncio.to_thread(leave_mark, url, name)
            write({"done": name})
            return {"words": [name]}

        return node

    graph = StateGraph(State)
    for name in ("one", "two", "three"):
        graph.add_node(name, step(name))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    graph.add_edge("two", "three")
    return graph.compile()


def build_blocking() -> Any:
    """Two nodes that are plain functions."""

    def one(_: State) -> State:
        return {"words": ["one"]}

    def two(_: State) -> State:
        return {"words": ["two"]}

    graph = StateGraph(State)
    graph.add_node("one", one)
    graph.add_node("two", two)
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile()


def build_loop() -> Any:
    """Forty supersteps of one node."""

    async def again(_: State) -> State:
        return {"words": ["again"]}

    graph = StateGraph(State)
    graph.add_node("again", again)
    graph.add_edge(START, "again")
    graph.add_conditional_edges("again", lambda state: "again" if len(state["words"]) < 40 else END)
    return graph.compile()


def build_form() -> Any:
    """A long question that says what an answer looks like."""

    async def ask(_: State) -> State:
        return {"words": [str(interrupt("long? " * 4000, response_schema=Typed))]}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    return graph.compile()


def build_crowd() -> Any:
    """Seven hundred questions at once, of 4.5 MB in all."""

    async def ask(sent: dict[str, int]) -> State:
        return {"words": [interrupt(f"{sent['number']} {'x' * 6500}")]}

    graph = StateGraph(State)
    graph.add_node("ask", ask)
    graph.add_conditional_edges(START, lambda _: [Send("ask", {"number": n}) for n in range(700)], ["ask"])
    return graph.compile()


def build_fan(url: str) -> Any:
    """Three Sends side by side, then a join."""

    async def work(sent: dict[str, int]) -> State:
        await asyncio.to_thread(leave_mark, url, f"work-{sent['number']}")
        return {"words": [f"work-{sent['number']}"]}

    async def join(state: State) -> State:
        return {"words": [f"{len(state['words'])} words"]}

    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_node("join", join)
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "join")
    return graph.compile()


def build_nested(url: str) -> Any:
    """A node, then a subgraph of three nodes."""

    async def before(_: State) -> State:
        return {"words": ["before"]}

    graph = StateGraph(State)
    graph.add_node("before", before)
    graph.add_node("inside", build_chain(url))
    graph.add_edge(START, "before")
    graph.add_edge("before", "inside")
    return graph.compile()


def build_talk() -> Any:
    """A node that asks a chat model, which streams its words."""

    async def answer(_: Talk) -> Talk:
        model = GenericFakeChatModel(messages=iter([AIMessage(content="a few words", id="answer-1")]))
        return {"messages": [await model.ainvoke("say something")]}

    graph = StateGraph(Talk)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    return graph.compile()


def build_asking() -> Any:
    """Two questions side by side, then an end."""

    def asking(name: str) -> Any:
        async def node(_: State) -> State:
            return {"words": [f"{name}: {interrupt(f'{name}?')}"]}

        return node

    async def close(_: State) -> State:
        return {"words": ["closed"]}

    graph = StateGraph(State)
    graph.add_node("left", asking("left"))
    graph.add_node("right", asking("right"))
    graph.add_node("close", close)
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "close")
    return graph.compile()


def build_failing() -> Any:
    """A node that succeeds, then one that fails."""

    async def fine(_: State) -> State:
        return {"words": ["fine"]}

    async def broken(_: State) -> State:
        raise RuntimeError("as expected")

    graph = StateGraph(State)
    graph.add_node("fine", fine)
    graph.add_node("broken", broken)
    graph.add_edge(START, "fine")
    graph.add_edge("fine", "broken")
    return graph.compile()


def build_typed() -> Any:
    """A state that is a pydantic model, and a context that is a dataclass."""

    async def add(state: Typed, runtime: Runtime[Tone]) -> dict[str, int]:
        return {"count": state.count + (10 if runtime.context.loud else 1)}

    graph = StateGraph(Typed, context_schema=Tone)
    graph.add_node("add", add)
    graph.add_edge(START, "add")
    return graph.compile()


def build_large() -> Any:
    """A state and custom events that are larger than one message of Dapr's."""

    async def fill(_: State) -> State:
        get_stream_writer()("x" * (5 << 20))
        return {"words": ["y" * (5 << 20)]}

    graph = StateGraph(State)
    graph.add_node("fill", fill)
    graph.add_edge(START, "fill")
    return graph.compile()


def build_graphs(url: str) -> dict[str, Any]:
    """All of them, by name."""
    return {
        "chain": build_chain(url),
        "blocking": build_blocking(),
        "loop": build_loop(),
        "form": build_form(),
        "crowd": build_crowd(),
        "fan": build_fan(url),
        "nested": build_nested(url),
        "talk": build_talk(),
        "asking": build_asking(),
        "failing": build_failing(),
        "typed": build_typed(),
        "large": build_large(),
    }


def calling(ctx: DaprWorkflowContext, thread_id: str) -> Generator[Any, Any, str]:
    """Call the chain; tell how that ended."""
    try:
        result = yield from call_graph(ctx, "chain", {"words": ["in"]}, thread_id=thread_id, run_id=f"{thread_id}/run")
    except RunCancelledError:
        return "cancelled"
    return result.status


def calling_nobody(ctx: DaprWorkflowContext, thread_id: str) -> Generator[Any, Any, list[str]]:
    """Call a graph that this worker has not; tell what was said."""
    said: list[str] = []
    for as_child in (False, True):
        try:
            yield from call_graph(ctx, "late", {}, thread_id=thread_id, as_child=as_child)
        except GraphNotFoundError as error:
            said.append(str(error))
    return said


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    with DaprSaver(os.environ.get("STORE", "execution-state")) as saver:
        graphs = build_graphs(os.environ["FAR_END"])
        events = os.environ.get("EVENTS", "message-pubsub") or None
        worker = GraphWorker(graphs=graphs, saver=saver, events=events)
        worker.runtime.register_workflow(calling, name="calling")
        worker.runtime.register_workflow(calling_nobody, name="calling_nobody")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
