"""The caller's callbacks: they stay in its process, where the run is one step to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.callbacks import (
    GraphInterruptEvent,
    GraphLifecycleStatus,
    GraphResumeEvent,
    get_async_graph_callback_manager_for_config,
)
from langgraph.pregel import Pregel
from langgraph.types import Command

from dapr_bridge._langgraph import callbacks_of
from dapr_bridge.calling import GraphResult
from dapr_bridge.saver import DaprSaver


@dataclass(kw_only=True)
class Report:
    """What the callbacks of one call are told of its run.

    Attributes:
        config: the call's config.
        run_id: the run, as callbacks know it.
        is_heard: whether there are callbacks.
        output: what the end of the run is told with: LangGraph's output, without what was asked.
    """

    config: RunnableConfig
    run_id: UUID | None
    is_heard: bool
    output: Any = None

    async def begins(self, given: Any, saver: DaprSaver) -> None:
        """Tell LangGraph's handlers that a run goes on from where its thread stands, if it does."""
        manager = get_async_graph_callback_manager_for_config(self.config, run_id=self.run_id)
        has_thread = "thread_id" in self.config.get("configurable", {})
        if not manager.handlers or not has_thread or not (given is None or isinstance(given, Command)):
            return
        found = await saver.aget_tuple(self.config)
        if found:
            await manager.on_resume(
                GraphResumeEvent(
                    run_id=self.run_id, status="pending", checkpoint_id=found.checkpoint["id"], checkpoint_ns=()
                )
            )

    async def ends(
        self, result: GraphResult, graph: Pregel[Any, Any, Any, Any] | None, options: Mapping[str, Any]
    ) -> None:
        """Tell LangGraph's handlers that a run is interrupted, if it is."""
        manager = get_async_graph_callback_manager_for_config(self.config, run_id=self.run_id)
        if not manager.handlers or result.status != "interrupted":
            return
        await manager.on_interrupt(
            GraphInterruptEvent(
                run_id=self.run_id,
                status=await _status(result, graph, options),
                checkpoint_id=result.checkpoint_id,
                checkpoint_ns=(),
                interrupts=tuple(result.interrupts),
            )
        )


@asynccontextmanager
async def reported(config: RunnableConfig, *, name: str, given: Any) -> AsyncGenerator[Report]:
    """Report a run to the callbacks of its config: its start, its end with the output that is noted, its error."""
    manager = callbacks_of(config)
    run = await manager.on_chain_start(None, given, name=config.get("run_name") or name, run_id=config.get("run_id"))
    report = Report(config=config, run_id=run.run_id, is_heard=bool(manager.handlers))
    try:
        yield report
    except BaseException as error:
        await run.on_chain_error(error)
        raise
    await run.on_chain_end(report.output)


async def _status(
    result: GraphResult, graph: Pregel[Any, Any, Any, Any] | None, options: Mapping[str, Any]
) -> GraphLifecycleStatus:
    if result.interrupts or graph is None:
        return "pending"
    given = options.get("interrupt_before", graph.interrupt_before_nodes)
    before = [given] if isinstance(given, str) else given
    stands_at = await graph.aget_state({"configurable": {"thread_id": result.thread_id}})
    is_before = "*" in before or not set(before).isdisjoint(stands_at.next)
    return "interrupt_before" if is_before else "interrupt_after"
