"""What is said while a sidecar does not answer."""

from __future__ import annotations

import pytest

from dapr_bridge import _absence
from dapr_bridge._absence import telling_of_absence
from dapr_bridge.testing import wait_until

WORDS = "no sidecar answers at 127.0.0.1:1 yet; start this under `dapr run ...`, or give `address=`"


def test_it_is_said_after_a_while_and_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_absence, "_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(_absence, "_NEXT_SECONDS", 0.1)

    with telling_of_absence("127.0.0.1:1"):
        wait_until(lambda: len(caplog.messages) > 1, what="it to be said twice")

    assert set(caplog.messages) == {WORDS}


def test_nothing_is_said_of_a_sidecar_that_answers_soon(caplog: pytest.LogCaptureFixture) -> None:
    with telling_of_absence("127.0.0.1:1"):
        pass

    assert not caplog.messages
