"""A worker process that hosts the graph in both units, and the workflow that converses with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext
from langgraph.errors import GraphDrained
from langgraph.types import Command

from dapr_bridge import DaprSaver, GraphWorker, Unit, _workflow, call_graph
from tests.chaos.bridge.graph import DRAINS, build_graph
from tests.chaos.bridge.marking import marked
from tests.parity.shape import AnyGraph

STORE = "execution-state"
CONVERSE, CONVERSE_UNNAMED, CONVERSE_DRAINED = "converse", "converse-unnamed", "converse-drained"
"""Workflows that talk with the graph: with a run id for each call, as is advised, without, and after it was drained."""

UNITS: tuple[Unit, ...] = ("run", "task")

OTHER = "other"
"""The name of a graph that is hosted instead of this package's."""


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """Another graph, and the unit in which it runs.

    Attributes:
        build: makes the graph.
        unit: its unit.
        types: classes that its values are of, beside LangGraph's and Python's own.
    """

    build: Callable[[], AnyGraph]
    unit: Unit
    types: Sequence[type] = ()


@dataclass(frozen=True, kw_only=True)
class Post:
    """Where a worker works.

    Attributes:
        name: tells workers apart.
        address: what it takes for its sidecar.
        far_end: where its nodes leave their marks.
        log: where its output goes.
        lease: how long others wait after its last sign of life; None when it takes no leases.
        hosted: what it hosts instead of the graph of this package.
        events: the pub/sub component over which it streams; None when it streams nothing.
    """

    name: str
    address: str
    far_end: str
    log: Path
    lease: timedelta | None = None
    hosted: Hosted | None = None
    events: str | None = None


def graph_name(unit: Unit) -> str:
    """The name under which the graph is hosted in a unit."""
    return f"chaos-{unit}"


def converse(ctx: DaprWorkflowContext, unit: Unit) -> Generator[Any, Any, str]:
    """Run the graph on the thread that is named like this workflow, and answer its questions one at a time."""
    return (yield from _converse(ctx, unit, lambda call: f"{ctx.instance_id}/{call}"))


def converse_unnamed(ctx: DaprWorkflowContext, unit: Unit) -> Generator[Any, Any, str]:
    """Do so with runs that have no names of their own."""
    return (yield from _converse(ctx, unit, lambda _: None))


def converse_drained(ctx: DaprWorkflowContext, unit: Unit) -> Generator[Any, Any, str]:
    """Do so with a first run that one of its nodes drains, and that goes on with another call."""
    run_id = f"{ctx.instance_id}/0"
    asked = {"graph": graph_name(unit), "thread_id": ctx.instance_id, "run_id": run_id}
    # A worker that is killed when its node has ended, and the wish is on its way, takes that with it.
    with contextlib.suppress(GraphDrained):
        yield from call_graph(ctx, input={}, config={"configurable": {DRAINS: 1}}, **asked)
    return (yield from _converse(ctx, unit, lambda call: f"{ctx.instance_id}/{call}", is_begun=True))


def _converse(
    ctx: DaprWorkflowContext, unit: Unit, name: Callable[[int], str | None], *, is_begun: bool = False
) -> Generator[Any, Any, str]:
    asked = {"graph": graph_name(unit), "thread_id": ctx.instance_id}
    result = yield from call_graph(ctx, input=None if is_begun else {}, run_id=name(0), **asked)
    for call in itertools.count(1):
        if result.status != "interrupted":
            break
        question = min(result.interrupts, key=lambda each: each.value)
        ctx.set_custom_status(question.value)
        answer = yield ctx.wait_for_external_event(question.value)
        result = yield from call_graph(ctx, input=Command(resume={question.id: answer}), run_id=name(call), **asked)
    return result.status


def serve(post: Post) -> None:
    """Work until killed."""
    log = os.open(post.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_serve(post))


async def _serve(post: Post) -> None:
    # The three Sends count as wide, the two questions do not.
    _workflow._MOST_TASKS = 2
    graphs, units = _graphs(post)
    types = post.hosted.types if post.hosted else ()
    with DaprSaver(STORE, address=post.address, allowed_types=types) as saver:
        worker = GraphWorker(
            graphs=graphs,
            unit=units,
            saver=saver,
            address=post.address,
            events=post.events,
            lease=post.lease,
        )
        worker.runtime.register_workflow(converse, name=CONVERSE)
        worker.runtime.register_workflow(converse_unnamed, name=CONVERSE_UNNAMED)
        worker.runtime.register_workflow(converse_drained, name=CONVERSE_DRAINED)
        async with worker:
            await asyncio.Event().wait()


def _graphs(post: Post) -> tuple[dict[str, Any], dict[str, Unit]]:
    """Return what a worker hosts, by name, and the units."""
    if post.hosted:
        graph = marked(post.hosted.build(), far_end=post.far_end, worker=post.name)
        return {OTHER: graph}, {OTHER: post.hosted.unit}
    graph = build_graph(post.far_end, post.name)
    return {graph_name(unit): graph for unit in UNITS}, {graph_name(unit): unit for unit in UNITS}
