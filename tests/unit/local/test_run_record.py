"""Remembering what a run has started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.errors import AlreadyRunningError
from local.processes import is_alive
from local.run_record import RunRecord

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def group() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a group of its own."""
    with subprocess.Popen(SLEEP, process_group=0) as process:
        yield process
        process.kill()


def write(path: Path, *, launcher: dict[str, float], started: list[dict[str, float]]) -> RunRecord:
    path.write_text(json.dumps({"launcher": launcher, "started": started}))
    return RunRecord(path)


def entry(pid: int, *, created: float | None = None) -> dict[str, float]:
    return {"pid": pid, "created": psutil.Process(pid).create_time() if created is None else created}


def test_a_first_run_finds_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data" / "run.json"
    record = RunRecord(path)
    assert record.claim() == []
    assert json.loads(path.read_text())["launcher"]["pid"] == os.getpid()
    record.clear()
    assert not path.exists()


def test_a_living_launcher_is_left_alone(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    record = write(tmp_path / "run.json", launcher=entry(group.pid), started=[])
    with pytest.raises(AlreadyRunningError, match=f"process {group.pid}"):
        record.claim()


def test_groups_of_a_dead_launcher_are_ended(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    dead = {"pid": group.pid, "created": 1.0}
    record = write(tmp_path / "run.json", launcher=dead, started=[entry(group.pid)])
    assert len(record.claim()) == 1
    assert not psutil.pid_exists(group.pid) or not is_alive(psutil.Process(group.pid))


def test_a_stranger_that_got_the_same_id_is_left_alone(tmp_path: Path, group: subprocess.Popen[bytes]) -> None:
    stranger = entry(group.pid, created=1.0)
    record = write(tmp_path / "run.json", launcher=stranger, started=[stranger])
    assert record.claim() == []
    assert group.poll() is None


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"launcher": ')
    assert RunRecord(tmp_path / "run.json").claim() == []


def test_a_process_that_has_ended_already_needs_no_note(tmp_path: Path) -> None:
    record = RunRecord(tmp_path / "run.json")
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        ended.wait()
        record.add(ended.pid)
