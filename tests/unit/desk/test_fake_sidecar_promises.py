"""The stand-ins keep the promises of the real sidecar."""

import pytest

from tests.kit import sidecar_promises
from tests.kit.desk_fakes import FakeEngine, FakeSidecar

pytestmark = pytest.mark.anyio


async def test_the_stand_in_keeps_values() -> None:
    await sidecar_promises.keeps_values(FakeSidecar())
    await sidecar_promises.keeps_odd_keys_apart(FakeSidecar())


async def test_the_stand_in_publishes_and_converses() -> None:
    await sidecar_promises.publishes(FakeSidecar())
    await sidecar_promises.converses(FakeSidecar())


async def test_the_stand_in_knows_no_stranger() -> None:
    await sidecar_promises.knows_no_stranger(FakeEngine())


async def test_the_stand_in_says_that_it_is_away() -> None:
    await sidecar_promises.says_that_it_is_away(FakeSidecar(alive=False), FakeEngine(alive=False))
