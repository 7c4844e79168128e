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
    other one: subgraphs ask the same control, and they and the nodes are answered by the run's own.

    Args:
        decide: whether to stop in front of the announced superstep.
        run: the run's own control.
    """

    __slots__ = ("_asked_in", "_decide", "_has_stopped", "_run", "_stops")

    def __init__(self, decide: Callable[[Announcement], bool], run: RunControl | None = None) -> None:
        super().__init__()
        self._decide = decide
        self._run = run or RunControl()
        self._stops = self._has_stopped = False
        self._asked_in = 0

    @property
    def stream(self) -> StreamProtocol:
        """What has to hear the run's events."""
        return StreamProtocol(self._hear, {"checkpoints"})

    @property
    def has_stopped(self) -> bool:
        """Whether the root graph's loop was stopped as decided."""
        return self._has_stopped

    @property
    def drain_requested(self) -> bool:
        """Whether the loop that asks is to stop: as decided for the root graph, else as the run's own control says."""
        if self._asked_in != threading.get_ident():
            return self._run.drain_requested
        self._asked_in = 0
        self._has_stopped |= self._stops
        return self._stops

    @property
    def drain_reason(self) -> str | None:
        """Why the run is to be drained, if it is."""
        return self._run.drain_reason

    def request_drain(self, reason: str = "shutdown") -> None:
        """Have the run drained."""
        self._run.request_drain(reason)

    def _hear(self, chunk: tuple[tuple[str, ...], str, Any]) -> None:
        namespace, mode, payload = chunk
        if mode == "checkpoints" and not namespace:
            self._stops = self._decide(payload)
            self._asked_in = threading.get_ident()
