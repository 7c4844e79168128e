"""One graph's runs: where a run stands, how it goes on, and how it has ended."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Command, GraphOutput

from dapr_bridge import _names
from dapr_bridge._events import EventBus
from dapr_bridge._node_spans import with_node_spans
from dapr_bridge._pending import PendingTasks, answers_of, with_answers_by_id
from dapr_bridge._redelivery import Earlier, Redelivery, name_of_call
from dapr_bridge._run_ends import NOT_OF_THE_GRAPH, RunEnds, failure_of
from dapr_bridge._run_values import GivenReferenceError, RunValues
from dapr_bridge._stepper import Advance, PlannedTask, Plans, Stepper
from dapr_bridge._streaming import RunStream, without_checkpoint
from dapr_bridge._task_events import Ear
from dapr_bridge._wire import RunOutcome, RunRequest, TaskOrder, TaskOutcome, TaskRequest, refused
from dapr_bridge.errors import (
    ValueNotKeptError,
)
from dapr_bridge.saver import DaprSaver

logger = logging.getLogger(__name__)

Graph = Pregel[Any, Any, Any, Any]
Unit = Literal["run", "task"]

KeepCheckpoints = int | Literal["all"]
"""How many checkpoints a thread keeps when a run of it has ended."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """One attempt at going on with a run.

    Attributes:
        request: what is asked for.
        run_id: the run.
        graph: the graph as LangGraph runs it.
        stream: where its events go.
        addressed: LangGraph's config as it was given.
        stood_at: the checkpoints at which earlier calls of the run have ended.
        control: what tells the run to drain.
    """

    request: RunRequest
    run_id: str
    graph: Graph
    stream: RunStream
    addressed: RunnableConfig
    stood_at: Collection[str]
    control: RunControl

    @cached_property
    def latest(self) -> RunnableConfig:
        """Where the run is read, and gone on with, though it may have been told to begin at an old checkpoint."""
        return without_checkpoint(self.addressed)


@dataclass(frozen=True, kw_only=True)
class GraphRuns:
    """Runs one graph on its saver, from wherever its thread stands.

    Attributes:
        graph: the graph, bound to its saver.
        saver: its saver.
        unit: whether an activity goes to the end, or leaves parallel tasks to activities of their own.
        bus: where events go; None when this worker streams nothing.
        plans: the supersteps that this worker has planned.
        keeps: how many checkpoints a thread keeps when a run of it has ended.
    """

    graph: Graph
    saver: DaprSaver
    unit: Unit = "run"
    bus: EventBus | None = None
    plans: Plans = field(default_factory=Plans)
    keeps: KeepCheckpoints = "all"

    @cached_property
    def values(self) -> RunValues:
        """What travels with the runs."""
        return RunValues(saver=self.saver)

    @cached_property
    def _ends(self) -> RunEnds:
        return RunEnds(graph=self.graph, values=self.values)

    @cached_property
    def _redelivery(self) -> Redelivery:
        return Redelivery(graph=self.graph, saver=self.saver)

    @cached_property
    def _fenced(self) -> Graph:
        return self.graph.copy({"checkpointer": self.saver.fenced()})

    def _driven(self, request: RunRequest) -> Graph:
        """Return the graph as a run drives it: behind the fence, unless it forks its thread at an old checkpoint."""
        return self.graph if _begins_at_checkpoint(request.config) else self._fenced

    async def advance(
        self,
        request: RunRequest,
        run_id: str,
        attempt: int,
        *,
        call_id: str = "",
        stood_at: Collection[str] = (),
        control: RunControl | None = None,
        is_other: bool = False,
    ) -> RunOutcome:
        """Go on with a run, and tell how far it has come.

        Args:
            request: what is asked for.
            run_id: the run.
            attempt: how many times it has begun or gone on.
            call_id: the call, at each delivery the same; without one, each is as one of its own.
            stood_at: the checkpoints at which earlier calls of the run have ended, from which this one takes it on.
            control: what tells the run to drain.
            is_other: whether one of them has brought another input than this one does.
        """
        graph = self._driven(request)
        stream = self._stream(request, run_id, graph, attempt=attempt)
        if stream.refusal:
            return RunOutcome(status="refused", failure=stream.refusal)
        stage = request.stage.checkpoint_id if request.stage else ""
        attempted = _Attempt(
            request=request,
            run_id=run_id,
            graph=graph,
            stream=stream,
            addressed=self._config(request, run_id, call=name_of_call(call_id, stage)),
            stood_at=stood_at,
            control=control or RunControl(),
        )
        outcome = await self._outcome(attempted, is_other=is_other)
        if outcome.status == "finished":
            await self._forget_old(request.thread_id)
        before = request.stage.events if request.stage else {}
        return replace(outcome, events={**before, **stream.counts})

    async def run_task(
        self, request: TaskRequest, run_id: str, *, call_id: str = "", control: RunControl | None = None
    ) -> TaskOutcome:
        """Run one task of a superstep, and tell how it has ended."""
        # Nobody counts how often a task is delivered; its events only have to be told apart.
        attempt = random.randrange(1 << 31)  # noqa: S311 - a name, not a secret
        graph = self._driven(request.run)
        stream = self._stream(request.run, run_id, graph, attempt=attempt, source=request.task.id)
        call = name_of_call(call_id, request.checkpoint_id, request.task.id)
        config = without_checkpoint(self._config(request.run, run_id, call=call))
        answers = await self.values.value(request.task.answers) if request.task.answers else {}
        order = request.task
        task = PlannedTask(id=order.id, node=order.node, answers=answers, is_resumed=order.is_resumed)
        try:
            listener = stream.listener(config)
            stepper = await self._stepper(graph, stream, listener, control)
            async with listener or nullcontext():
                status = await stepper.run_task(
                    task, config, checkpoint_id=request.checkpoint_id, last_step=request.last_step
                )
        except NOT_OF_THE_GRAPH:
            raise
        except Exception as error:
            where = {"thread_id": request.run.thread_id, "run_id": run_id, "node": task.node}
            logger.info("task failed", exc_info=error, extra=where)
            return TaskOutcome(
                status="failed", failure=failure_of(error, node=task.node, task_id=task.id), events=stream.counts
            )
        return TaskOutcome(status=status, events=stream.counts)

    async def has_saved(self, request: TaskRequest, run_id: str) -> bool:
        """Whether the output of a task is saved, on the checkpoint at which the task is to run."""
        head = await self.saver.aget_tuple(without_checkpoint(self._config(request.run, run_id)))
        is_current = head is not None and head.checkpoint["id"] == request.checkpoint_id
        return is_current and request.task.id in PendingTasks.on(head).finished

    # ----- going on -----------------------------------------------------------------------------------------------

    async def _outcome(self, attempt: _Attempt, *, is_other: bool) -> RunOutcome:
        """Go on, and tell how that has ended, well or not; only trouble that is not of the graph is raised."""
        stage, run_id, latest = attempt.request.stage, attempt.run_id, attempt.latest
        try:
            if stage and stage.failure:
                return RunOutcome(status="failed", checkpoint_id=stage.checkpoint_id, failure=stage.failure)
            if is_other and await self.saver.ahas_begun(run_id, latest):
                return await self._ends.refused(run_id, latest)
            return await self._go_on(attempt)
        except NOT_OF_THE_GRAPH:
            raise
        except GraphDrained as drained:
            return await self._ends.drained(drained, latest)
        except GivenReferenceError as error:
            return refused(str(error))
        except Exception as error:
            where = {"thread_id": attempt.request.thread_id, "run_id": run_id}
            logger.info("run failed", exc_info=error, extra=where)
            return await self._ends.failed(error, latest)

    async def _go_on(self, attempt: _Attempt) -> RunOutcome:
        request, run_id, latest = attempt.request, attempt.run_id, attempt.latest
        is_begun = request.stage is not None or bool(request.answers) or await self.saver.ahas_begun(run_id, latest)
        if is_begun:
            value = await self._answers(request, latest)
        else:
            value = await self._unapplied(await self.values.given(request.input), run_id, latest)
        earlier = Earlier()
        if is_begun:
            # An answer is taken on from wherever the run has stopped.
            earlier = await self._redelivery.find(request, run_id, latest, attempt.stood_at, may_stop=value is None)
        if earlier.stopped_at:
            stepper = await self._stepper(
                attempt.graph, attempt.stream, attempt.stream.listener(latest), attempt.control
            )
            output = GraphOutput(await stepper.output_so_far(latest), PendingTasks.on(earlier.stopped_at).questions)
            return await self._ends.ended(output, run_id, latest)
        forgotten = None if is_begun else await self._forgotten(attempt.addressed)
        if forgotten:
            return refused(f"checkpoint {forgotten!r} is not there, or kept no more: begin at one that is listed")
        config = latest if is_begun else attempt.addressed
        # LangGraph replays the first superstep of a run that begins at an old checkpoint by itself.
        if self.unit == "run" or (config is not latest and _begins_at_checkpoint(config)):
            graph = await self._redelivery.going_on(attempt.graph, config, earlier)
            output = await attempt.stream.run(graph, await self._answering(value, config), config, attempt.control)
            return await self._ends.ended(output, run_id, latest)
        advance = await self._step(attempt, value, config, earlier, is_new=not is_begun)
        if not advance.tasks:
            return await self._ends.ended(GraphOutput(advance.output, advance.interrupts), run_id, latest)
        return RunOutcome(
            status="planned",
            checkpoint_id=advance.checkpoint_id,
            run_id=run_id,
            last_step=advance.last_step,
            tasks=[await self._order(task, run_id) for task in advance.tasks],
        )

    async def _answers(self, request: RunRequest, latest: RunnableConfig) -> Any:
        """Return the answers of a request that are still waited for."""
        if not request.answers:
            return None
        pending = PendingTasks.on(await self.saver.aget_tuple(latest))
        waiting = {question.id for question in pending.questions}
        answers = {each: await self.values.given(given) for each, given in request.answers.items() if each in waiting}
        return Command(resume=answers) if answers else None

    async def _unapplied(self, value: Any, run_id: str, latest: RunnableConfig) -> Any:
        """Return what is left of an input that an earlier delivery of this run may have begun to apply.

        LangGraph saves a `Command`'s update as writes on the checkpoint where the thread stands, and would add them
        once more.
        """
        has_writes = isinstance(value, Command) and (value.update is not None or bool(value.goto))
        if not has_writes or not await self.saver.ahas_input_of(run_id, latest):
            return value
        return Command(resume=value.resume) if value.resume is not None else None

    async def _answering(self, value: Any, config: RunnableConfig) -> Any:
        if not isinstance(value, Command) or _begins_at_checkpoint(config):
            return value
        pending = PendingTasks.on(await self.saver.aget_tuple(config))
        return with_answers_by_id(value, answers_of(value, pending))

    async def _step(
        self, attempt: _Attempt, value: Any, config: RunnableConfig, earlier: Earlier, *, is_new: bool
    ) -> Advance:
        listener = attempt.stream.listener(config)
        stepper = await self._stepper(attempt.graph, attempt.stream, listener, attempt.control, earlier)
        stage = attempt.request.stage
        how_far: dict[str, Any] = (
            {"last_step": stage.last_step, "paused": stage.paused, "stopped": stage.stopped}
            if stage
            else {"began_after": earlier.began_after}
        )
        async with listener or nullcontext():
            return await stepper.advance(value, config, **how_far, is_new=is_new)

    async def _stepper(
        self,
        graph: Graph,
        stream: RunStream,
        ear: Ear | None,
        control: RunControl | None,
        earlier: Earlier | None = None,
    ) -> Stepper:
        return Stepper(
            graph,
            fans_out=True,
            plans=self.plans,
            ear=ear,
            arguments=await stream.arguments(),
            control=control,
            subgraphs=self._redelivery.subgraphs(earlier or Earlier()),
        )

    def _stream(
        self, request: RunRequest, run_id: str, graph: Graph, *, attempt: int, source: str = "run"
    ) -> RunStream:
        return RunStream(graph, self.saver, self.bus, request=request, run_id=run_id, attempt=attempt, source=source)

    def _config(self, request: RunRequest, run_id: str, *, call: str = "") -> RunnableConfig:
        given = dict(request.config)
        configurable = {**given.pop("configurable", {}), "thread_id": request.thread_id}
        metadata = {**given.pop("metadata", {}), _names.RUN_METADATA: run_id, _names.CALL_METADATA: call}
        return with_node_spans(RunnableConfig(**given, configurable=configurable, metadata=metadata), self.saver)

    # ----- what is kept -------------------------------------------------------------------------------------------

    async def _forget_old(self, thread_id: str) -> None:
        """Delete what the thread is not to keep; in the run's own turn, so that no other run needs it now."""
        if self.keeps == "all":
            return
        try:
            await self.saver.akeep_last(thread_id, self.keeps)
        except ValueNotKeptError:
            # The run has ended well whatever becomes of its old checkpoints.
            logger.warning("old checkpoints cannot be read, and stay", exc_info=True, extra={"thread_id": thread_id})

    async def _forgotten(self, addressed: RunnableConfig) -> str | None:
        """Return the checkpoint at which a run is to begin if it is gone: LangGraph would begin anew, in silence."""
        checkpoint_id: str | None = addressed.get("configurable", {}).get("checkpoint_id")
        if self.keeps == "all" or not checkpoint_id:
            return None
        return None if await self.saver.aget_tuple(addressed) else checkpoint_id

    # ----- values -------------------------------------------------------------------------------------------------

    async def _order(self, task: PlannedTask, run_id: str) -> TaskOrder:
        answers = await self.values.keep(dict(task.answers), f"{run_id}/answers/{task.id}") if task.answers else None
        return TaskOrder(id=task.id, node=task.node, answers=answers, is_resumed=task.is_resumed)


def _begins_at_checkpoint(config: Mapping[str, Any]) -> bool:
    return bool(config.get("configurable", {}).get("checkpoint_id"))
