"""Child processes that tests start, wait for, read and kill."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from dapr_bridge._contexts import Running
from dapr_bridge.errors import LocalDaprError

_TAIL_LINES = 20
_LOOPBACK = "127.0.0.1"

_PORTS = range(20_000, 30_000)
"""Below those that Linux, macOS and Windows lend to outgoing connections: one of these stays free until it is used."""

_MOST_KEPT = 128

_candidates = itertools.cycle(random.SystemRandom().sample(_PORTS, k=len(_PORTS)))
_kept: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a TCP port that nothing listens on right now, on any interface, and that nobody here was told lately.

    Test sessions side by side, and the workers of one, are told different ones.

    Raises:
        LocalDaprError: all of them are taken.
    """
    for port in itertools.islice(_candidates, len(_PORTS)):
        keeper = _keep(port)
        if keeper:
            _kept.append(keeper)
            if len(_kept) > _MOST_KEPT:
                _kept.popleft().close()
            return port
    raise LocalDaprError(f"no port is free from {_PORTS.start} to {_PORTS.stop - 1}")


def _keep(port: int) -> socket.socket | None:
    """Keep a port from other processes that ask here, until it is listened on: by its namesake in UDP."""
    keeper = socket.socket(type=socket.SOCK_DGRAM)
    try:
        keeper.bind((_LOOPBACK, port))
        with socket.socket() as probe:
            probe.bind(("", port))
    except OSError:
        keeper.close()
        return None
    return keeper


def _let_go() -> None:
    while _kept:
        _kept.pop().close()


# Before the interpreter complains of sockets that were left open.
atexit.register(_let_go)


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 30.0, pause: float = 0.02) -> None:
    """Poll a condition until it holds.

    Raises:
        LocalDaprError: it did not hold within `seconds`; the message names `what`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LocalDaprError(f"waited {seconds:g} s for {what}, in vain")
        time.sleep(pause)


def answers(url: str) -> bool:
    """Tell whether a GET of `url` is answered with a 2xx status."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - loopback addresses of our own processes
            return 200 <= response.status < 300
    except (urllib.error.URLError, OSError):
        return False


class Process(Running):
    """One child process in a session of its own, its output in a log file.

    A context manager: leaving it stops the process. `start` after `kill` brings it back with the same command.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.command = list(command)
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises `LocalDaprError` when it does not run."""
        if self._child is None:
            raise LocalDaprError(f"{self.command[0]!r} was not started")
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> Self:
        """Start it, appending to the log."""
        if self.is_running:
            raise LocalDaprError(f"{self.command[0]!r} runs already, as process {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - commands come from tests, not from outside
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    def wait_for(self, condition: Callable[[], bool], *, what: str, seconds: float = 30.0) -> Self:
        """Wait for a condition, giving up at once when the process ends."""

        def ready_or_dead() -> bool:
            if not self.is_running:
                raise LocalDaprError(f"{self.command[0]!r} ended before {what}; its last lines:\n{self.tail()}")
            return condition()

        wait_until(ready_or_dead, what=f"{what} (log: {self.log})", seconds=seconds)
        return self

    def wait_for_http(self, url: str, *, seconds: float = 30.0) -> Self:
        """Wait until a GET of `url` is answered with a 2xx status."""
        return self.wait_for(lambda: answers(url), what=f"an answer from {url}", seconds=seconds)

    def kill(self) -> None:
        """End the process and its children with SIGKILL, now."""
        self._signal(signal.SIGKILL)

    def stop(self, *, seconds: float = 10.0) -> None:
        """End it with SIGTERM, and with SIGKILL when it has not gone after `seconds`."""
        self._signal(signal.SIGTERM, seconds=seconds)
        self._signal(signal.SIGKILL)

    def text(self) -> str:
        """Everything it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """The last lines it logged."""
        return "\n".join(self.text().splitlines()[-_TAIL_LINES:])

    def _signal(self, number: int, *, seconds: float = 10.0) -> None:
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
        try:
            self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return
        self._child = None if number == signal.SIGKILL else self._child
