"""Each example does what it says, run by the command in its docstring."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dapr_bridge.testing import Sidecar

Run = Callable[..., str]

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run_on_sidecar(run_example: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run examples on a sidecar that is there already, as under `dapr run`."""
    for name, value in sidecar.environment().items():
        monkeypatch.setenv(name, value)
    return run_example


def test_five_lines_run_on_a_dapr_that_they_start_themselves(run_example: Run) -> None:
    assert run_example("five_lines") == "{'name': 'Ada', 'greeting': 'Hello, Ada!'}\n"


def test_two_questions_are_answered_by_id_from_another_process(run_on_sidecar: Run) -> None:
    printed = run_on_sidecar("human_in_the_loop")

    legal, sales = re.findall(r"^(\w+): \w+: ", printed, re.MULTILINE)
    answers = re.findall(r"^process \d+ says yes to (\w+), (\d) left open$", printed, re.MULTILINE)
    assert answers == [(legal, "1"), (sales, "0")]
    assert printed.endswith("{'price': 100, 'legal': 'yes', 'sales': 'yes', 'sent': True}\n")


def test_a_fan_out_is_shared_by_two_worker_processes(run_on_sidecar: Run) -> None:
    readers = re.findall(r"^page (\d) was read by process (\d+)$", run_on_sidecar("fan_out"), flags=re.MULTILINE)

    assert [page for page, _ in readers] == list("12345678")
    assert len({process for _, process in readers}) == 2


def test_daprs_history_does_not_grow_with_an_agents_loop(run_on_sidecar: Run) -> None:
    printed = run_on_sidecar("agent_loop", "--supersteps", "60")

    figures = re.findall(r"^(\d+) supersteps: state of (\d+) bytes, (\d+) events .* (\d+) bytes", printed, re.MULTILINE)
    (_, small_state, few, short), (steps, large_state, many, long) = (tuple(map(int, each)) for each in figures)
    assert steps == 60
    assert large_state > 5 * small_state
    assert (many, abs(long - short) < 100) == (few, True)


def test_a_run_ends_as_the_bridges_readme_shows_although_its_worker_was_killed(run_on_sidecar: Run) -> None:
    printed = run_on_sidecar("survives_a_kill")

    assert "charge: called 2x, done 1x" in printed
    assert without_ids(printed) == without_ids(transcript("survives_a_kill"))
    killed, next_one = re.findall(r"[Pp]rocess (\d+)", printed)
    assert killed != next_one


def transcript(name: str) -> str:
    """What the bridge's README shows as the output of an example."""
    command = f"$ .venv/bin/python -m examples.{name}\n"
    return (PROJECT / "dapr_bridge" / "README.md").read_text().split(command)[1].split("```")[0]


def without_ids(text: str) -> str:
    return re.sub(r"([Pp]rocess) \d+", r"\1 N", text)
