"""Types of one's own in what graphs give and ask: rebuilt where the saver allows them, else an error names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from dapr_bridge import DaprSaver, DurableGraph, GraphWorker, ValueNotKeptError
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.client_rig import on_thread
from tests.kit.own_types import Offer
from tests.kit.sidecars import sqlite_sidecar
from tests.parity.hosting import collect_event_loops

# The SDK leaves a worker's event loop open.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


class State(TypedDict, total=False):
    """One thing."""

    offer: Any


async def give(_: State) -> State:
    return {"offer": Offer(7)}


async def ask(_: State) -> State:
    return {"offer": interrupt(Offer(8))}


GRAPHS: dict[str, Any] = {
    each.__name__: StateGraph(State).add_node(each).add_edge(START, each.__name__).compile() for each in (give, ask)
}


@pytest.fixture
def sidecar(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar with a SQLite store, and a worker whose saver allows the type."""
    with (
        sqlite_sidecar("own-types", control_plane=control_plane, folder=tmp_path) as sidecar,
        DaprSaver("execution-state", address=sidecar.address, allowed_types=[Offer]) as saver,
    ):
        with GraphWorker(graphs=GRAPHS, saver=saver, address=sidecar.address, events=None):
            yield sidecar
        collect_event_loops()


@pytest.mark.parametrize("graph", list(GRAPHS))
async def test_a_client_is_told_of_a_type_that_its_saver_does_not_allow(sidecar: Sidecar, graph: str) -> None:
    with DaprSaver("execution-state", address=sidecar.address) as saver:
        async with DurableGraph(graph, saver=saver, address=sidecar.address, events=None) as client:
            with pytest.raises(ValueNotKeptError, match=r"own_types\.Offer; pass it to DaprSaver\(allowed_types"):
                await client.ainvoke({}, on_thread("t"))
