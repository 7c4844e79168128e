"""Turn Ctrl-C, SIGTERM and a closed terminal into an orderly end, and a second Ctrl-C into a quick one."""

import asyncio
import signal
from collections.abc import Callable

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """The first signal cancels the task that runs the command; one that comes while it is ending sets `forced`."""

    def __init__(self, *, announce: Callable[[str], None]) -> None:
        self.forced = asyncio.Event()
        self._announce = announce
        self._was_asked = False
        self._is_stopping = False

    @property
    def was_asked(self) -> bool:
        """Whether the command ends because the user wants it to."""
        return self._was_asked

    def install(self, task: asyncio.Task[None]) -> None:
        """Take over the signals of this process."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._receive, task)

    def begin_to_stop(self) -> None:
        """Say that the end has begun, whatever the reason: from now on it is not to be interrupted, only hurried."""
        self._is_stopping = True

    def _receive(self, task: asyncio.Task[None]) -> None:
        if self._is_stopping:
            self.forced.set()
            return
        self._was_asked = self._is_stopping = True
        self._announce("Stopping everything that was started (Ctrl-C again to force) ...")
        task.cancel()
