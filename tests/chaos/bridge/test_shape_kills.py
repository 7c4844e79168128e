"""Every named shape means what it means in plain LangGraph, though what runs it is killed or cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from dapr_bridge import Unit
from dapr_bridge._langgraph import mend_sync_durability
from tests.chaos.bridge.moments import Moment, Side
from tests.chaos.bridge.stage import Stage, Victim
from tests.chaos.bridge.surviving import KINDS, Cut, survive
from tests.chaos.bridge.trial import Blow
from tests.chaos.bridge.worker import UNITS
from tests.parity.likeness import Likeness
from tests.parity.play import NodeRuns, play
from tests.parity.shape import Shape
from tests.parity.shapes import SHAPES
from tests.parity.sides import NativeSide

pytestmark = pytest.mark.chaos

STORE = "sqlite"

_SIDES: Sequence[Side] = ("before", "after")
_VICTIMS: Sequence[Victim | None] = ("worker", "worker", "daprd", None)
_OFTEN = 0.5

# Their nodes know how often they have failed in this process, or what they have in its cache: another one does not.
_KNOW_THEIR_PROCESS = (
    "cached_",
    "condition_that_fails",
    "error_handler",
    "failure_",
    "one_send_",
    "retry_",
    "task_that_",
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "shape",
    [each for each in SHAPES if not each.name.startswith(_KNOW_THEIR_PROCESS)],
    ids=lambda shape: shape.name,
)
@pytest.mark.timeout(180)
def test_a_shape_that_is_killed_means_what_it_means_in_plain_langgraph(shape: Shape, unit: Unit, stage: Stage) -> None:
    # As a worker does: with `durability="sync"`, LangGraph cannot run a graph without a saver within one that has one.
    mend_sync_durability()
    thread_id = f"{unit}{stage.next_number()}"
    likeness = Likeness(message_ids=False)
    native = asyncio.run(
        play(shape, NativeSide(shape.build()), thread_id=thread_id, runs=NodeRuns(), likeness=likeness)
    )

    survived = survive(shape, _blows(f"{shape.name}, {unit}"), unit, stage, thread_id)

    assert list(survived.faults(native)) == []


def _blows(name: str) -> Sequence[Blow | Cut]:
    """Return up to three blows, for each name others."""
    chance = random.Random(name)
    return [_blow(chance) for _ in range(chance.randint(1, 3))]


def _blow(chance: random.Random) -> Blow | Cut:
    number, side = chance.randint(1, 5), chance.choice(_SIDES)
    moment = Moment(kind=chance.choice(KINDS), number=number, side=side)
    victim = chance.choice(_VICTIMS)
    if victim is None:
        return Cut(moment=moment, seconds=chance.choice([0, 0.2, 1]), is_stopped=chance.random() < _OFTEN)
    return Blow(victim=victim, moment=moment)
