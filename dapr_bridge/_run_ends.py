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

from dapr_bridge._decision import PlannedTask
from dapr_bridge._payloads import INLINE_BYTES, Payload
from dapr_bridge._pending import PendingTasks
from dapr_bridge._run_values import RunValues
from dapr_bridge._saver_view import SaverView
from dapr_bridge._wire import ONE_RUN, Failure, RunOutcome, Stage, refused
from dapr_bridge.errors import StaleWriterError, StateStoreError, ThreadLostError, ValueNotKeptError

logger = logging.getLogger(__name__)

_MOST_ASKED_BYTES = 1 << 20
"""What all questions of a run take in history that are not in the saver."""

_MOST_SAID = 8_000
"""Characters of an error's message that travel."""

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

    async def failed(self, error: Exception, config: RunnableConfig, run_id: str) -> RunOutcome:
        snapshot = await self._snapshot_after(error, config)
        failed = next((task for task in snapshot.tasks if task.error is not None), None) if snapshot else None
        error, command = await self._with_command(error, _command_name(run_id))
        return RunOutcome(
            status="failed",
            checkpoint_id=_checkpoint_id(snapshot) if snapshot else "",
            output=command,
            failure=failure_of(error, node=failed.name if failed else None, task_id=failed.id if failed else None),
        )

    async def task_failed(self, error: Exception, task: PlannedTask, run_id: str) -> Failure:
        """Tell why a task has failed; what it commands the graph around is saved under a name that its run knows."""
        error, _ = await self._with_command(error, _command_name(run_id, task.id))
        return failure_of(error, node=task.node, task_id=task.id)

    async def failed_at(self, stage: Stage, failure: Failure, run_id: str) -> RunOutcome:
        """Tell that a run has failed with one of its tasks."""
        is_command = failure.error_type == ParentCommand.__name__
        name = _command_name(run_id, failure.task_id or "")
        command = await self.values.given_under(name) if is_command else None
        return RunOutcome(status="failed", checkpoint_id=stage.checkpoint_id, output=command, failure=failure)

    async def _with_command(self, error: Exception, name: str) -> tuple[Exception, Payload | None]:
        """Return what went wrong, and, saved under a name, what it commands the graph around."""
        if not isinstance(error, ParentCommand):
            return error, None
        try:
            return error, await self.values.save_given(error.args[0], name, what="a Command")
        except ValueNotKeptError as unkept:
            return unkept, None

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
    message = str(error)
    if len(message) > _MOST_SAID:
        message = f"{message[:_MOST_SAID]}... ({len(message):,} characters)"
    return Failure(node=node, task_id=task_id, error_type=type(error).__name__, message=message)


def commands_the_graph_around(outcome: RunOutcome) -> bool:
    """Tell whether the output of a failed run is a Command to the graph around it."""
    failure = outcome.failure
    return bool(failure and failure.error_type == ParentCommand.__name__ and outcome.output)


def _command_name(run_id: str, task_id: str = "") -> str:
    return f"{run_id}/command/{task_id}"


def _checkpoint_id(snapshot: StateSnapshot) -> str:
    return snapshot.config.get("configurable", {}).get("checkpoint_id", "")
