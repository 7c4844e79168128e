"""A turn of a workflow that is lost after its activity has begun: Dapr starts activities, then saves the turn."""

from __future__ import annotations

from collections import Counter

from dapr_bridge import Unit
from dapr_bridge.testing import wait_until
from tests.chaos.bridge.judgement import Evidence, Judge, Judgement
from tests.chaos.bridge.moments import Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.store_gate import HISTORY
from tests.chaos.bridge.trial import Conversation


def lose_first_turn(stage: Stage, unit: Unit, judge: Judge, *, workflow: str) -> Judgement:
    """Kill daprd when the first turn's activity has begun and the turn is on its way to the store."""
    moments = stage.moments
    talk = Conversation.new(stage, unit, workflow=workflow)
    # The first save is of the new workflow.
    hold = moments.hold_next(Moment(kind=HISTORY, number=2))
    talk.begin()
    wait_until(lambda: "open" in stage.marks.runs(talk.thread_id), what="the activity to begin")
    assert hold.is_reached
    stage.kill("daprd")
    moments.release(hold, drop=True)
    status = talk.wait()
    moments.wait_until_quiet()
    stage.wait_until_well()
    runs = Counter(stage.marks.runs(talk.thread_id))
    return judge.judge(Evidence(thread_id=talk.thread_id, status=status, runs=runs, saved=[]), stage.saver)
