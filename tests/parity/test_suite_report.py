"""What the published table counts, and what it says of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.parity.langgraph_suite.report import Comparison, write_report
from tests.parity.langgraph_suite.run import TestEnd


def end(test: str, outcome: str = "passed", **more: Any) -> TestEnd:
    details = {"calls": 1, "left_out": [], "error": ""} | more
    return TestEnd(test=f"tests/{test}", outcome=outcome, **details)


def by_name(*ends: TestEnd) -> dict[str, TestEnd]:
    return {each.test: each for each in ends}


CHECKPOINT_ERRORS = "tests/test_a.py::test_checkpoint_errors"

NATIVE = by_name(
    end("test_a.py::test_1"),
    end("test_a.py::test_checkpoint_errors"),
    end("test_a.py::test_3", "failed"),
    end("test_b.py::test_4"),
    end("test_b.py::test_5"),
)
ROUTED = by_name(
    end("test_a.py::test_1"),
    end("test_a.py::test_checkpoint_errors", "failed", error="ValueNotKeptError: no"),
    end("test_a.py::test_3", "failed"),
    end("test_b.py::test_4", "failed", left_out=["durability='exit'"]),
    end("test_b.py::test_5", calls=0),
)


def test_a_test_counts_when_it_passes_natively_and_reaches_the_bridge_and_means_something_there() -> None:
    comparison = Comparison(native=NATIVE, routed=ROUTED)

    assert [each.test for each in comparison.counted] == ["tests/test_a.py::test_1", CHECKPOINT_ERRORS]
    assert [each.test for each in comparison.failing] == [CHECKPOINT_ERRORS]
    assert [each.test for each in comparison.left_out] == ["tests/test_b.py::test_4"]
    assert comparison.share == 50


def test_the_page_names_every_failure_with_its_reason_and_all_that_is_left_out() -> None:
    comparison = Comparison(native=NATIVE, routed=ROUTED)

    page = write_report(release="9.9", units={"run": comparison}, saver=comparison)

    assert "| unit `run` | 2 | 1 | 50.0 % |" in page
    assert "| test_a.py | 2 | 1 | 1 |" in page
    assert "1: makes a saver fail: the bridge calls" in page
    assert "in its own error</summary>\n\n- `test_a.py::test_checkpoint_errors`" in page
    assert "1: durability='exit'</summary>\n\n- `test_b.py::test_4`" in page


def test_a_failure_that_nobody_looked_into_shows_its_error() -> None:
    routed = by_name(end("test_a.py::test_1", "failed", error="ValueError: odd\nmore"))

    page = write_report(
        release="9.9",
        units={"run": Comparison(native=NATIVE, routed=routed)},
        saver=Comparison(native=NATIVE, routed=routed),
    )

    assert "1: not looked into yet: `ValueError: odd`" in page


def test_help_tells_of_each_way_and_runs_nothing() -> None:
    command = [sys.executable, "-m", "tests.parity", "--help"]
    world = {**os.environ, "COLUMNS": "400"}
    ended = subprocess.run(command, env=world, capture_output=True, text=True, timeout=60, check=True)

    assert all(f"{way}: " in ended.stdout for way in ("native", "saver", "run", "task"))
    assert "--select" in ended.stdout
