"""Answers that come too late are kept back, or wake their workflows; all others go as if nobody looked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from dapr.ext.workflow._durabletask.internal import protos

from dapr_bridge._late_turns import LateTurns

STREAM = SimpleNamespace(method="/TaskHubSidecarService/GetWorkItems")
ANSWER = SimpleNamespace(method="/TaskHubSidecarService/CompleteOrchestratorTask")


@dataclass
class Sidecar:
    """What a worker sends, and whom it wakes."""

    late: LateTurns = field(init=False)
    sent: list[Any] = field(default_factory=list[Any])
    woken: list[str] = field(default_factory=list[str])
    _woke: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.late = LateTurns(self._wake)

    def stream(self, *items: Any) -> Iterator[Any]:
        """Open a stream that ends after some work items."""
        return self.late.intercept_unary_stream(lambda *_: iter(items), STREAM, object())

    def answer(self, item: Any, *, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Answer for a turn; something else happens before the sidecar has thanked for it."""

        def send(_: object, request: Any) -> None:
            self.sent.append(request)
            meanwhile()

        answer = protos.WorkflowResponse(
            instanceId=item.workflowRequest.instanceId, completionToken=item.completionToken
        )
        self.late.intercept_unary_unary(send, ANSWER, answer)

    def has_woken(self) -> list[str]:
        """Return whom the worker has woken, a moment later."""
        self._woke.wait(timeout=0.2)
        return self.woken

    def _wake(self, instance_id: str) -> None:
        self.woken.append(instance_id)
        self._woke.set()


def turn(instance_id: str, *, mark: str = "") -> Any:
    request = protos.WorkflowRequest(instanceId=instance_id)
    return protos.WorkItem(workflowRequest=request, completionToken=mark)


def test_an_answer_for_a_turn_of_a_stream_that_has_ended_is_not_sent() -> None:
    sidecar = Sidecar()
    items = list(sidecar.stream(turn("wf-1")))
    sidecar.stream()

    # What the SDK takes for a connection that is no more.
    with pytest.raises(ValueError, match="'wf-1'"):
        sidecar.answer(items[0])

    assert sidecar.sent == []
    assert sidecar.has_woken() == []


def test_an_answer_that_is_on_its_way_at_the_end_of_its_stream_wakes_its_workflow() -> None:
    sidecar = Sidecar()
    stream = sidecar.stream(turn("wf-1"))

    sidecar.answer(next(stream), meanwhile=lambda: next(stream, None))

    assert len(sidecar.sent) == 1
    assert sidecar.has_woken() == ["wf-1"]


def test_an_answer_just_before_the_end_of_its_stream_is_noticed_wakes_its_workflow() -> None:
    sidecar = Sidecar()
    stream = sidecar.stream(turn("wf-1"))

    sidecar.answer(next(stream))
    assert next(stream, None) is None

    assert sidecar.has_woken() == ["wf-1"]


def test_an_answer_in_time_wakes_nobody_and_shows_no_mark() -> None:
    sidecar = Sidecar()
    stream = sidecar.stream(turn("wf-1"), turn("wf-2"))

    sidecar.answer(next(stream))

    assert sidecar.has_woken() == []
    assert [each.completionToken for each in sidecar.sent] == [""]


def test_a_stream_that_ends_says_nothing_of_what_was_answered_on_the_next() -> None:
    sidecar = Sidecar()
    first, second = sidecar.stream(), sidecar.stream(turn("wf-1"))

    sidecar.answer(next(second))
    assert next(first, None) is None

    assert sidecar.has_woken() == []


def test_a_dapr_that_tells_turns_apart_is_left_to_it() -> None:
    sidecar = Sidecar()
    items = list(sidecar.stream(turn("wf-1", mark="its own")))

    sidecar.answer(items[0])

    assert [each.completionToken for each in sidecar.sent] == ["its own"]
    assert sidecar.has_woken() == []


def test_a_worker_that_stops_wakes_nobody() -> None:
    sidecar = Sidecar()
    stream = sidecar.stream(turn("wf-1"))
    sidecar.answer(next(stream))

    sidecar.late.close()
    assert next(stream, None) is None

    assert sidecar.has_woken() == []


@pytest.mark.parametrize(
    "item", [protos.WorkItem(healthPing=protos.HealthPing()), protos.WorkItem(activityRequest=protos.ActivityRequest())]
)
def test_what_is_no_turn_is_not_marked(item: Any) -> None:
    assert [each.completionToken for each in Sidecar().stream(item)] == [""]
