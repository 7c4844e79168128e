"""One daprd, and for each unit one worker that hosts every shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dapr_bridge import DaprSaver
from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.stores import write_sqlite_store
from tests.parity.hosting import UNITS, HostedShapes
from tests.parity.shapes import SHAPES


@pytest.fixture(scope="session")
def parity_sidecar(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A daprd with the SQLite store `parity`."""
    folder = tmp_path_factory.mktemp("parity")
    write_sqlite_store(folder / "resources", "parity", folder / "parity.db", actors=True)
    with Sidecar("parity", control_plane=control_plane, resources=folder / "resources", folder=folder) as daprd:
        yield daprd


@pytest.fixture(scope="session", params=UNITS)
def hosted(request: pytest.FixtureRequest, parity_sidecar: Sidecar) -> Iterator[HostedShapes]:
    """A worker with every shape."""
    types = [each for shape in SHAPES for each in shape.types]
    with (
        DaprSaver("parity", address=parity_sidecar.address, allowed_types=types) as saver,
        HostedShapes(SHAPES, unit=request.param, saver=saver, address=parity_sidecar.address) as shapes,
    ):
        yield shapes
