"""What a worker trusts of what it has seen of a thread, and for how long."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

import pytest

from dapr_bridge._possession import TRUSTED_SECONDS, Looks, Possession
from dapr_bridge._thread_claim import RunCall
from dapr_bridge.errors import ThreadLostError
from dapr_bridge.saver.effects import Steps, run
from dapr_bridge.saver.keys import cancel_key, claim_key
from dapr_bridge.saver.store import Document, StateStore

pytestmark = pytest.mark.anyio

CALL = RunCall(thread_id="t", run_id="r", call_id="w::1", instance_id="w")
HELD, FREE = {"run_id": "r"}, {"run_id": ""}


class Documents:
    """What is stored, and how often it was read."""

    def __init__(self) -> None:
        self.claim: Mapping[str, Any] = HELD
        self.is_cancelled = False
        self.reads = 0

    def read(self, _: Sequence[str]) -> Steps[dict[str, Document]]:
        """Read all of it."""
        self.reads += 1
        yield from ()
        cancel = {cancel_key("r"): Document(b"cancel", "1")} if self.is_cancelled else {}
        return {claim_key("t"): Document(json.dumps(self.claim).encode(), "1"), **cancel}


@pytest.fixture
def documents() -> Documents:
    return Documents()


@pytest.fixture
def looks(documents: Documents) -> Looks:
    return Looks(cast("StateStore", documents))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("dapr_bridge._possession.time.monotonic", lambda: now[0])
    return now


def test_what_was_seen_is_trusted_for_a_while(documents: Documents, looks: Looks, clock: list[float]) -> None:
    possession = Possession(looks, CALL, seen_at=clock[0])

    run(possession.still_own())
    assert documents.reads == 0
    clock[0] += TRUSTED_SECONDS
    run(possession.still_own())
    run(possession.still_own())
    assert documents.reads == 1


def test_the_tasks_of_a_run_share_a_look(documents: Documents, looks: Looks, clock: list[float]) -> None:
    for _ in range(3):
        run(Possession(looks, CALL, seen_at=-math.inf).still_own())

    assert documents.reads == 1


def test_a_refusal_is_for_good_and_for_that_attempt_only(
    documents: Documents, looks: Looks, clock: list[float]
) -> None:
    documents.claim = FREE
    late = Possession(looks, CALL, seen_at=-math.inf)
    with pytest.raises(ThreadLostError, match="no longer its own"):
        run(late.still_own())
    # The run is called again at once.
    documents.claim = HELD

    run(Possession(looks, CALL, seen_at=-math.inf).still_own())
    with pytest.raises(ThreadLostError, match="no longer its own"):
        run(late.still_own())


def test_a_run_that_is_to_be_cancelled_is_trusted_no_longer(
    documents: Documents, looks: Looks, clock: list[float]
) -> None:
    documents.is_cancelled = True
    possession = Possession(looks, CALL, seen_at=clock[0])

    run(possession.still_own())
    clock[0] += TRUSTED_SECONDS
    with pytest.raises(ThreadLostError, match="it was cancelled"):
        run(possession.still_own())


async def test_an_attempt_ends_when_nothing_is_on_its_way_any_more(looks: Looks) -> None:
    possession, call = Possession(looks, CALL, seen_at=math.inf), Future[None]()
    possession.sent(call)
    call.set_result(None)

    await possession.end()

    with pytest.raises(ThreadLostError, match="has ended"):
        run(possession.still_own())
