"""What the writes on a checkpoint tell about the tasks of its superstep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID, uuid5

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Command, Interrupt, Send

from dapr_bridge._langgraph import CONTROL, ERROR_SOURCE, INTERRUPT, TASKS
from dapr_bridge.saver.records import INPUT_TASK


@dataclass(frozen=True, kw_only=True)
class PendingTasks:
    """The tasks of a superstep that have left something.

    Attributes:
        finished: ids of those whose output, or that of their error handler, is saved.
        handled: ids of those of them whose output is that of their error handler.
        asked: the questions of those that are not finished, by task id.
        has_sends: whether there are tasks of Sends among them.
    """

    finished: frozenset[str] = frozenset()
    handled: frozenset[str] = frozenset()
    asked: Mapping[str, tuple[Interrupt, ...]] = field(default_factory=dict[str, tuple[Interrupt, ...]])
    has_sends: bool = False

    @classmethod
    def on(cls, head: CheckpointTuple | None) -> PendingTasks:
        """Read the writes on a checkpoint."""
        finished: set[str] = set()
        asked: dict[str, tuple[Interrupt, ...]] = {}
        handed_over: set[str] = set()
        for task_id, channel, value in (head.pending_writes or []) if head else []:
            if task_id == INPUT_TASK:
                continue
            if channel == INTERRUPT:
                asked[task_id] = tuple(value) if isinstance(value, Sequence) else (value,)
            elif channel == ERROR_SOURCE:
                handed_over.add(task_id)
            elif channel not in CONTROL:
                finished.add(task_id)
        handled = frozenset(each for each in handed_over if handler_id(each) in finished)
        finished |= handled
        open_questions = {each: questions for each, questions in asked.items() if each not in finished}
        has_sends = head is not None and bool(head.checkpoint["channel_values"].get(TASKS))
        return cls(finished=frozenset(finished), handled=handled, asked=open_questions, has_sends=has_sends)

    @property
    def questions(self) -> tuple[Interrupt, ...]:
        """Every question that waits for an answer."""
        return tuple(question for questions in self.asked.values() for question in questions)


def handler_id(task_id: str) -> str:
    """Return the id under which the output of a task's error handler is saved."""
    return str(uuid5(UUID(task_id), "error handler"))


class AnswerToTheNext(Command[Any]):
    """A command whose answer is for whatever asks next, and not for what is saved as waiting."""


def answers_of(value: Any, pending: PendingTasks) -> Mapping[str, Any]:
    """Return the answers that an input brings to open questions, by interrupt id.

    `Command(resume=answer)` answers the one open question. With several open, LangGraph refuses that form. With a Send
    to go to, it answers what that one's task will ask: the Send takes the place of those that wait.
    """
    if not isinstance(value, Command) or value.resume is None or isinstance(value, AnswerToTheNext):
        return {}
    known = {question.id for question in pending.questions}
    if is_by_id(value):
        return {each: answer for each, answer in cast("Mapping[str, Any]", value.resume).items() if each in known}
    is_replaced = pending.has_sends and _is_one_send(value.goto)
    return dict.fromkeys(known, value.resume) if len(known) == 1 and not is_replaced else {}


def with_answers_by_id(value: Any, answers: Mapping[str, Any]) -> Any:
    """Return an input that brings its answers by id, and only those to open questions.

    When an activity is delivered again, LangGraph would take an answer without an id, or to a question that is answered
    by now, for the next question of the same task.
    """
    if isinstance(value, Command) and (answers or is_by_id(value)):
        return replace(value, resume=dict(answers))
    return value


def _is_one_send(goto: object) -> bool:
    match goto:
        case Send() | [Send()]:
            return True
        case _:
            return False


def is_by_id(command: Command[Any]) -> bool:
    """Whether a command names the questions that it answers."""
    resume = command.resume
    return isinstance(resume, dict) and all(is_interrupt_id(each) for each in cast("Mapping[object, Any]", resume))


def is_interrupt_id(key: object) -> bool:
    return isinstance(key, str) and re.fullmatch(r"[0-9a-f]{32}", key) is not None
