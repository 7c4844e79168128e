"""Graphs on a worker, as the bridge's side of a comparison."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker, Unit
from tests.kit.late_worker import LateWorker
from tests.parity.play import NodeRuns, watched
from tests.parity.shape import AnyGraph, Shape
from tests.parity.sides import BridgeSide

UNITS: tuple[Unit, ...] = ("run", "task")
"""The units that must mean what LangGraph means."""


class HostedShapes:
    """One worker for all shapes: starting one for each would take most of the time."""

    def __init__(self, shapes: Sequence[Shape], *, unit: Unit, saver: DaprSaver, address: str) -> None:
        self.unit: Unit = unit
        self._saver, self._address = saver, address
        self._graphs: dict[str, tuple[AnyGraph, NodeRuns]] = {each.name: watched(each.build()) for each in shapes}

    def side(self, shape: Shape) -> tuple[DurableGraph, BridgeSide, NodeRuns]:
        """Return the bridge's side of a shape, and the runs of its nodes."""
        graph, runs = self._graphs[shape.name]
        durable = DurableGraph(graph, name=shape.name, saver=self._saver, address=self._address)
        return durable, BridgeSide(durable, graph, self._saver), runs

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            graphs = {name: graph for name, (graph, _) in self._graphs.items()}
            stack.enter_context(GraphWorker(graphs=graphs, saver=self._saver, unit=self.unit, address=self._address))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        collect_event_loops()


@dataclass(frozen=True, kw_only=True)
class LateHost:
    """A worker that runs already, for graphs that nobody knows beforehand."""

    unit: Unit
    worker: LateWorker
    saver: DaprSaver
    address: str


def collect_event_loops() -> None:
    """Let go of the event loop that Dapr's SDK leaves open when a worker stops, before pytest makes an error of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
