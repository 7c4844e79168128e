"""Answers without an id: to which question one is, and whether the question has had it in an earlier delivery.

LangGraph gives such an answer to whatever asks next. The bridge gives it to the question that waits, by its id, so that
no other gets it when the call is delivered again. But an edit of a subgraph's state changes the ids of what is asked in
there, of which the graphs around do not know: then what is asked next gets the answer here too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, PregelTask

from dapr_bridge._langgraph import INTERRUPT, RESUME, TASKS, path_of
from dapr_bridge._pending import AnswerToTheNext, PendingTasks, is_by_id
from dapr_bridge.saver import DaprSaver
from dapr_bridge.saver.reading import BY_HAND
from dapr_bridge.saver.records import INPUT_TASK

Graph = Pregel[Any, Any, Any, Any]
_LEVEL = "|"


@dataclass(frozen=True)
class Answering:
    """Finds the questions to answers.

    Attributes:
        graph: the graph, bound to its saver.
        saver: its saver.
    """

    graph: Graph
    saver: DaprSaver

    async def begin(
        self, value: Any, head: CheckpointTuple | None, run_id: str, config: RunnableConfig
    ) -> tuple[Any, CheckpointTuple | None]:
        """Return an input, and the checkpoint at which it is applied, as this delivery is to see them.

        Args:
            value: the input of a run that has ended no superstep yet.
            head: the thread's latest checkpoint.
            run_id: the run.
            config: LangGraph's, for the latest checkpoint.
        """
        if head is None or not isinstance(value, Command) or value.resume is None:
            return value, head
        # LangGraph keeps an answer without an id also when it has been given, and would give it once more.
        head, pending = _without_answer(head), PendingTasks.on(head)
        if is_by_id(value) or not pending.asked:
            return value, head
        own = await self.saver.aasked_by(run_id, head)
        before = [task_id for task_id in pending.asked if task_id not in own]
        if len(before) < len(pending.asked):
            # An earlier delivery has given the answer, and gone on to what the run itself asks.
            return replace(value, resume=_to_the_only_one(value.resume, pending, before)), head
        if len(pending.questions) != 1:
            return value, head
        [task_id], [question] = pending.asked, pending.questions
        if _is_replaced(head, pending) or await self._is_moved(task_id, question, config):
            value = AnswerToTheNext(resume=value.resume, update=value.update, goto=value.goto, graph=value.graph)
        return value, head

    async def _is_moved(self, task_id: str, question: Interrupt, config: RunnableConfig) -> bool:
        """Whether a question is asked no more as it was, for a person has edited the state in which it was asked."""
        if any(Interrupt.from_ns(None, f"{node}:{task_id}").id == question.id for node in self.graph.nodes):
            # The task's own, and not one of a subgraph.
            return False
        state = await self.graph.aget_state(config)
        [task] = [each for each in state.tasks if each.id == task_id] or [None]
        if task is None or await self._asks(task, question):
            return False
        places = await self.saver.anamespaces(state.config.get("configurable", {})["thread_id"])
        within = [each for each in places if each.split(_LEVEL)[0] in (task.name, f"{task.name}:{task_id}")]
        found = [each for place in within for each in await self._list(place, config)]
        edits = [each.checkpoint["id"] for each in found if each.metadata.get("source") in BY_HAND]
        if not edits:
            return False
        since = [each for each in found if each.checkpoint["id"] >= max(edits)]
        return not any(_has_asked(each, question) or _has_answered(each) for each in since)

    async def _asks(self, task: PregelTask, question: Interrupt) -> bool:
        """Whether a question of a task is asked within it too, down to the innermost subgraph that is read here."""
        if not isinstance(task.state, dict) or not self._is_here(task.state):
            return True
        state = await self.graph.aget_state(task.state)
        asking = [each for each in state.tasks if _is_among(question, each.interrupts)]
        return any([await self._asks(each, question) for each in asking])

    def _is_here(self, config: RunnableConfig) -> bool:
        """Whether a subgraph is not one that runs elsewhere, of which only the name may be known."""
        path = path_of(config.get("configurable", {})["checkpoint_ns"])
        return any(isinstance(each, Pregel) for _, each in self.graph.get_subgraphs(namespace=path, recurse=True))

    async def _list(self, namespace: str, config: RunnableConfig) -> Sequence[CheckpointTuple]:
        thread_id = config.get("configurable", {})["thread_id"]
        where: RunnableConfig = {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace}}
        return [each async for each in self.saver.alist(where)]


def _is_replaced(head: CheckpointTuple, pending: PendingTasks) -> bool:
    """Whether an earlier delivery has sent something in place of those that wait, as `answers_of` has it."""
    sent = [channel for task_id, channel, _ in head.pending_writes or () if task_id == INPUT_TASK and channel == TASKS]
    return pending.has_sends and len(sent) == 1


def _to_the_only_one(answer: Any, pending: PendingTasks, tasks: Collection[str]) -> dict[str, Any]:
    """Return an answer by the id of the question that waits in these tasks."""
    questions = [question.id for task_id in tasks for question in pending.asked[task_id]]
    return dict.fromkeys(questions, answer) if len(questions) == 1 else {}


def _has_asked(found: CheckpointTuple, question: Interrupt) -> bool:
    return any(_is_among(question, asked) for _, channel, asked in found.pending_writes or () if channel == INTERRUPT)


def _is_among(question: Interrupt, asked: Sequence[Interrupt]) -> bool:
    return any(each.id == question.id for each in asked)


def _has_answered(found: CheckpointTuple) -> bool:
    return any(channel == RESUME for _, channel, _ in found.pending_writes or ())


def _without_answer(head: CheckpointTuple) -> CheckpointTuple:
    """Return a checkpoint without an answer that came without an id."""
    writes = [each for each in head.pending_writes or () if each[:2] != (INPUT_TASK, RESUME)]
    return head._replace(pending_writes=writes)
