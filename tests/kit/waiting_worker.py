"""A worker process whose workflow has a graph's questions answered by events.

Run as `python -m tests.kit.waiting_worker`, with the far end's URL in FAR_END, the sidecar in DAPR_GRPC_PORT, and `run`
or `task` in UNIT. A run's own workflow begins anew after each fan-out.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
from collections.abc import Generator
from datetime import timedelta
from typing import Annotated, Any, TypedDict

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, GraphWorker, RunCancelledError, UnansweredError, _workflow, call_graph, wait_for
from tests.kit.counter import leave_mark
from tests.kit.serving import serve_until_stopped

EVENT = "answered"


class Said(TypedDict, total=False):
    """What was answered."""

    words: Annotated[list[str], operator.add]


class Inside(TypedDict, total=False):
    """What a subgraph hears."""

    words: list[str]


def build_inquiry(url: str) -> Any:
    """Two questions of one node, beside one of a subgraph, then an end."""

    async def twice(_: Said) -> Said:
        first = interrupt("one?")
        second = interrupt({"and after": str(first)})
        await asyncio.to_thread(leave_mark, url, "twice")
        return {"words": [f"twice {first} {len(second)}"]}

    async def within(_: Inside) -> Inside:
        answer = interrupt("within?")
        await asyncio.to_thread(leave_mark, url, "within")
        return {"words": [f"within {answer}"]}

    async def close(_: Said) -> Said:
        await asyncio.to_thread(leave_mark, url, "close")
        return {"words": ["closed"]}

    inner = StateGraph(Inside).add_node("within", within).add_edge(START, "within").compile()
    graph = StateGraph(Said)
    graph.add_node("twice", twice)
    graph.add_node("inner", inner)
    graph.add_node("close", close)
    graph.add_edge(START, "twice")
    graph.add_edge(START, "inner")
    graph.add_edge(["twice", "inner"], "close")
    return graph.compile()


def inquiring(ctx: DaprWorkflowContext, given: dict[str, Any]) -> Generator[Any, Any, dict[str, Any]]:
    """Run the inquiry, waiting for its answers as `given` says; tell how it ended."""
    rules = {name: timedelta(seconds=given[name]) for name in ("timeout", "remind_every") if name in given}
    if "default" in given:
        rules["default"] = given["default"]
    wait = wait_for(EVENT, notify="note", **rules)
    try:
        result = yield from call_graph(
            ctx,
            "inquiry",
            {"words": []},
            thread_id=given.get("thread_id", ctx.instance_id),
            run_id=given.get("run_id"),
            on_interrupt=wait,
            as_child=given.get("as_child", False),
        )
    except UnansweredError as error:
        return {"unanswered": sorted(str(each.value) for each in error.interrupts), "message": str(error)}
    except RunCancelledError:
        return {"status": "cancelled"}
    return {"status": result.status, "words": result.output["words"]}


def describe(record: dict[str, Any]) -> str:
    """What a notification says, in a line."""
    questions = sorted(str(each.get("value", "?")) for each in record["questions"])
    said = record["refusal"] or (record["reminder"] if record["reason"] == "reminder" else "")
    return f"{record['reason']} {questions} {said}".strip()


async def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level=logging.INFO)
    url = os.environ["FAR_END"]
    # Hundreds of activities would take their time.
    _workflow._MOST_ACTIVITIES = 1

    async def note(_: WorkflowActivityContext, record: dict[str, Any]) -> None:
        await asyncio.to_thread(leave_mark, url, f"{record['instance_id']}: {describe(record)}")

    with DaprSaver("execution-state") as saver:
        unit = "task" if os.environ.get("UNIT") == "task" else "run"
        worker = GraphWorker(graphs={"inquiry": build_inquiry(url)}, saver=saver, unit=unit, events=None)
        worker.runtime.register_workflow(inquiring, name="inquiring")
        worker.runtime.register_activity(note, name="note")
        await serve_until_stopped(worker)


if __name__ == "__main__":
    asyncio.run(main())
