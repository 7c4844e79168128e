"""Remember which process groups a run has started, for the next one in case this one is killed."""

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import psutil

from local.errors import AlreadyRunningError
from local.processes import is_alive, kill_processes

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


class _Entry(TypedDict):
    pid: int
    created: float


class _Record(TypedDict):
    launcher: _Entry
    started: list[_Entry]


class RunRecord:
    """The launcher's own process and the leaders of the groups that it has started, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started: list[_Entry] = []

    def claim(self) -> list[str]:
        """Make this process the one that runs the project, and end what an earlier one left behind.

        Returns:
            The names of the processes that were ended.

        Raises:
            AlreadyRunningError: The earlier one is alive.
        """
        self.refuse_if_running()
        left = self._read()
        names = _end_groups(left["started"] if left else [])
        self._write()
        return names

    def refuse_if_running(self) -> None:
        """Do nothing unless another process runs the project.

        Raises:
            AlreadyRunningError: One does.
        """
        left = self._read()
        if left and (launcher := _find(left["launcher"])):
            pid = launcher.pid
            raise AlreadyRunningError(f"the project runs already (process {pid}); stop it with Ctrl-C, or `kill {pid}`")

    def add(self, leader: int) -> None:
        """Note a process that leads a group of its own; one that has ended already needs no note."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._started.append(_Entry(pid=leader, created=psutil.Process(leader).create_time()))
            self._write()

    def clear(self) -> None:
        """Forget everything: all has ended."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> _Record | None:
        try:
            return json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        own = psutil.Process()
        launcher = _Entry(pid=own.pid, created=own.create_time())
        record = _Record(launcher=launcher, started=self._started)
        # Replaced as a whole: whoever reads it after a crash finds the old one or the new one.
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(record), encoding="utf-8")
        draft.replace(self._path)


def _end_groups(leaders: Sequence[_Entry]) -> list[str]:
    """Kill everything in these groups, also what the Dapr CLI started while it was looked for; return the names."""
    ended: dict[int, str] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (members := _find_members(leaders)) and time.monotonic() < deadline:
        ended.update({process.pid: _name(process) for process in members})
        kill_processes(members)
        _wait_until_gone(members)
    return list(ended.values())


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "a process that has just ended"


def _find_members(leaders: Sequence[_Entry]) -> list[psutil.Process]:
    """Return all processes of these groups, leaders or not."""
    groups = {entry["pid"] for entry in leaders if _is_ours(entry)}
    return [process for process in psutil.process_iter() if _group(process) in groups and is_alive(process)]


def _is_ours(leader: _Entry) -> bool:
    """Tell whether the group can still be ours: while it has members, its id is not given to another process."""
    try:
        return _is_same(psutil.Process(leader["pid"]), leader)
    except psutil.NoSuchProcess:
        return True


def _wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _find(entry: _Entry) -> psutil.Process | None:
    """Return the living process of an entry, unless its id belongs to another one by now."""
    try:
        process = psutil.Process(entry["pid"])
    except psutil.NoSuchProcess:
        return None
    return process if is_alive(process) and _is_same(process, entry) else None


def _is_same(process: psutil.Process, entry: _Entry) -> bool:
    return abs(process.create_time() - entry["created"]) < 1
