"""Child processes in groups of their own, so that ending one ends all that it started."""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import psutil

from local.errors import StartError

_PAUSE_SECONDS = 0.05
_TAIL_LINES = 15


class Service:
    """One child process, leader of its own process group."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, *, log: Path) -> None:
        self.name = name
        self.log = log
        self.process = process

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process itself has not ended."""
        return self.process.returncode is None

    async def stop(self, *, forced: asyncio.Event, patience: timedelta) -> None:
        """End the process with SIGTERM; whatever of its group is left after `patience`, with SIGKILL."""
        try:
            if self.is_running:
                _signal_group(self.pid, signal.SIGTERM)
                await wait_or_force(self.process.wait(), forced=forced, patience=patience)
        finally:
            _signal_group(self.pid, signal.SIGKILL)
        await self.process.wait()


async def start_service(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    is_followed: bool = False,
) -> Service:
    """Start a process in a group of its own; its output goes to `log`, or to a pipe when it is followed.

    Raises:
        StartError: The program cannot be executed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        target: IO[bytes] | int = asyncio.subprocess.PIPE if is_followed else output
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=target,
                stderr=asyncio.subprocess.STDOUT,
                cwd=folder,
                env=environment,
                process_group=0,
            )
        except OSError as error:
            raise StartError(f"{name} cannot be started: {error}") from error
    return Service(name, process, log=log)


async def wait_or_force(ended: Coroutine[Any, Any, Any], *, forced: asyncio.Event, patience: timedelta) -> None:
    """Wait until something has ended, or the user forces it, or patience is over."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(ended), asyncio.create_task(forced.wait())]
    _, late = await asyncio.wait(tasks, timeout=patience.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()


async def end_processes(processes: Iterable[psutil.Process], *, forced: asyncio.Event, patience: timedelta) -> None:
    """Ask processes that are not our children to end, and wait until they have."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    await wait_or_force(_until_gone(processes), forced=forced, patience=patience)


def kill_processes(processes: Iterable[psutil.Process]) -> None:
    """End processes with SIGKILL; those that have gone already are left out."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process still does something; one that only waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tail(log: Path, *, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a log; none when there is no log."""
    if not log.is_file():
        return []
    with log.open(encoding="utf-8", errors="replace") as content:
        return [line.rstrip("\n") for line in deque(content, maxlen=lines)]


async def _until_gone(processes: Sequence[psutil.Process]) -> None:
    while any(is_alive(process) for process in processes):  # noqa: ASYNC110 - nothing tells us of the end of a process that is not our child
        await asyncio.sleep(_PAUSE_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
