"""Every named shape."""

from __future__ import annotations

from tests.parity.shapes import (
    agents,
    commands,
    edited_subgraphs,
    flow,
    functional,
    interrupts,
    policies,
    sends,
    state,
    subgraphs,
    travel,
)

SHAPES = (
    *flow.SHAPES,
    *sends.SHAPES,
    *commands.SHAPES,
    *subgraphs.SHAPES,
    *interrupts.SHAPES,
    *edited_subgraphs.SHAPES,
    *policies.SHAPES,
    *state.SHAPES,
    *agents.SHAPES,
    *functional.SHAPES,
    *travel.SHAPES,
)
