"""One daprd, and for each unit one worker that hosts every shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from dapr_bridge import DaprSaver, _workflow
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.late_worker import LateWorker
from tests.kit.sidecars import sqlite_sidecar
from tests.parity.hosting import UNITS, HostedShapes, LateHost, collect_event_loops
from tests.parity.shapes import SHAPES

# What `make parity` runs at full size.
settings.register_profile("parity", max_examples=300)


@pytest.fixture(scope="session", autouse=True)
def wide() -> Iterator[None]:
    """Count as wide what has three tasks: so few have the shapes, and both ways are to mean the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_workflow, "_MOST_TASKS", 2)
        yield


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Compare what every shape streams in `make parity` only: it plays all of them once more."""
    is_full = config.getoption("--hypothesis-profile") == "parity"
    return True if collection_path.name == "test_events.py" and not is_full else None


@pytest.fixture(scope="session")
def parity_sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A daprd with the SQLite store `parity`."""
    folder = tmp_path_factory.mktemp("parity")
    with sqlite_sidecar("parity", control_plane=control_plane, folder=folder, store="parity", streams=True) as daprd:
        yield daprd


@pytest.fixture(scope="session")
def late_sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A daprd of its own for graphs that are hosted late: all workers of one app must know the same names."""
    folder = tmp_path_factory.mktemp("late")
    with sqlite_sidecar("late", control_plane=control_plane, folder=folder, store="parity") as daprd:
        yield daprd


@pytest.fixture(scope="session", params=UNITS)
def late(request: pytest.FixtureRequest, late_sidecar: Sidecar) -> Iterator[LateHost]:
    """A worker to which graphs are added while it runs."""
    address = late_sidecar.address
    worker = LateWorker(unit=request.param, address=address)
    with DaprSaver("parity", address=address) as saver, worker:
        yield LateHost(unit=request.param, worker=worker, saver=saver, address=address)
    collect_event_loops()


@pytest.fixture(scope="module", params=UNITS)
def hosted(request: pytest.FixtureRequest, parity_sidecar: Sidecar) -> Iterator[HostedShapes]:
    """A worker with every shape; anew for each module, for some nodes fail the first time only."""
    types = [each for shape in SHAPES for each in shape.types]
    with (
        DaprSaver("parity", address=parity_sidecar.address, allowed_types=types) as saver,
        HostedShapes(SHAPES, unit=request.param, saver=saver, address=parity_sidecar.address) as shapes,
    ):
        yield shapes
