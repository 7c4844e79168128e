"""A process that dies at each single save of a run, before it or right after: the run goes on and ends the same."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypedDict, TypeVar

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt

from dapr_bridge._stepper import Advance, Stepper
from dapr_bridge._wire import Stage

pytestmark = pytest.mark.anyio

T = TypeVar("T")

MARK = "dapr_run"


class State(TypedDict, total=False):
    """Words, in the order in which LangGraph applies them."""

    words: Annotated[list[str], operator.add]


class KilledError(Exception):
    """The process has died."""


class MortalSaver(InMemorySaver):
    """A saver whose process dies at a save of the root graph or a subgraph, and saves nothing until it is back.

    Attributes:
        saves: how many saves were begun.
        dies_at: the save at which it dies.
        is_late: whether that save is made first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.dies_at = 0
        self.is_late = False
        self.is_dead = False

    async def _save(self, save: Callable[[], Awaitable[T]]) -> T:
        self.saves += 1
        if self.is_dead:
            raise KilledError
        if self.saves != self.dies_at:
            return await save()
        self.is_dead = True
        if self.is_late:
            await save()
        raise KilledError

    async def aput(self, *given: Any) -> RunnableConfig:
        return await self._save(lambda: super(MortalSaver, self).aput(*given))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._save(lambda: super(MortalSaver, self).aput_writes(config, writes, task_id, task_path))


def build(runs: Counter[str]) -> StateGraph[State]:
    """A node, three Sends, a subgraph beside a node, a join, two questions at once, an end."""

    def say(name: str) -> Callable[[Any], State]:
        def run(sent: Any) -> State:
            word = f"{name}-{sent['number']}" if "number" in sent else name
            runs[word] += 1
            return {"words": [word]}

        return run

    def ask(name: str) -> Callable[[Any], State]:
        def run(_: Any) -> State:
            answer = interrupt(name)
            runs[name] += 1
            return {"words": [f"{name}: {answer}"]}

        return run

    inner = StateGraph(State)
    inner.add_node("inner-a", lambda _: runs.update(["inner-a"]) or {"words": []})
    inner.add_node("inner-b", say("inner-b"))
    inner.add_edge(START, "inner-a")
    inner.add_edge("inner-a", "inner-b")

    graph = StateGraph(State)
    for name in ("first", "work", "beside", "join", "last"):
        graph.add_node(name, say(name))
    graph.add_node("subgraph", inner.compile())
    for name in ("left", "right"):
        graph.add_node(name, ask(name))
        graph.add_edge("join", name)
    graph.add_edge(START, "first")
    graph.add_conditional_edges("first", lambda _: [Send("work", {"number": n}) for n in range(3)], ["work"])
    graph.add_edge("work", "beside")
    graph.add_edge("work", "subgraph")
    graph.add_edge(["beside", "subgraph"], "join")
    graph.add_edge(["left", "right"], "last")
    return graph


class Workflow:
    """What the workflow and Dapr do: each activity is delivered again when its process has died."""

    def __init__(self, *, dies_at: int, is_late: bool) -> None:
        self.runs: Counter[str] = Counter()
        self.saver = MortalSaver()
        self.saver.dies_at, self.saver.is_late = dies_at, is_late
        self.graph = build(self.runs).compile(checkpointer=self.saver)

    async def invoke(self, run_id: str, value: Any) -> Any:
        config: RunnableConfig = {"configurable": {"thread_id": "t"}, "metadata": {MARK: run_id}}
        plan = await self._deliver(lambda: self._begin(run_id, value, config))
        while plan.tasks:
            for task in plan.tasks:
                await self._deliver(
                    lambda task=task, plan=plan: self._worker().run_task(
                        task, config, checkpoint_id=plan.checkpoint_id, last_step=plan.last_step
                    )
                )
            plan = await self._deliver(lambda plan=plan: self._go_on(config, plan))
        return plan.output

    async def _begin(self, run_id: str, value: Any, config: RunnableConfig) -> Advance:
        head = await self.saver.aget_tuple(config)
        is_begun = head is not None and dict(head.metadata).get(MARK) == run_id
        return await self._worker().advance(None if is_begun else value, config, head=head, is_new=not is_begun)

    async def _go_on(self, config: RunnableConfig, plan: Advance) -> Advance:
        head = await self.saver.aget_tuple(config)
        stage = Stage(checkpoint_id=plan.checkpoint_id, last_step=plan.last_step)
        return await self._worker().advance(None, config, head=head, stage=stage, is_new=False)

    def _worker(self) -> Stepper:
        return Stepper(self.graph, fans_out=True)

    async def _deliver(self, activity: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await activity()
            except KilledError:
                self.saver.is_dead = False


async def play(workflow: Workflow) -> list[Any]:
    """Run to the questions, answer both, run to the end."""
    asked = await workflow.invoke("first", {"words": ["in"]})
    state = await workflow.graph.aget_state({"configurable": {"thread_id": "t"}})
    answers = {question.id: question.value.upper() for question in state.interrupts}
    return [asked, await workflow.invoke("second", Command(resume=answers))]


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
async def test_a_run_ends_the_same_wherever_its_process_dies(is_late: bool) -> None:
    undisturbed = Workflow(dies_at=0, is_late=False)
    expected = await play(undisturbed)
    assert undisturbed.saver.saves > 20

    for save in range(1, undisturbed.saver.saves + 1):
        workflow = Workflow(dies_at=save, is_late=is_late)

        assert await play(workflow) == expected, f"died at save {save}"
        repeated = workflow.runs - undisturbed.runs
        assert repeated.total() <= (0 if is_late else 1), f"died at save {save}, ran again: {dict(repeated)}"
