"""A turn of a workflow is lost after its activity has begun; the repeated turn asks for the same run."""

from __future__ import annotations

import pytest

from tests.chaos.bridge.judgement import Judge, Judgement
from tests.chaos.bridge.lost_turn import BEGUN, ENDED, lose_turn
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.worker import CONVERSE, CONVERSE_UNNAMED

# A store whose saves can be held.
STORE = "redis"

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]


@pytest.mark.parametrize("when", [BEGUN, ENDED], ids=["begun", "ended"])
def test_a_run_with_an_id_is_one_run_when_its_turn_is_lost(when: Moment, stage: Stage, judge: Judge) -> None:
    assert lose_turn(stage, "run", judge, workflow=CONVERSE, when=when) == Judgement()


@pytest.mark.parametrize("when", [BEGUN, ENDED], ids=["begun", "ended"])
def test_a_run_without_an_id_is_one_run_when_its_turn_is_lost(when: Moment, stage: Stage, judge: Judge) -> None:
    # The first turn asks for the run's id.
    judgement = lose_turn(stage, "run", judge, workflow=CONVERSE_UNNAMED, when=when, turn=2)

    assert judgement == Judgement()


def test_a_run_without_an_id_is_one_run_when_the_turn_that_asks_for_its_id_is_lost(stage: Stage, judge: Judge) -> None:
    assert lose_turn(stage, "run", judge, workflow=CONVERSE_UNNAMED, when=ENDED) == Judgement()
