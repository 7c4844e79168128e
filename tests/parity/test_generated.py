"""Random graphs mean through the bridge what they mean with `ainvoke`."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import HealthCheck, assume, given, note, settings

from dapr_bridge import DurableGraph
from tests.parity.difference import differences
from tests.parity.generated.natively import is_matter_of_time, play_natively
from tests.parity.generated.programs import Program, programs
from tests.parity.hosting import LateHost
from tests.parity.play import Seen, play, watched
from tests.parity.shape import Shape
from tests.parity.sides import BridgeSide

_IN_EVERY_RUN = 40
_EXAMPLES = settings.default.max_examples if settings.get_current_profile_name() == "parity" else _IN_EVERY_RUN
_NUMBERS = itertools.count(1)


def test_a_generated_graph_means_the_same_through_the_bridge(late: LateHost) -> None:
    alike = 0

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=_EXAMPLES == _IN_EVERY_RUN,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(programs())
    def compare(program: Program) -> None:
        nonlocal alike
        different = list(asyncio.run(_differences(program, late)))
        for each in different[:20]:
            note(each)
        assert different == []
        alike += 1

    compare()

    assert alike >= _EXAMPLES


async def _differences(program: Program, late: LateHost) -> list[str]:
    thread_id = f"generated-{late.unit}-{next(_NUMBERS)}"
    native = await play_natively(program, thread_id)
    assume(not is_matter_of_time(program.build(), native))
    return list(differences(native, await _bridged(program, thread_id, late)))


async def _bridged(program: Program, thread_id: str, late: LateHost) -> Seen:
    graph, runs = watched(program.build())
    name = late.worker.host(graph, saver=late.saver)
    shape = Shape(build=program.build, script=program.script)
    async with DurableGraph(graph, name=name, saver=late.saver, address=late.address) as durable:
        seen = await play(shape, BridgeSide(durable, graph, late.saver), thread_id=thread_id, runs=runs)
    late.worker.release()
    return seen
