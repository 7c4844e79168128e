"""How a run has ended, as its workflow and its caller are told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import GraphDrained, ParentCommand
from langgraph.pregel import Pregel
from langgraph.types import GraphOutput, Interrupt, StateSnapshot

from dapr_bridge._payloads import INLINE_BYTES
from dapr_bridge._pending import PendingTasks
from dapr_bridge._run_values import RunValues
from dapr_bridge._saver_view import SaverView
from dapr_bridge._wire import ONE_RUN, Failure, RunOutcome, refused
from dapr_bridge.errors import StaleWriterError, StateStoreError, ThreadLostError

logger = logging.getLogger(__name__)

_MOST_ASKED_BYTES = 1 << 20
"""What all questions of a run take in history that are not in the saver."""

_MOST_SAID = 8_000
"""Characters of an error's message that travel."""

_TO_NOBODY = (
    "a node has returned Command(graph=Command.PARENT), and the run has no graph around it: as a node of another graph "
    "a DurableGraph is a run of its own. Host the graph around, with the graphs as its nodes"
)

NOT_OF_THE_GRAPH = (StateStoreError, StaleWriterError, ThreadLostError)
"""What ends an attempt and not the run: the next attempt goes on from where the thread stands."""


@dataclass(frozen=True, kw_only=True)
class RunEnds:
    """Tells how runs of one graph have ended, by where their threads stand."""

    graph: Pregel[Any, Any, Any, Any]
    values: RunValues

    async def ended(
        self, output: GraphOutput[Any], run_id: str, config: RunnableConfig, view: SaverView | None = None
    ) -> RunOutcome:
        snapshot = await self._snapshot(config, view)
        # Not the state's: at a breakpoint in a subgraph it still shows a question that this run has answered.
        most = min(INLINE_BYTES, _MOST_ASKED_BYTES // max(1, len(output.interrupts)))
        interrupts = [await self._question(each, run_id, most=most) for each in output.interrupts]
        return RunOutcome(
            status="interrupted" if snapshot.next else "finished",
            checkpoint_id=_checkpoint_id(snapshot),
            output=await self.values.keep(
                output.value, f"{run_id}/output/{_checkpoint_id(snapshot)}", what="the output"
            ),
            interrupts=interrupts,
            run_id=run_id if interrupts else "",
        )

    async def _question(self, asked: Interrupt, run_id: str, *, most: int) -> dict[str, Any]:
        name, what = f"{run_id}/interrupt/{asked.id}", f"question {asked.id!r}"
        kept = {"id": asked.id, "value": await self.values.keep(asked.value, name, what=what, most=most)}
        if asked.response_schema is None:
            return kept
        schema = await self.values.keep(
            asked.response_schema, f"{name}/schema", what=f"the schema of {what}", most=most
        )
        return {**kept, "schema": schema}

    async def drained(self, drained: GraphDrained, config: RunnableConfig) -> RunOutcome:
        snapshot = await self.graph.aget_state(config)
        return RunOutcome(status="drained", checkpoint_id=_checkpoint_id(snapshot), reason=drained.reason)

    def refused(self, run_id: str, head: CheckpointTuple | None) -> RunOutcome:
        questions = PendingTasks.on(head).questions
        waiting = f" (waiting for an answer: {', '.join(repr(each.id) for each in questions)})" if questions else ""
        return refused(f"run {run_id!r} has begun with another input{waiting}; {ONE_RUN}")

    async def failed(self, error: Exception, config: RunnableConfig) -> RunOutcome:
        snapshot = await self._snapshot_after(error, config)
        failed = next((task for task in snapshot.tasks if task.error is not None), None) if snapshot else None
        return RunOutcome(
            status="failed",
            checkpoint_id=_checkpoint_id(snapshot) if snapshot else "",
            failure=failure_of(error, node=failed.name if failed else None, task_id=failed.id if failed else None),
        )

    async def _snapshot(self, config: RunnableConfig, view: SaverView | None) -> StateSnapshot:
        """Return where a thread stands; of a run that has just ended, without a read if its view saw the last put."""
        if view is None:
            return await self.graph.aget_state(config)
        view.hand_out_last()
        return await self.graph.copy({"checkpointer": view}).aget_state(config)

    async def _snapshot_after(self, error: Exception, config: RunnableConfig) -> StateSnapshot | None:
        try:
            return await self.graph.aget_state(config)
        except NOT_OF_THE_GRAPH:
            raise
        except Exception:
            # After conflicting writes LangGraph cannot read the state either; the run's own error matters more.
            logger.warning("state cannot be read after %r", error, exc_info=True)
            return None


def failure_of(error: Exception, *, node: str | None, task_id: str | None) -> Failure:
    """Return what went wrong at a node, at no more length than history carries."""
    message = _TO_NOBODY if isinstance(error, ParentCommand) else str(error)
    if len(message) > _MOST_SAID:
        message = f"{message[:_MOST_SAID]}... ({len(message):,} characters)"
    return Failure(node=node, task_id=task_id, error_type=type(error).__name__, message=message)


def _checkpoint_id(snapshot: StateSnapshot) -> str:
    return snapshot.config.get("configurable", {}).get("checkpoint_id", "")
