"""Drives a graph through the bridge's stepper without Dapr: what the workflow and its activities do, in one loop."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import interrupt

from dapr_bridge._stepper import Advance, PlannedTask, Stepper, TaskEnd
from dapr_bridge._wire import Stage

THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """Words, in the order in which LangGraph applies them."""

    words: Annotated[list[str], operator.add]


class Runs(Counter[str]):
    """Counts what its nodes do."""

    def node(self, name: str, act: Callable[[Any], State] | None = None) -> Callable[[Any], State]:
        """Return a node that is counted and says its name, or does `act`."""

        def run(state: Any) -> State:
            self[name] += 1
            return act(state) if act else {"words": [name]}

        return run


def fork_and_join(runs: Runs, **acts: Callable[[Any], State]) -> StateGraph[State]:
    """`left` and `right` at once, then `join`."""
    graph = StateGraph(State)
    for name in ("left", "right", "join"):
        graph.add_node(name, runs.node(name, acts.get(name)))
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    graph.add_edge(["left", "right"], "join")
    return graph


def ask(state: Any) -> State:
    return {"words": [interrupt("first?"), interrupt("second?")]}


class Drive:
    """A graph on a saver in memory, with each activity in a worker of its own.

    Attributes:
        planned: the node names of each fan-out.
        control: the run's own.
    """

    def __init__(self, graph: Pregel[Any, Any, Any, Any]) -> None:
        self.graph = graph.copy({"checkpointer": InMemorySaver()})
        self.planned: list[list[str]] = []
        self.control = RunControl()
        self._config = THREAD

    def worker(self) -> Stepper:
        """Return a stepper that knows nothing of what others have planned."""
        return Stepper(self.graph, fans_out=True, control=self.control)

    async def begin(self, value: Any, config: RunnableConfig = THREAD) -> Advance:
        """Begin a run, up to its first fan-out."""
        self._config = config
        return await self.worker().advance(value, config, head=await self._head())

    async def run(self, task: PlannedTask, plan: Advance) -> TaskEnd:
        """Run one planned task."""
        return await self.worker().run_task(
            task, self._config, checkpoint_id=plan.checkpoint_id, last_step=plan.last_step
        )

    async def go_on(self, plan: Advance, *, paused: Sequence[str] = (), stopped: Sequence[str] = ()) -> Advance:
        """Go on when the planned tasks are done."""
        return await self.worker().advance(
            None,
            self._config,
            head=await self._head(),
            stage=Stage(checkpoint_id=plan.checkpoint_id, last_step=plan.last_step, paused=paused, stopped=stopped),
            is_new=False,
        )

    async def _head(self) -> CheckpointTuple | None:
        return await cast("InMemorySaver", self.graph.checkpointer).aget_tuple(self._config)

    async def invoke(self, value: Any, config: RunnableConfig = THREAD) -> Any:
        """Run to the end or a question; returns LangGraph's output."""
        plan = await self.begin(value, config)
        while plan.tasks:
            self.planned.append([task.node for task in plan.tasks])
            ends = {task.id: await self.run(task, plan) for task in plan.tasks}
            plan = await self.go_on(plan, paused=_those(ends, "paused", "stopped"), stopped=_those(ends, "stopped"))
        return plan.output


def _those(ends: Mapping[str, TaskEnd], *wanted: TaskEnd) -> list[str]:
    return [each for each, end in ends.items() if end in wanted]
