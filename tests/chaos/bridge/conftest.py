"""What of the chaos is left to `make chaos`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

# What `make chaos` runs at full size.
settings.register_profile("chaos", max_examples=150)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave to those who name them the tests that wait for what Dapr repeats in its own time, or kill every shape."""
    return True if collection_path.name in ("test_lost_turn.py", "test_shape_kills.py") else None
