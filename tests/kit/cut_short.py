"""The saver's steps, cut short as by a kill."""

from __future__ import annotations

import time

from dapr_bridge.saver.effects import Pause, Steps


def cut_short(steps: Steps[None], after: int) -> bool:
    """Run steps up to a number of answers, as a process does that is killed then; tells whether it got so far."""
    try:
        for _ in range(after):
            effect = next(steps)
            if isinstance(effect, Pause):
                time.sleep(effect.seconds)
            else:
                effect.exception()
    except StopIteration:
        return False
    steps.close()
    return True
