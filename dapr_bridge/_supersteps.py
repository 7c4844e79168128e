"""What this process knows of the supersteps whose tasks run apart from one another, so that each is prepared once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.types import Send

from dapr_bridge._fan_out import Announcement
from dapr_bridge._langgraph import IDLE

_MOST_PLANS = 256

Serialized = tuple[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Superstep:
    """The tasks of one superstep, in LangGraph's order: those of Sends come first.

    Attributes:
        ids: their ids.
        nodes: the node of each.
        sends: the Send of each task that has one, each by itself and serialized; None when not known, empty when
            they are not all tasks: LangGraph passes over those that it cannot use.
    """

    ids: Sequence[str] = ()
    nodes: Sequence[str] = ()
    sends: Sequence[Serialized] | None = None

    @classmethod
    def announced(cls, announcement: Announcement) -> Superstep:
        """Return what LangGraph announces."""
        tasks = announcement["tasks"]
        return cls(ids=[task["id"] for task in tasks], nodes=[task["name"] for task in tasks])

    def has_all(self, announcement: Announcement) -> bool:
        """Tell whether these are all that LangGraph announces, but for idle ones."""
        return all(task["id"] in self.positions or task["name"] == IDLE for task in announcement["tasks"])

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each task stands, by its id."""
        return {each: position for position, each in enumerate(self.ids)}

    def is_of_sibling(self, other: str, task_id: str) -> bool:
        """Tell whether an id is that of another task."""
        return other != task_id and other in self.positions


@dataclass
class Plans:
    """The newest supersteps that this process has planned, by the checkpoint that each follows."""

    _supersteps: OrderedDict[str, Superstep] = field(default_factory=OrderedDict[str, Superstep])
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary[str, asyncio.Lock])

    def note(self, announcement: Announcement) -> bool:
        """Remember an announced superstep; the answer stops the loop that has announced it."""
        checkpoint_id = announcement["config"]["configurable"]["checkpoint_id"]
        self._keep(checkpoint_id, Superstep.announced(announcement))
        return True

    def find(self, checkpoint_id: str) -> Superstep | None:
        """Return the superstep after a checkpoint, or None."""
        return self._supersteps.get(checkpoint_id)

    def forget(self, checkpoint_id: str, superstep: Superstep) -> None:
        """Plan a superstep again when it is needed next, unless that was done."""
        if self._supersteps.get(checkpoint_id) is superstep:
            del self._supersteps[checkpoint_id]

    def turn(self, checkpoint_id: str) -> asyncio.Lock:
        """Return the lock under which a superstep is looked up and planned: by one task, when many begin at once."""
        return self._turns.setdefault(checkpoint_id, asyncio.Lock())

    def note_sends(self, checkpoint_id: str, sends: Sequence[object], serde: SerializerProtocol) -> Superstep | None:
        """Remember the Sends of a planned superstep, and return it."""
        superstep = self._supersteps.get(checkpoint_id)
        if superstep is None:
            return None
        apart = [serde.dumps_typed(each) for each in sends] if _is_in_step(superstep, sends) else []
        self._keep(checkpoint_id, replace(superstep, sends=apart))
        return self._supersteps[checkpoint_id]

    def _keep(self, checkpoint_id: str, superstep: Superstep) -> None:
        self._supersteps[checkpoint_id] = superstep
        while len(self._supersteps) > _MOST_PLANS:
            self._supersteps.popitem(last=False)


def _is_in_step(superstep: Superstep, sends: Sequence[Any]) -> bool:
    """Tell whether every Send has become a task."""
    if len(sends) > len(superstep.nodes):
        return False
    return all(isinstance(send, Send) and send.node == node for send, node in zip(sends, superstep.nodes, strict=False))
