"""Generated graphs mean what they mean in plain LangGraph, though what runs them is killed or cut off."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from dapr_bridge import Unit
from tests.chaos.bridge.moments import NODE, Moment
from tests.chaos.bridge.stage import Stage, Victim
from tests.chaos.bridge.surviving import KINDS, Cut, survive
from tests.chaos.bridge.trial import Blow
from tests.chaos.bridge.worker import UNITS
from tests.parity.generated.natively import is_matter_of_time, play_natively
from tests.parity.generated.programs import Program, programs
from tests.parity.shape import Shape

pytestmark = pytest.mark.chaos

STORE = "sqlite"

_IN_EVERY_RUN = 12
_IS_FULL = settings.get_current_profile_name() == "chaos"
_EXAMPLES = settings.default.max_examples if _IS_FULL else _IN_EVERY_RUN
_NUMBERS = itertools.count(1)
_KINDS = (*KINDS, f"{NODE}n0", f"{NODE}n1")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A program, and the blows that its graph is to survive while it runs."""

    program: Program
    blows: Sequence[Blow | Cut]


@st.composite
def cases(draw: st.DrawFn, *, victims: Sequence[Victim]) -> Case:
    """Draw a case whose nodes never fail: a process that begins anew does not know how often they have."""
    moments = st.builds(
        Moment,
        kind=st.sampled_from(_KINDS),
        number=st.integers(1, 6),
        side=st.sampled_from(["before", "after"]),
    )
    kills = st.builds(Blow, moment=moments, victim=st.sampled_from(victims))
    cuts = st.builds(Cut, moment=moments, seconds=st.sampled_from([0, 0.1, 0.4, 1.5]), is_stopped=st.booleans())
    blows = st.lists(kills | cuts, min_size=1, max_size=3)
    return Case(program=draw(programs(troubles=("none",))), blows=draw(blows))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.timeout(1800)
def test_a_generated_graph_that_is_killed_means_what_it_means_in_plain_langgraph(unit: Unit, stage: Stage) -> None:
    struck = 0

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=not _IS_FULL,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(cases(victims=["worker", "daprd"] if _IS_FULL else ["worker"]))
    def compare(case: Case) -> None:
        nonlocal struck
        thread_id = f"{unit}{next(_NUMBERS)}"
        native = asyncio.run(play_natively(case.program, thread_id))
        assume(not is_matter_of_time(case.program.build(), native))
        shape = Shape(build=case.program.build, script=case.program.script)
        survived = survive(shape, case.blows, unit, stage, thread_id)
        faults = list(survived.faults(native))
        for each in faults[:20]:
            note(each)
        assert faults == []
        struck += survived.blows

    compare()

    # Not every graph comes to the moment that was drawn for it.
    assert struck >= _EXAMPLES // 3
