"""Show what the Dapr CLI prints: all of it in a log, what matters to the person at the terminal."""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from local.processes import Service
from local.run_file import DESK

_APP_LINE = re.compile(r"^== APP - (?P<app>[^=]+?) == (?P<text>.*)$")
_STARTED = re.compile(r'Started Dapr with app id "(?P<app>[^"]+)"')
_FAILURE = "❌"
_ROUTINE = re.compile(r"\b(DEBUG|INFO)\b")
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")
_LAST_LINES = 15


class Follower:
    """Reads the CLI's output to its end and remembers the last lines of each app.

    Unless it is verbose it shows what the desk says, and of the others only what is out of the ordinary.
    """

    def __init__(self, console: Console, *, log: Path, is_verbose: bool) -> None:
        self._console = console
        self._log = log
        self._is_verbose = is_verbose
        self._last: defaultdict[str, deque[str]] = defaultdict(lambda: deque[str](maxlen=_LAST_LINES))
        self._colours: dict[str, str] = {}
        self._is_quiet = False
        self.started: set[str] = set()
        """The apps that the CLI says it has started."""

    def last_lines(self, app: str) -> list[str]:
        """Return the last lines that an app has printed."""
        return list(self._last[app])

    def be_quiet(self) -> None:
        """Show nothing more: the log still gets all."""
        self._is_quiet = True

    async def follow(self, cli: Service) -> None:
        """Read until the CLI has closed its output."""
        if (stream := cli.process.stdout) is None:
            return
        with self._log.open("w", encoding="utf-8") as log:
            async for line in _lines(stream):
                log.write(f"{line}\n")
                log.flush()
                self._take(line)

    def _take(self, line: str) -> None:
        if found := _APP_LINE.match(line):
            app, text = found["app"], found["text"]
            self._last[app].append(text)
            if self._is_verbose or app == DESK or not _ROUTINE.search(text):
                self._show(app, text)
            return
        if found := _STARTED.search(line):
            self.started.add(found["app"])
        if self._is_verbose or line.startswith(_FAILURE):
            self._show("dapr", line)

    def _show(self, who: str, text: str) -> None:
        if self._is_quiet:
            return
        colour = self._colours.setdefault(who, _COLOURS[len(self._colours) % len(_COLOURS)])
        self._console.print(Text.assemble((f"{who:>23} | ", colour), Text.from_ansi(text)), soft_wrap=True)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield whole lines; a line too long for the stream's buffer comes in pieces."""
    while not stream.at_eof():
        try:
            line = await stream.readuntil()
        except asyncio.IncompleteReadError as rest:
            line = rest.partial
        except asyncio.LimitOverrunError as overrun:
            line = await stream.readexactly(overrun.consumed)
        if line:
            yield line.decode(errors="replace").rstrip("\n")
