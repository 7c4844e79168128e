"""Fixtures for every tier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dapr_bridge.testing import ControlPlane

# How fast examples are made says something about the machine, and nothing about the code.
settings.register_profile("unhurried", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("unhurried")


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
