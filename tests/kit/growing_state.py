"""A state whose removal is worth looking at: what stays, what grows, and what is rebuilt from its changes."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

from langgraph.channels import DeltaChannel

LARGE = "x" * 20_000
"""A write of this size has a document of its own."""


def concat(state: list[str], writes: list[list[str]]) -> list[str]:
    """Put words behind words."""
    return [*state, *(word for write in writes for word in write)]


class State(TypedDict, total=False):
    """A value that never changes, one that grows, and one that is kept as its changes."""

    fixed: str
    count: Annotated[int, operator.add]
    words: Annotated[list[str], DeltaChannel(concat, snapshot_frequency=7)]
