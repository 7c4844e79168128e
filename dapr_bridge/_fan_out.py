"""Stops LangGraph's loop in front of a superstep that is not to run here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from langgraph.pregel.protocol import StreamProtocol
from langgraph.runtime import RunControl

Announcement = Mapping[str, Any]
"""LangGraph's `checkpoints` event: the checkpoint's config, metadata and values, and the tasks that come next."""


class FanOut(RunControl):
    """A run's control that decides on each superstep of the root graph, once its tasks are known.

    LangGraph's loop announces a superstep's tasks in a `checkpoints` event, and right after that, in the same thread,
    asks its control whether to stop. So `decide` sees the event, and its answer is given to that question and to no
    other one: subgraphs ask the same control.
    """

    __slots__ = ("_asked_in", "_decide", "_stops")

    def __init__(self, decide: Callable[[Announcement], bool]) -> None:
        super().__init__()
        self._decide = decide
        self._stops = False
        self._asked_in = 0

    @property
    def stream(self) -> StreamProtocol:
        """What has to hear the run's events."""
        return StreamProtocol(self._hear, {"checkpoints"})

    @property
    def drain_requested(self) -> bool:
        """Whether the loop that asks is to stop: as decided, or because a node has asked for it."""
        if self.drain_reason is not None:
            return True
        if self._asked_in != threading.get_ident():
            return False
        self._asked_in = 0
        return self._stops

    def _hear(self, chunk: tuple[tuple[str, ...], str, Any]) -> None:
        namespace, mode, payload = chunk
        if mode == "checkpoints" and not namespace:
            self._stops = self._decide(payload)
            self._asked_in = threading.get_ident()
