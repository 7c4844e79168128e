"""One graph's runs: where a run stands, how it goes on, and how it has ended."""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.errors import GraphDrained
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Command, GraphOutput

from dapr_bridge import _names
from dapr_bridge._answering import Answering
from dapr_bridge._events import EventBus
from dapr_bridge._langgraph import going_on
from dapr_bridge._node_spans import with_node_spans
from dapr_bridge._pending import PendingTasks, answers_of, with_answers_by_id
from dapr_bridge._redelivery import Earlier, Redelivery, name_of_call
from dapr_bridge._run_ends import NOT_OF_THE_GRAPH, RunEnds
from dapr_bridge._run_values import GivenReferenceError, RunValues
from dapr_bridge._saver_view import SaverView
from dapr_bridge._stepper import Advance, PlannedTask, Plans, Stepper
from dapr_bridge._streaming import RunStream, without_checkpoint
from dapr_bridge._task_events import Ear
from dapr_bridge._wire import RunOutcome, RunRequest, TaskOrder, TaskOutcome, TaskRequest, refused
from dapr_bridge.errors import ValueNotKeptError
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.sidecar import Holder

logger = logging.getLogger(__name__)

Graph = Pregel[Any, Any, Any, Any]
Unit = Literal["run", "task"]

_NOTHING_EARLIER = Earlier()

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
        control: what tells the run to drain.
        stood_at: the checkpoints at which earlier calls of the run have ended.
    """

    request: RunRequest
    run_id: str
    graph: Graph
    stream: RunStream
    addressed: RunnableConfig
    control: RunControl
    stood_at: Collection[str] = ()

    @property
    def saver(self) -> BaseCheckpointSaver[Any]:
        """The saver as the run writes to it."""
        return cast("BaseCheckpointSaver[Any]", self.graph.checkpointer)

    @cached_property
    def latest(self) -> RunnableConfig:
        """Where the run is read, and gone on with, though it may have been told to begin at an old checkpoint."""
        return without_checkpoint(self.addressed)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """From where LangGraph goes on, and with what.

    Attributes:
        value: LangGraph's input, a `Command`, or None to go on.
        config: LangGraph's.
        head: the thread's latest checkpoint, as it was read since the run has got the thread.
        is_new: whether the run begins here.
        earlier: what earlier deliveries of the call have come to.
    """

    value: Any
    config: RunnableConfig
    head: CheckpointTuple | None
    is_new: bool
    earlier: Earlier = _NOTHING_EARLIER


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

    def _driven(self, request: RunRequest, holder: Holder | None) -> Graph:
        """Return the graph as a run drives it: behind the fence, unless it forks its thread at an old checkpoint."""
        saver = self.saver if _begins_at_checkpoint(request.config) else self.saver.fenced()
        return self.graph.copy({"checkpointer": saver.on_behalf_of(holder) if holder else saver})

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
        holder: Holder | None = None,
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
            holder: is asked, before something is saved, whether the thread is the call's own still.
        """
        stage = request.stage.checkpoint_id if request.stage else ""
        attempted = self._attempted(
            request, run_id, attempt, call=name_of_call(call_id, stage), control=control, holder=holder
        )
        attempted, stream = replace(attempted, stood_at=stood_at), attempted.stream
        if stream.refusal:
            return RunOutcome(status="refused", failure=stream.refusal)
        outcome = await self._outcome(attempted, is_other=is_other)
        if outcome.status == "finished":
            await self._forget_old(request.thread_id)
        before = request.stage.events if request.stage else {}
        return replace(outcome, events={**before, **stream.counts})

    async def run_task(
        self,
        request: TaskRequest,
        run_id: str,
        *,
        call_id: str = "",
        control: RunControl | None = None,
        holder: Holder | None = None,
    ) -> TaskOutcome:
        """Run one task of a superstep, and tell how it has ended."""
        # Nobody counts how often a task is delivered; its events only have to be told apart.
        attempt = random.randrange(1 << 31)  # noqa: S311 - a name, not a secret
        order, call = request.task, name_of_call(call_id, request.checkpoint_id, request.task.id)
        attempted = self._attempted(
            request.run, run_id, attempt, call=call, control=control, holder=holder, source=order.id
        )
        stream = attempted.stream
        answers = await self.values.value(order.answers, what="an answer") if order.answers else {}
        task = PlannedTask(id=order.id, node=order.node, answers=answers, is_resumed=order.is_resumed)
        try:
            listener = stream.listener(attempted.latest)
            stepper = await self._stepper(attempted, listener)
            async with listener or nullcontext():
                status = await stepper.run_task(
                    task, attempted.latest, checkpoint_id=request.checkpoint_id, last_step=request.last_step
                )
        except NOT_OF_THE_GRAPH:
            raise
        except Exception as error:
            where = {"thread_id": request.run.thread_id, "run_id": run_id, "node": task.node}
            logger.info("task failed", exc_info=error, extra=where)
            failure = await self._ends.task_failed(error, task, run_id)
            return TaskOutcome(status="failed", failure=failure, events=stream.counts)
        return TaskOutcome(status=status, events=stream.counts)

    def _attempted(
        self,
        request: RunRequest,
        run_id: str,
        number: int,
        *,
        call: str,
        control: RunControl | None,
        holder: Holder | None,
        source: str = "run",
    ) -> _Attempt:
        graph = self._driven(request, holder)
        return _Attempt(
            request=request,
            run_id=run_id,
            graph=graph,
            stream=RunStream(
                graph, self.saver, self.bus, request=request, run_id=run_id, attempt=number, source=source
            ),
            addressed=self._config(request, run_id, call=call),
            control=control or RunControl(),
        )

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
                return await self._ends.failed_at(stage, stage.failure, run_id)
            head = await attempt.saver.aget_tuple(latest)
            if is_other and await self.saver.ais_made_by(run_id, head):
                return self._ends.refused(run_id, head)
            return await self._go_on(attempt, head)
        except NOT_OF_THE_GRAPH:
            raise
        except GraphDrained as drained:
            return await self._ends.drained(drained, latest)
        except GivenReferenceError as error:
            return refused(str(error))
        except Exception as error:
            where = {"thread_id": attempt.request.thread_id, "run_id": run_id}
            logger.info("run failed", exc_info=error, extra=where)
            return await self._ends.failed(error, latest, run_id)

    async def _go_on(self, attempt: _Attempt, head: CheckpointTuple | None) -> RunOutcome:
        """Go on from where the thread stands."""
        request, run_id, latest = attempt.request, attempt.run_id, attempt.latest
        is_begun = bool(request.stage or request.answers) or await self.saver.ais_made_by(run_id, head)
        if not is_begun:
            forgotten = await self._forgotten(attempt.addressed)
            if forgotten:
                return refused(f"checkpoint {forgotten!r} is not there, or kept no more: begin at one that is listed")
            value = await self._unapplied(await self.values.given(request.input, what="the input"), run_id, head)
            value, head = await Answering(self.graph, self.saver).begin(value, head, run_id, latest)
            return await self._drive(attempt, _Start(value=value, config=attempt.addressed, head=head, is_new=True))
        value = await self._answers(request, head)
        # An answer is taken on from wherever the run has stopped.
        earlier = await self._redelivery.find(
            request, run_id, head, latest, stood_at=attempt.stood_at, may_stop=value is None
        )
        if not earlier.has_stopped:
            head = await self._redelivery.with_input(head, request)
            start = _Start(value=value, config=latest, head=head, is_new=False, earlier=earlier)
            return await self._drive(attempt, start)
        stepper = await self._stepper(attempt, attempt.stream.listener(latest))
        output = GraphOutput(await stepper.output_so_far(latest), PendingTasks.on(head).questions)
        return await self._ends.ended(output, run_id, latest)

    async def _drive(self, attempt: _Attempt, start: _Start) -> RunOutcome:
        """Let LangGraph go on, as far as the unit lets it."""
        run_id = attempt.run_id
        # LangGraph replays the first superstep of a run that begins at an old checkpoint by itself.
        if self.unit == "run" or _begins_at_checkpoint(start.config):
            output, view = await self._run(attempt, start)
            return await self._ends.ended(output, run_id, attempt.latest, view)
        advance, view = await self._step(attempt, start)
        if not advance.tasks:
            output = GraphOutput(advance.output, advance.interrupts)
            return await self._ends.ended(output, run_id, attempt.latest, view)
        return RunOutcome(
            status="planned",
            checkpoint_id=advance.checkpoint_id,
            run_id=run_id,
            last_step=advance.last_step,
            tasks=[await self._order(task, run_id) for task in advance.tasks],
        )

    async def _run(self, attempt: _Attempt, start: _Start) -> tuple[GraphOutput[Any], SaverView]:
        """Run the graph to its end, or to where it waits; returns also the view of the saver that it had."""
        value, config, head = start.value, start.config, start.head
        view = SaverView(attempt.saver, nested=self._redelivery.subgraphs(start.earlier))
        if not _begins_at_checkpoint(config):
            view.hand_out(going_on(head, made=start.earlier.made) if head else None)
            value = with_answers_by_id(value, answers_of(value, PendingTasks.on(head)))
        graph = attempt.graph.copy({"checkpointer": view})
        return await attempt.stream.run(graph, value, config, attempt.control), view

    async def _step(self, attempt: _Attempt, start: _Start) -> tuple[Advance, SaverView]:
        """Run the graph up to several tasks at once; returns also the view of the saver that it had."""
        listener = attempt.stream.listener(start.config)
        stepper = await self._stepper(attempt, listener, start.earlier)
        async with listener or nullcontext():
            advance = await stepper.advance(
                start.value,
                start.config,
                head=start.head,
                stage=attempt.request.stage,
                made=start.earlier.made,
                is_new=start.is_new,
            )
        return advance, stepper.view

    async def _stepper(self, attempt: _Attempt, ear: Ear | None, earlier: Earlier = _NOTHING_EARLIER) -> Stepper:
        return Stepper(
            attempt.graph,
            fans_out=True,
            plans=self.plans,
            ear=ear,
            arguments=await attempt.stream.arguments(),
            control=attempt.control,
            subgraphs=self._redelivery.subgraphs(earlier),
        )

    async def _answers(self, request: RunRequest, head: CheckpointTuple | None) -> Any:
        """Return the answers of a request that are still waited for."""
        if not request.answers:
            return None
        waiting = {question.id for question in PendingTasks.on(head).questions}
        answers = {
            each: await self.values.given(given, what=f"the answer to {each!r}")
            for each, given in request.answers.items()
            if each in waiting
        }
        return Command(resume=answers) if answers else None

    async def _unapplied(self, value: Any, run_id: str, head: CheckpointTuple | None) -> Any:
        """Return what is left of an input that an earlier delivery of this run may have begun to apply.

        LangGraph saves a `Command`'s update as writes on the checkpoint where the thread stands, and would add them
        once more.
        """
        has_writes = isinstance(value, Command) and (value.update is not None or bool(value.goto))
        if not has_writes or not await self.saver.ahas_input_of(run_id, head):
            return value
        return Command(resume=value.resume) if value.resume is not None else None

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
        name, given = f"{run_id}/answers/{task.id}", dict(task.answers)
        answers = await self.values.keep_given(given, name, what="an answer") if given else None
        return TaskOrder(id=task.id, node=task.node, answers=answers, is_resumed=task.is_resumed)


def _begins_at_checkpoint(config: Mapping[str, Any]) -> bool:
    return bool(config.get("configurable", {}).get("checkpoint_id"))
