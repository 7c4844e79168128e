"""A few of the kills of `make chaos`: of most victims, at saves, acknowledgements, an event, and in nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dapr_bridge import Unit
from tests.chaos.bridge.judgement import Judge, Judgement
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.rivals import Plot, Scene, play_scene
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.trial import Blow, Outcome, Trial, play

pytestmark = pytest.mark.chaos

STORE = "redis"

BLOWS = [
    ("run", [Blow(victim="worker", moment=Moment(kind="writes", number=3, side="after"))]),
    ("task", [Blow(victim="worker", moment=Moment(kind="checkpoint", number=4))]),
    ("task", [Blow(victim="worker", moment=Moment(kind="acknowledgement", number=2))]),
    ("run", [Blow(victim="worker", moment=Moment(kind="node inner_close"))]),
    ("task", [Blow(victim="daprd", moment=Moment(kind="writes", number=4, side="after"))]),
    ("run", [Blow(victim="daprd", moment=Moment(kind="event", side="after"))]),
    ("run", [Blow(victim="store", moment=Moment(kind="checkpoint", number=5, side="after"))]),
    ("task", [Blow(victim="store", moment=Moment(kind="turn", number=3))]),
    ("task", [Blow(victim="placement", moment=Moment(kind="node work-1"))]),
    (
        "task",
        [
            Blow(victim="worker", moment=Moment(kind="node work-2")),
            Blow(victim="store", moment=Moment(kind="acknowledgement")),
        ],
    ),
]

SCENES = [
    ("run", Moment(kind="node work-1"), "race, both at once"),
    ("task", Moment(kind="writes", number=3), "stale, wakes up meanwhile"),
]


def name_of(value: object) -> str:
    """What a case is called."""
    return ", then ".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all kills: each run has a thread of its own."""
    with Stage(STORE, tmp_path_factory.mktemp("bridge-chaos")) as built:
        built.wait_until_well()
        yield built


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What runs are judged by."""
    return Judge.prepare()


@pytest.mark.parametrize(("unit", "blows"), BLOWS, ids=name_of)
@pytest.mark.timeout(180)
def test_a_run_that_is_killed_ends_as_if_nothing_had_happened(
    unit: Unit, blows: list[Blow], stage: Stage, judge: Judge
) -> None:
    outcome = play(Trial(store=STORE, unit=unit, blows=tuple(blows)), stage, judge)

    assert outcome.kills == len(blows)
    assert_clean(outcome)


@pytest.mark.parametrize(("unit", "moment", "plot"), SCENES, ids=name_of)
@pytest.mark.timeout(180)
def test_two_workers_with_one_run_leave_what_one_would_have(
    unit: Unit, moment: Moment, plot: Plot, stage: Stage, judge: Judge
) -> None:
    outcome = play_scene(Scene(store=STORE, unit=unit, moment=moment, plot=plot), stage, judge)

    assert outcome.has_come
    assert_clean(outcome)


def assert_clean(outcome: Outcome) -> None:
    assert outcome.judgement == Judgement()
