"""LangGraph's events one by one; a subgraph saves nothing before what it has streamed is dealt with.

Between two supersteps of the outermost graph LangGraph waits until all that was streamed is taken; subgraphs go on
without asking. What one had streamed of a superstep that is saved would be lost with its worker, for no attempt runs
that again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import StreamMode

from dapr_bridge._langgraph import INTERRUPT
from dapr_bridge._saver_view import SaverView

logger = logging.getLogger(__name__)

Chunk = tuple[tuple[str, ...], str, Any]
"""Namespace, stream mode and payload of an event."""

# LangGraph hands an event on within a few turns of the event loop.
_TURNS_FOR_AN_EVENT = 16

# A run is worth more than its events, and a sibling may stream for ever.
_PATIENCE_SECONDS = 5.0


async def streamed(
    graph: Pregel[Any, Any, Any, Any],
    value: Any,
    config: RunnableConfig,
    *,
    modes: Sequence[StreamMode],
    subgraphs: bool,
    **arguments: Any,
) -> AsyncGenerator[Chunk]:
    """Run a graph, on a view of its saver, and yield its events; to be closed by who does not come to the end.

    Args:
        graph: the graph; its checkpointer is a `SaverView`.
        value: LangGraph's input.
        config: LangGraph's.
        modes: the stream modes.
        subgraphs: whether events of subgraphs are yielded.
        arguments: more arguments for LangGraph's `astream`.
    """
    taking = _Taking()
    if subgraphs:
        cast("SaverView", graph.checkpointer).before_nested = taking.caught_up
    # In the older shape an event without subgraphs does not say its namespace, and what a `@task` writes has one.
    arguments = {**arguments, "durability": "sync", "version": "v2"}
    stream = graph.astream(value, config, stream_mode=list(modes), subgraphs=subgraphs, **arguments)
    async with aclosing(cast("AsyncGenerator[Any]", stream)) as parts:
        async for part in parts:
            taking.begin()
            try:
                yield _chunk(part)
            finally:
                taking.end()


def _chunk(part: Mapping[str, Any]) -> Chunk:
    data = {**part["data"], INTERRUPT: part["interrupts"]} if part.get("interrupts") else part["data"]
    return part["ns"], part["type"], data


class _Taking:
    """Whether whoever takes the events is at one of them; he takes all that there are without a pause."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def begin(self) -> None:
        self._is_idle.clear()

    def end(self) -> None:
        self._is_idle.set()

    async def caught_up(self) -> None:
        """Wait until all that was streamed is dealt with; not on a loop of a node's own, on which nobody can tell."""
        if asyncio.get_running_loop() is not self._loop:
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._idle_for_long()
        except TimeoutError:
            logger.warning("a subgraph goes on though not all that it has streamed is published yet")

    async def _idle_for_long(self) -> None:
        turns = 0
        while turns < _TURNS_FOR_AN_EVENT:
            if not self._is_idle.is_set():
                await self._is_idle.wait()
                turns = 0
            await asyncio.sleep(0)
            turns += 1
