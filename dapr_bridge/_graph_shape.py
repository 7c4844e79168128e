"""A graph's shape: its fingerprint, and whether a run that another shape has driven can go on with it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, StateSnapshot

from dapr_bridge._graph_runs import GraphRuns
from dapr_bridge._langgraph import TASKS, after_write, called_by
from dapr_bridge._run_values import GivenReferenceError
from dapr_bridge._wire import Failure, RunOutcome, RunRequest, refused
from dapr_bridge.errors import GraphChangedError

logger = logging.getLogger(__name__)

Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class GraphShape:
    """The shape of one graph of this worker.

    Attributes:
        name: the graph's name.
        runs: its runs.
        fingerprint: what `fingerprint` gives for it.
    """

    name: str
    runs: GraphRuns
    fingerprint: str

    async def refuse(self, request: RunRequest, run_id: str, before: str) -> RunOutcome | None:
        """Tell why a run cannot go on with this graph; None when it can.

        Args:
            request: what is asked for.
            run_id: the run.
            before: fingerprint of the graph that its thread was driven by, when it is another.
        """
        place = {"thread_id": request.thread_id}
        checkpoint_id = request.config.get("configurable", {}).get("checkpoint_id")
        if not before and not checkpoint_id:
            return None
        goes_on = request.stage is not None or bool(request.answers)
        if not goes_on and not await self._is_made_by(run_id, {"configurable": place}):
            try:
                continues = await self._continues(request)
            except GivenReferenceError as error:
                return refused(str(error))
            if not continues:
                return None
            if checkpoint_id:
                place |= {"checkpoint_id": checkpoint_id, "checkpoint_ns": ""}
        missing = await self._find_missing({"configurable": place})
        if missing:
            return RunOutcome(status="failed", failure=self._failure(missing))
        if before:
            logger.warning(
                "graph %r has changed from %s to %s; the run goes on",
                self.name,
                before,
                self.fingerprint,
                extra={"thread_id": request.thread_id, "run_id": run_id},
            )
        return None

    async def _is_made_by(self, run_id: str, place: RunnableConfig) -> bool:
        return await self.runs.saver.ais_made_by(run_id, await self.runs.saver.aget_tuple(place))

    async def _continues(self, request: RunRequest) -> bool:
        """Tell whether a run that begins takes up what its thread has to do next; an ordinary input discards that."""
        value = await self.runs.values.given(request.input, what="the input")
        return value is None or isinstance(value, Command)

    async def _find_missing(self, config: RunnableConfig) -> list[str]:
        graph = self.runs.graph
        missing = missing_in(graph, await self.runs.saver.aget_tuple(config))
        if missing or not dict(graph.get_subgraphs()):
            return missing
        return await self._missing_below(graph, await graph.aget_state(config, subgraphs=True))

    async def _missing_below(self, graph: Graph, snapshot: StateSnapshot) -> list[str]:
        subgraphs = dict(graph.get_subgraphs())
        missing: list[str] = []
        for task in snapshot.tasks:
            inner = subgraphs.get(task.name)
            if isinstance(task.state, StateSnapshot) and isinstance(inner, Pregel):
                here = missing_in(inner, await self.runs.saver.aget_tuple(task.state.config))
                below = here or await self._missing_below(cast("Graph", inner), task.state)
                missing += [f"{task.name}/{each}" for each in below]
        return missing

    def _failure(self, missing: list[str]) -> Failure:
        nodes = ", ".join(sorted(repr(each) for each in self.runs.graph.nodes if each != "__start__"))
        text = (
            f"the run has to go on with {', '.join(map(repr, missing))}, and graph {self.name!r} of this worker lacks "
            f"that; it has {nodes}. Start a worker whose graph has it, and call again"
        )
        return Failure(node=None, task_id=None, error_type=GraphChangedError.__name__, message=text)


def missing_in(graph: Graph, saved: CheckpointTuple | None) -> list[str]:
    """Return the nodes, or the joins, that a checkpoint calls next and that a graph lacks.

    LangGraph itself would leave them out without a word.
    """
    if saved is None:
        return []
    missing = dict.fromkeys(_sent_elsewhere(graph, saved))
    for channel, value in _pending_values(saved).items():
        called = called_by(channel, value)
        if called is None or channel in graph.channels:
            continue
        if called.node in graph.nodes:
            # Its node is there, but what has arrived at this join would be forgotten.
            missing[channel] = None
        elif called.is_next:
            missing[called.node] = None
    return list(missing)


def _pending_values(saved: CheckpointTuple) -> Mapping[str, Any]:
    """Return a checkpoint's values as they are once what its finished tasks have written is applied."""
    values = dict(saved.checkpoint["channel_values"])
    for _, channel, written in saved.pending_writes or ():
        values[channel] = after_write(channel, values.get(channel), written)
    return values


def _sent_elsewhere(graph: Graph, saved: CheckpointTuple) -> Iterator[str]:
    waiting = list(saved.checkpoint["channel_values"].get(TASKS) or ())
    written = [value for _, channel, value in saved.pending_writes or () if channel == TASKS]
    for each in (*waiting, *written):
        if isinstance(each, Send) and each.node not in graph.nodes:
            yield each.node


def fingerprint(graph: Graph) -> str:
    """Return a hash of a graph's shape: its nodes, edges, channels, and subgraphs; the same in every process."""
    return hashlib.sha256(json.dumps(_shape(graph), sort_keys=True).encode()).hexdigest()[:16]


def _shape(graph: Graph, *above: Graph) -> dict[str, Any]:
    subgraphs = {
        name: _shape(cast("Graph", each), graph, *above)
        for name, each in graph.get_subgraphs()
        if isinstance(each, Pregel) and each not in (graph, *above)
    }
    return {
        "nodes": {name: sorted(map(str, node.triggers)) for name, node in graph.nodes.items()},
        "edges": _edges(graph),
        "channels": {
            name: channel.__name__ if isinstance(channel, type) else type(channel).__name__
            for name, channel in graph.channels.items()
        },
        "subgraphs": subgraphs,
    }


def _edges(graph: Graph) -> list[str]:
    if not isinstance(graph, CompiledStateGraph):
        return []
    built = graph.builder
    plain = [f"{start} -> {end}" for start, end in built.edges]
    joined = [f"{'+'.join(starts)} -> {end}" for starts, end in built.waiting_edges]
    chosen = [
        f"{start} -{name}-> {sorted((branch.ends or {}).values())}"
        for start, branches in built.branches.items()
        for name, branch in branches.items()
    ]
    return sorted([*plain, *joined, *chosen])
