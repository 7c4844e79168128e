"""Fixtures for every tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dapr_bridge.testing import ControlPlane


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which Dapr's SDK needs."""
    return "asyncio"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A placement and a scheduler for the whole session."""
    folder: Path = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(folder) as plane:
        yield plane
