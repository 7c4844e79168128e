"""What of the chaos is left to `make chaos`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

# What `make chaos` runs at full size.
settings.register_profile("chaos", max_examples=150)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Lose turns of a workflow only where that file is named: it waits for what Dapr repeats in its own time."""
    return True if collection_path.name == "test_lost_turn.py" else None
