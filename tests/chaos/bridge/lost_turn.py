"""A turn of a workflow that is lost after its activity has begun: Dapr starts activities, then saves the turn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from dapr_bridge import Unit
from dapr_bridge.testing import wait_until
from tests.chaos.bridge.judgement import Evidence, Judge, Judgement
from tests.chaos.bridge.moments import NODE, Moment
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.store_gate import HISTORY
from tests.chaos.bridge.trial import Conversation

BEGUN = Moment(kind=f"{NODE}open")
ENDED = Moment(kind="acknowledgement", side="after")
"""How far the activity is when its turn is lost."""


def lose_turn(
    stage: Stage, unit: Unit, judge: Judge, *, workflow: str, when: Moment = BEGUN, turn: int = 1
) -> Judgement:
    """Kill daprd when a turn's activity is so far and the turn is still on its way to the store."""
    moments = stage.moments
    talk = Conversation.new(stage, unit, workflow=workflow)
    # Before each turn, what it is about is saved: the new workflow, or the end of an activity.
    hold = moments.hold_next(Moment(kind=HISTORY, number=2 * turn))
    if when.kind == ENDED.kind:
        when = replace(when, number=turn)
    talk.begin()
    wait_until(lambda: when in moments.seen(), what=f"the activity to be {when}")
    assert hold.is_reached
    stage.kill("daprd")
    moments.release(hold, drop=True)
    status = talk.wait()
    moments.wait_until_quiet()
    stage.wait_until_well()
    runs = Counter(stage.marks.runs(talk.thread_id))
    return judge.judge(Evidence(thread_id=talk.thread_id, status=status, runs=runs, saved=[]), stage.saver)
