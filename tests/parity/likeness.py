"""Values that are equal when two runs mean the same: ids become ordinals, objects become plain data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, PregelTask, StateSnapshot
from pydantic import BaseModel

from dapr_bridge import GraphFailedError

# Of checkpoints, tasks, runs and messages; and of interrupts, which are hashes of those.
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")


class Likeness:
    """Makes values comparable; one for each run, for it numbers the ids by their first appearance.

    Args:
        message_ids: whether the ids of messages count.
    """

    def __init__(self, *, message_ids: bool = True) -> None:
        self._ordinals: dict[str, str] = {}
        self._message_ids = message_ids

    def of(self, value: Any) -> Any:
        """Return plain data."""
        match value:
            case str():
                return _ID.sub(lambda found: self._ordinal(found.group()), value)
            case Interrupt():
                return {"asks": self.of(value.value), "id": self.of(value.id)}
            case StateSnapshot():
                return self.of_state(value)
            case BaseMessage() if not self._message_ids and value.id:
                return self.of(value.model_copy(update={"id": None}))
            case BaseModel():
                return {"type": type(value).__name__, **self.of(value.model_dump())}
            case dict():
                return {self.of(key): self.of(each) for key, each in value.items()}
            case list() | tuple():
                return self._sequence(value)
            case BaseException():
                return self.of_error(value)
            case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return {"type": type(value).__name__, **self.of(vars(value))}
            case _:
                return value

    def _sequence(self, values: Sequence[Any]) -> Any:
        if values and all(isinstance(each, Interrupt) for each in values):
            return self._questions(values)
        items = [self.of(each) for each in values]
        return items if isinstance(values, list) else tuple(items)

    def _questions(self, asked: Sequence[Interrupt]) -> list[Any]:
        """Return questions by what they ask: LangGraph gathers those of one task in the order of a set."""
        return [
            {"asks": self.of(each.value), "id": self.of(each.id) if is_alone else "one of several"}
            for each, is_alone in in_order(asked)
        ]

    def of_error(self, error: BaseException) -> dict[str, Any]:
        """Return an error's type and message: of a failed run, those of what failed in it."""
        if isinstance(error, GraphFailedError):
            return {"error": error.error_type, "says": self.of(error.message)}
        return {"error": type(error).__name__, "says": self.of(str(error))}

    def of_state(self, state: StateSnapshot) -> dict[str, Any]:
        """Return what a state says; when it was made is left out."""
        return {
            "checkpoint": self._address(state.config),
            "parent": self._address(state.parent_config),
            "values": self.of(state.values),
            "next": state.next,
            "metadata": self.of(state.metadata),
            "tasks": [self._task(each) for each in state.tasks],
            "interrupts": self.of(state.interrupts),
        }

    def _task(self, task: PregelTask) -> dict[str, Any]:
        return {
            "id": self.of(task.id),
            "name": task.name,
            "path": self.of(task.path),
            "error": self.of(task.error) if isinstance(task.error, BaseException) else self.of(repr(task.error)),
            "interrupts": self.of(task.interrupts),
            "state": self.of(task.state),
            "result": self.of(_without_message_ids(task.result)),
        }

    def _address(self, config: RunnableConfig | None) -> Any:
        configurable = (config or {}).get("configurable", {})
        return self.of([configurable.get("checkpoint_ns"), configurable.get("checkpoint_id")]) if config else None

    def _ordinal(self, found: str) -> str:
        return self._ordinals.setdefault(found, f"id-{len(self._ordinals) + 1}")


def _without_message_ids(result: Any) -> Any:
    """Leave out the ids of the messages that a task has written.

    `add_messages` gives a message its id when the superstep ends; whether the task's writes are saved before that or
    after is a matter of milliseconds in plain LangGraph too. The ids in the state are compared.
    """
    match result:
        case BaseMessage():
            return result.model_copy(update={"id": None})
        case dict():
            return {key: _without_message_ids(each) for key, each in result.items()}
        case list():
            return [_without_message_ids(each) for each in result]
        case _:
            return result


def in_order(asked: Sequence[Interrupt]) -> list[tuple[Interrupt, bool]]:
    """Return questions in the order of what they ask, each with whether it is the only one to ask that."""
    texts = [repr(each.value) for each in asked]
    ordered = sorted(asked, key=lambda each: repr(each.value))
    return [(each, texts.count(repr(each.value)) == 1) for each in ordered]
