"""What is shown of the Dapr CLI's output, and what is kept."""

from __future__ import annotations

import asyncio
import io
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from local.output import Follower
from local.processes import start_service

pytestmark = pytest.mark.anyio

LINES = (
    "\N{INFORMATION SOURCE}  Validating config",
    "== APP - customer-support-system == 10:00 INFO desk: ticket received",
    "== APP - knowledge-base == 10:00 INFO: queried",
    "== APP - knowledge-base == 10:00 WARNING: slow",
    "== APP - knowledge-base == Traceback (most recent call last):",
    '\N{INFORMATION SOURCE}  Started Dapr with app id "knowledge-base". HTTP Port: 1. gRPC Port: 2',
    "❌  Error starting daprd",
)


async def follow(folder: Path, *lines: str, is_verbose: bool = False) -> tuple[Follower, str, str]:
    script = "import sys; sys.stdout.write(sys.argv[1])"
    log = folder / "run.log"
    service = await start_service(
        "cli",
        [sys.executable, "-c", script, "\n".join(lines)],
        log=log,
        folder=folder,
        environment={"PYTHONIOENCODING": "utf-8"},
        is_followed=True,
    )
    output = io.StringIO()
    follower = Follower(Console(file=output, width=200, markup=False), log=log, is_verbose=is_verbose)
    await follower.follow(service)
    await service.stop(forced=asyncio.Event(), patience=timedelta(seconds=1))
    return follower, output.getvalue(), log.read_text()


async def test_the_desk_is_shown_and_of_the_others_only_what_is_out_of_the_ordinary(tmp_path: Path) -> None:
    _, shown, _ = await follow(tmp_path, *LINES)
    for text in ("ticket received", "WARNING: slow", "Traceback", "Error starting daprd"):
        assert text in shown
    assert "queried" not in shown
    assert "Validating" not in shown


async def test_the_log_and_a_verbose_run_have_everything(tmp_path: Path) -> None:
    _, shown, log = await follow(tmp_path, *LINES, is_verbose=True)
    assert log.splitlines() == list(LINES)
    assert "queried" in shown
    assert "Validating" in shown


async def test_the_last_words_of_each_app_are_kept(tmp_path: Path) -> None:
    many = [f"== APP - offline-model == line {number}" for number in range(100)]
    follower, _, _ = await follow(tmp_path, *LINES, *many)
    assert follower.last_lines("knowledge-base")[-1] == "Traceback (most recent call last):"
    assert follower.last_lines("offline-model")[-1] == "line 99"
    assert len(follower.last_lines("offline-model")) < 30
    assert follower.last_lines("nobody") == []
    assert follower.started == {"knowledge-base"}


async def test_a_line_longer_than_any_buffer_does_not_stop_the_reading(tmp_path: Path) -> None:
    follower, _, log = await follow(tmp_path, "== APP - a == " + "x" * 100_000, "== APP - b == still here")
    assert follower.last_lines("b") == ["still here"]
    assert log.count("x") == 100_000


async def test_colours_and_brackets_of_an_app_do_no_harm(tmp_path: Path) -> None:
    _, shown, _ = await follow(tmp_path, "== APP - customer-support-system == \x1b[31mred[/] [bold]text\x1b[0m")
    assert "red[/] [bold]text" in shown
