"""Generated graphs mean what they mean in plain LangGraph, though what runs them is killed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, note, settings

from dapr_bridge import Unit
from tests.chaos.bridge.generated import Case, cases, survive
from tests.chaos.bridge.stage import Stage
from tests.chaos.bridge.worker import UNITS
from tests.parity.generated.natively import is_matter_of_time, play_natively

pytestmark = pytest.mark.chaos

_IN_EVERY_RUN = 12
_IS_FULL = settings.get_current_profile_name() == "chaos"
_EXAMPLES = settings.default.max_examples if _IS_FULL else _IN_EVERY_RUN
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all: each graph has a worker of its own."""
    with Stage("sqlite", tmp_path_factory.mktemp("generated-chaos")) as built:
        built.wait_until_well()
        yield built


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.timeout(1800)
def test_a_generated_graph_that_is_killed_means_what_it_means_in_plain_langgraph(unit: Unit, stage: Stage) -> None:
    kills = 0

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=not _IS_FULL,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(cases(victims=["worker", "daprd"] if _IS_FULL else ["worker"]))
    def compare(case: Case) -> None:
        nonlocal kills
        thread_id = f"{unit}{next(_NUMBERS)}"
        native = asyncio.run(play_natively(case.program, thread_id))
        assume(not is_matter_of_time(case.program.build(), native))
        survived = survive(case, unit, stage, thread_id)
        faults = list(survived.faults(native))
        for each in faults[:20]:
            note(each)
        assert faults == []
        kills += survived.kills

    compare()

    # Not every graph comes to the moment that was drawn for it.
    assert kills >= _EXAMPLES // 3
