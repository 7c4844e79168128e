"""What of the chaos is left to `make chaos`, and the stage on which graphs are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.chaos.bridge.judgement import Judge
from tests.chaos.bridge.stage import Stage

# What `make chaos` runs at full size.
settings.register_profile("chaos", max_examples=150)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave to those who name them the tests that wait for what Dapr repeats in its own time, or kill every shape."""
    return True if collection_path.name in ("test_lost_turn.py", "test_shape_kills.py") else None


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all runs of a module, on the store that its STORE names: each run has a thread of its own."""
    with Stage(request.module.STORE, tmp_path_factory.mktemp("chaos")) as built:
        built.wait_until_well()
        yield built


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What runs are judged by."""
    return Judge.prepare()
