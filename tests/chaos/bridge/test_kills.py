"""A few of the kills of `make chaos`: of most victims, at saves, acknowledgements, leases, drains, and in nodes."""

from __future__ import annotations

import pytest

from dapr_bridge import Unit
from tests.chaos.bridge.drains import DrainScene, OwnDrain, Phase, play_drain_scene, play_own_drain
from tests.chaos.bridge.judgement import Judge, Judgement
from tests.chaos.bridge.leases import PLACES, Duel, LeaseScene, play_lease_scene
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.requests import DRAIN_WISH, DRAINED, LEASE_RENEWED, LEASE_TAKEN
from tests.chaos.bridge.rivals import Plot, Scene, play_scene
from tests.chaos.bridge.stage import Stage, Victim
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
    ("task", Moment(kind="turn", number=4), "race, first worker first"),
]

LEASE_SCENES = [
    ("run", Moment(kind=LEASE_RENEWED, side="after"), "worker"),
    ("task", Moment(kind=LEASE_TAKEN, number=2), "daprd"),
    ("task", PLACES[0], "holder is killed"),
    ("run", PLACES[1], "waiting worker is killed"),
]

DRAIN_SCENES = [
    ("run", "gather", "drained", Moment(kind=DRAIN_WISH, side="after"), "worker"),
    ("task", "inner_open", "drained", Moment(kind="checkpoint", side="after"), "worker"),
    ("task", "work-1", "drained", Moment(kind=DRAINED), "daprd"),
    ("run", "work-1", "resumed", Moment(kind="claim", side="after"), "worker"),
]


def name_of(value: object) -> str:
    """What a case is called."""
    return ", then ".join(map(str, value)) if isinstance(value, list) else str(value)


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


@pytest.mark.parametrize(("unit", "moment", "happens"), LEASE_SCENES, ids=name_of)
@pytest.mark.timeout(180)
def test_workers_with_leases_leave_what_one_would_have_and_no_lease(
    unit: Unit, moment: Moment, happens: Victim | Duel, stage: Stage, judge: Judge
) -> None:
    scene = LeaseScene(store=STORE, unit=unit, moment=moment, happens=happens)
    outcome = play_lease_scene(scene, stage, judge)

    assert outcome.has_come
    assert_clean(outcome)


@pytest.mark.parametrize(("unit", "place", "phase", "moment", "happens"), DRAIN_SCENES, ids=name_of)
@pytest.mark.timeout(180)
def test_a_run_that_is_killed_as_it_is_drained_stops_there_and_goes_on(
    unit: Unit, place: str, phase: Phase, moment: Moment, happens: Victim, stage: Stage, judge: Judge
) -> None:
    scene = DrainScene(store=STORE, unit=unit, place=place, phase=phase, moment=moment, happens=happens)
    outcome = play_drain_scene(scene, stage, judge)

    assert outcome.has_come
    assert_clean(outcome)


@pytest.mark.timeout(180)
def test_a_run_that_a_node_has_drained_goes_on_though_the_worker_is_killed_that_drains_it(
    stage: Stage, judge: Judge
) -> None:
    blow = Blow(victim="worker", moment=Moment(kind=DRAINED, side="after"))
    outcome = play_own_drain(OwnDrain(store=STORE, unit="task", blows=(blow,)), stage, judge)

    assert outcome.has_come
    assert_clean(outcome)


def assert_clean(outcome: Outcome) -> None:
    assert outcome.judgement == Judgement()
