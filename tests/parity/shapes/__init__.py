"""Every named shape."""

from __future__ import annotations

from tests.parity.shapes import (
    agent_middleware,
    agent_teams,
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
    *agent_middleware.SHAPES,
    *agent_teams.SHAPES,
    *functional.SHAPES,
    *travel.SHAPES,
)
