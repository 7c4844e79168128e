"""Drives a LangGraph graph from one activity to the next: as far as one may go, and one task at a time.

LangGraph's own loop decides and runs everything. `advance` lets it run until it ends, asks something, or comes to a
superstep with several tasks; `run_task` lets it run one of those alone. Between two calls, all there is of a run is in
the saver.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.errors import GraphDrained, GraphRecursionError
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Command, GraphOutput, Interrupt, StreamMode

from dapr_bridge._backlog import streamed
from dapr_bridge._decision import Decision, Looked, PlannedTask, announced_id
from dapr_bridge._fan_out import FanOut
from dapr_bridge._langgraph import (
    INTERRUPT,
    TASKS,
    going_on,
    listening,
    nodes_with_idle,
    resuming,
    steps_allowed,
    told,
)
from dapr_bridge._pending import PendingTasks, answers_of, with_answers_by_id
from dapr_bridge._saver_view import NestedReads, SaverView
from dapr_bridge._supersteps import Plans, Superstep
from dapr_bridge._task_events import DeafEar, Ear, GoingOn, OneTask, SavedTasks
from dapr_bridge._task_views import SavedView, SettledView, TaskView, has_input
from dapr_bridge._wire import Stage

Graph = Pregel[Any, Any, Any, Any]
_LEVEL = "|"


@dataclass(frozen=True, kw_only=True)
class Advance:
    """How far a run has come.

    Attributes:
        checkpoint_id: where it stands.
        last_step: the last superstep that its recursion limit allows.
        tasks: what is to run next, each in an activity of its own; nothing when the run has ended or waits.
        output: LangGraph's output so far.
        interrupts: what the run has asked since its input.
    """

    checkpoint_id: str
    last_step: int
    tasks: tuple[PlannedTask, ...] = ()
    output: Any = None
    interrupts: tuple[Interrupt, ...] = ()


TaskEnd = Literal["saved", "paused", "stopped", "stale"]
"""A task's output is saved, it waits for an answer, it stands at a breakpoint within, or its superstep was over."""


class Stepper:
    """Drives one graph.

    Args:
        graph: the graph, bound to its saver.
        fans_out: whether several tasks of one superstep are left to activities of their own.
        plans: the supersteps that this process has planned.
        ear: what hears LangGraph's events, if anything does.
        arguments: more arguments for LangGraph's `astream`.
        control: the run's own; when it says so, the run stops at the end of a superstep.
        subgraphs: what reads the checkpoints of subgraphs, when it is not the saver itself.

    Attributes:
        view: the saver as whole supersteps see it.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        fans_out: bool,
        plans: Plans | None = None,
        ear: Ear | None = None,
        arguments: Mapping[str, Any] | None = None,
        control: RunControl | None = None,
        subgraphs: NestedReads | None = None,
    ) -> None:
        self._saver = cast("BaseCheckpointSaver[Any]", graph.checkpointer)
        self._subgraphs = subgraphs
        self.view = SettledView(self._saver, nested=subgraphs)
        self._bare = graph
        self._fans_out = fans_out
        self._control = control or RunControl()
        self._arguments = dict(arguments or {})
        self._plans = plans or Plans()
        self._ear = ear
        within = graph.get_subgraphs(recurse=True)
        self._memories = [path for path, each in within if isinstance(each, Pregel) and each.checkpointer is True]

    @cached_property
    def _graph(self) -> Graph:
        """The graph as its whole supersteps run."""
        return self._bare.copy({"checkpointer": self.view})

    async def advance(
        self,
        value: Any,
        config: RunnableConfig,
        *,
        head: CheckpointTuple | None,
        stage: Stage | None = None,
        made: int = 0,
        is_new: bool = True,
    ) -> Advance:
        """Go on until the run ends, waits, or has several tasks to run.

        Args:
            value: LangGraph's input, a `Command`, or None to go on.
            config: LangGraph's config; its thread.
            head: the thread's latest checkpoint, as it was read after the run had got the thread.
            stage: what became of the tasks of the last `Advance` of this run; None for a call that begins.
            made: how many checkpoints earlier deliveries of a call that begins have made.
            is_new: whether the run begins here, so that tasks which have asked something are run again.

        Raises:
            GraphDrained: the run was stopped by its control.
            Exception: what LangGraph raises: a node's exception, `GraphRecursionError`, ...
        """
        pending = PendingTasks.on(head)
        answers = answers_of(value, pending)
        last_step = stage.last_step if stage else self._last_step(config, head, made)
        decision = Decision(
            head=_id(head),
            pending=pending,
            answers=answers,
            paused=frozenset(stage.paused if stage else ()),
            stopped=frozenset(stage.stopped if stage else ()),
            asks_again=is_new,
            is_resuming=is_new and head is not None and (value is None or isinstance(value, Command)),
            fans_out=self._fans_out,
            control=self._control,
        )
        self._hand_out(head and self._within(head, config, last_step), config)
        ended = await self._run(
            self._graph,
            with_answers_by_id(value, answers),
            config,
            FanOut(decision.decide, self._control),
            # The values of the fan-out's checkpoint were told before it.
            ear=GoingOn(self._ear) if self._ear and stage and stage.checkpoint_id == _id(head) else self._ear,
        )
        self.view.take_back()
        if ended.was_stopped and decision.is_drained:
            raise GraphDrained(self._control.drain_reason or "shutdown")
        stands_at = Advance(checkpoint_id=decision.checkpoint_id or _id(head), last_step=last_step)
        return await self._how_far(ended, decision, stands_at, config)

    async def run_task(
        self, task: PlannedTask, config: RunnableConfig, *, checkpoint_id: str, last_step: int
    ) -> TaskEnd:
        """Run one task of a superstep alone and save what it writes, unless that was done before.

        Raises:
            Exception: the node's exception, after its own retries.
        """
        looked = Looked(checkpoint_id)
        end = await self._try_task(task, config, looked, last_step)
        if looked.was_long_ago or looked.is_outgrown:
            # The worker was stopped on the way to the node, and another one may have saved the task meanwhile; or the
            # superstep was planned here before a caller's Command, which another worker has taken, called more.
            self._plans.forget(checkpoint_id, looked.superstep)
            end = await self._try_task(task, config, Looked(checkpoint_id, is_last=True), last_step)
        return end

    async def _try_task(self, task: PlannedTask, config: RunnableConfig, looked: Looked, last_step: int) -> TaskEnd:
        """Run one task, unless too long has passed since its checkpoint was looked at."""
        checkpoint_id = looked.checkpoint_id
        superstep = await self._superstep(config, checkpoint_id)
        if superstep is None:
            return "stale"
        view = TaskView(self._saver, task_id=task.id, superstep=superstep, nested=self._subgraphs)
        looked.begin(superstep)
        head = await view.aget_tuple(config)
        if head is None or _id(head) != checkpoint_id:
            return "stale"
        pending = PendingTasks.on(head)
        if task.id in pending.finished:
            return "saved"
        if task.answers and not any(question.id in task.answers for question in pending.asked.get(task.id, ())):
            return "paused"
        view.hand_out(self._within(head, config, last_step))
        graph = _without_breakpoints(self._bare, view, nodes=nodes_with_idle(self._bare))
        value = Command(resume=dict(task.answers)) if task.answers else None
        try:
            await self._run(
                graph,
                value,
                await self._called(task, config, checkpoint_id),
                FanOut(looked.is_out_of_date, self._control),
                ear=self._ear_for([each for each in superstep.ids if each != task.id], checkpoint_id),
            )
        except GraphDrained as drained:
            # A subgraph has stopped on its way; so will the run, when the other tasks have ended.
            self._control.request_drain(drained.reason)
        except GraphRecursionError:
            # After the last superstep that is allowed, the run fails, and not its tasks.
            if not view.is_finished:
                raise
        if view.is_finished:
            return "saved"
        return "paused" if view.has_asked else "stopped"

    async def output_so_far(self, config: RunnableConfig, *, planned: Superstep | None = None) -> Any:
        """Return what LangGraph's output is while tasks wait: with the writes of those that are done.

        Args:
            config: LangGraph's.
            planned: the superstep of these tasks, when LangGraph has planned it just now.
        """
        head = await self.view.aget_tuple(config)
        if head and has_input(head):
            # LangGraph's state does not show the tasks that a caller's `Command` has called.
            ear = DeafEar() if self._ear else None
            return (await self._with_saved(config, head, ear, planned)).output.value
        self.view.hand_out(head)
        values = (await self._graph.aget_state(config)).values
        whole = self._graph.stream_channels_asis if self._ear else self._graph.output_channels
        wanted = self._arguments.get("output_keys") or whole
        if isinstance(wanted, str):
            return values.get(wanted) if isinstance(values, dict) else values
        return {name: values[name] for name in wanted if name in values}

    def _hand_out(self, head: CheckpointTuple | None, config: RunnableConfig) -> None:
        """Spare LangGraph the read of a checkpoint that it takes next, when it takes the latest."""
        if not config.get("configurable", {}).get("checkpoint_id"):
            self.view.hand_out(self.view.shown(head) if head else None)

    async def _how_far(self, ended: _Ended, decision: Decision, stands_at: Advance, config: RunnableConfig) -> Advance:
        if not ended.was_stopped:
            return replace(stands_at, output=ended.output.value, interrupts=ended.output.interrupts)
        self._plans.note(decision.announced)
        if decision.tasks:
            return replace(stands_at, tasks=decision.tasks)
        waiting = await self.output_so_far(config, planned=Superstep.announced(decision.announced))
        if self._ear:
            await self._tell_waiting(self._ear, decision, waiting, config)
        return replace(stands_at, output=waiting, interrupts=decision.waiting_for)

    async def _tell_waiting(self, ear: Ear, decision: Decision, values: Any, config: RunnableConfig) -> None:
        """Tell what tasks of the superstep have saved: those of an earlier run have no activity here that tells it."""
        finished = decision.pending.finished
        head = await self.view.aget_tuple(config) if finished else None
        if head:
            saved = SavedTasks(ear, finished=finished)
            await self._with_saved(config, head, saved, Superstep.announced(decision.announced))
            if saved.values > 1:
                await ear.hear((), "values", values)
        if not decision.waiting_for:
            await ear.hear((), "updates", {INTERRUPT: ()})

    async def _with_saved(
        self, config: RunnableConfig, head: CheckpointTuple, ear: Ear | None, planned: Superstep | None
    ) -> _Ended:
        """Let LangGraph end a superstep with what its tasks have saved; nothing runs, and nothing is saved."""
        superstep = planned or await self._plan(config, head) or Superstep()
        view = SavedView(self.view, open_tasks={*superstep.ids} - PendingTasks.on(head).finished)
        view.hand_out(view.shown(head))
        control = FanOut(lambda announced: announced_id(announced) != _id(head))
        return await self._run(_without_breakpoints(self._bare, view), None, config, control, ear=ear)

    async def _called(self, task: PlannedTask, config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
        """Return the task's config, saying whether a subgraph with a memory of its own goes on, or is called anew.

        LangGraph lets it go on where a run does that was told to, whatever its input. As it takes every run without
        input for such a one, it would leave out the input of later supersteps too.
        """
        memories = [path for path in self._memories if path.split(_LEVEL)[0] == task.node]
        if not memories or task.answers or task.is_resumed:
            return config
        return resuming(
            config, is_resumed=any([await self._has_begun(path, config, checkpoint_id) for path in memories])
        )

    async def _has_begun(self, path: str, config: RunnableConfig, checkpoint_id: str) -> bool:
        inner: RunnableConfig = {"configurable": {**config.get("configurable", {}), "checkpoint_ns": path}}
        found = await self._saver.aget_tuple(inner)
        return found is not None and found.metadata.get("parents", {}).get("") == checkpoint_id

    async def _superstep(self, config: RunnableConfig, checkpoint_id: str) -> Superstep | None:
        """Return the tasks of a superstep, asking LangGraph if another worker has planned it; None when it is over."""
        async with self._plans.turn(checkpoint_id):
            planned = self._plans.find(checkpoint_id)
            if planned and planned.sends is not None:
                return planned
            head = await self._saver.aget_tuple(config)
            if head is None or _id(head) != checkpoint_id:
                return None
            if planned is None:
                await self._plan(config, head)
            sends = head.checkpoint["channel_values"].get(TASKS, ())
            return self._plans.note_sends(checkpoint_id, sends, self._saver.serde)

    async def _plan(self, config: RunnableConfig, head: CheckpointTuple) -> Superstep | None:
        """Ask LangGraph for the tasks of the superstep after a checkpoint, and remember them."""
        view = TaskView(self._saver, task_id="", superstep=Superstep())
        view.hand_out(head)
        await self._run(_without_breakpoints(self._bare, view), None, config, FanOut(self._plans.note))
        return self._plans.find(_id(head))

    def _ear_for(self, others: Collection[str], checkpoint_id: str) -> Ear | None:
        if self._ear is None:
            return None
        has_cache = self._bare.cache is not None
        return OneTask(self._ear, others=others, checkpoint_id=checkpoint_id, has_cache=has_cache)

    async def _run(
        self, graph: Graph, value: Any, config: RunnableConfig, control: FanOut, *, ear: Ear | None = None
    ) -> _Ended:
        """Let LangGraph run until it ends or is stopped."""
        latest: GraphOutput[Any] = GraphOutput(None)
        # As `ainvoke` and `astream` differ.
        shown = {} if ear else {"output_keys": self._bare.output_channels}
        arguments: dict[str, Any] = {**shown, **self._arguments}
        modes: Sequence[StreamMode] = ear.modes if ear else ["values"]
        subgraphs = ear is not None and ear.subgraphs
        stream = streamed(
            graph,
            value,
            listening(config, control.stream, store=graph.store),
            modes=modes,
            subgraphs=subgraphs,
            control=control,
            **arguments,
        )
        try:
            async with aclosing(stream) as events:
                async for namespace, mode, payload in events:
                    if mode == "values" and not namespace:
                        latest = told(payload, after=latest)
                    if ear:
                        await ear.hear(namespace, mode, payload)
        except GraphDrained:
            if not control.has_stopped:
                raise
            return _Ended(output=latest, was_stopped=True)
        return _Ended(output=latest, was_stopped=False)

    def _last_step(self, config: RunnableConfig, head: CheckpointTuple | None, made: int) -> int:
        return _step(head) - made + steps_allowed(self._bare, config) + 2

    def _within(self, head: CheckpointTuple, config: RunnableConfig, last_step: int) -> CheckpointTuple:
        """Return a checkpoint for a loop that begins there, and comes to the last step and no further."""
        left = last_step - _step(head) - 2
        return going_on(head, made=steps_allowed(self._bare, config) - left)


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """How a call of LangGraph ended."""

    output: GraphOutput[Any]
    was_stopped: bool


def _without_breakpoints(graph: Graph, view: SaverView, *, nodes: Mapping[str, Any] | None = None) -> Graph:
    given = {"nodes": nodes} if nodes else {}
    return graph.copy({"checkpointer": view, "interrupt_before_nodes": [], "interrupt_after_nodes": [], **given})


def _id(head: CheckpointTuple | None) -> str:
    return head.checkpoint["id"] if head else ""


def _step(head: CheckpointTuple | None) -> int:
    return head.metadata.get("step", -2) if head else -2
