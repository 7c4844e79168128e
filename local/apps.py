"""Everything that `dapr run -f .` has started: watch it, and end it in order."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import psutil

from local.dapr_cli import AppProcesses, find_processes
from local.errors import StartError
from local.output import Follower
from local.processes import Service, end_processes, is_alive, kill_processes, tail
from local.project import Project
from local.run_file import App

_LOOK_SECONDS = 0.2
# The CLI opens a sidecar's log a moment before it starts the sidecar.
_MOST_UNSEEN_LOOKS = 10
_LAST_WORDS_SECONDS = 0.5
_APP_PATIENCE = timedelta(seconds=8)
_SIDECAR_PATIENCE = timedelta(seconds=5)
_CLI_PATIENCE = timedelta(seconds=3)


@dataclass(frozen=True, kw_only=True)
class Dead:
    """The process that was found to have ended."""

    part: Literal["app", "sidecar", "cli"]
    app_id: str = ""


class Apps:
    """The apps of dapr.yaml with their sidecars, under one Dapr CLI.

    The CLI itself neither notices when one of them ends, nor ends them other than by SIGKILL.
    """

    def __init__(self, cli: Service, apps: Iterable[App], *, follower: Follower, project: Project) -> None:
        self._cli = cli
        self._app_ids = [app.app_id for app in apps]
        self._follower = follower
        self._project = project
        self._seen: dict[str, AppProcesses] = {}
        self._began = time.time()
        self._unseen: Counter[str] = Counter()

    async def watch(self) -> None:
        """Look after all processes for as long as they live.

        Raises:
            StartError: One of them has ended; the message names it and has its last log lines.
        """
        while not (dead := self._find_dead()):  # noqa: ASYNC110 - nothing tells us of the end of the CLI's children
            await asyncio.sleep(_LOOK_SECONDS)
        # Its last words may still be on their way through the CLI.
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        raise StartError(self._describe(dead))

    async def wait_until_started(self) -> None:
        """Wait until the CLI has started every app and its sidecar."""
        while not self._follower.started.issuperset(self._app_ids):  # noqa: ASYNC110 - the CLI only prints it
            await asyncio.sleep(_LOOK_SECONDS)

    async def stop(self, *, forced: asyncio.Event) -> None:
        """End the apps, then their sidecars, then the CLI, and make sure that nothing is left."""
        self._look()
        everything = self._everything()
        try:
            await end_processes(self._named("app"), forced=forced, patience=_APP_PATIENCE)
            await end_processes(self._named("sidecar"), forced=forced, patience=_SIDECAR_PATIENCE)
            await self._cli.stop(forced=forced, patience=_CLI_PATIENCE)
        finally:
            kill_processes(everything)

    def _look(self) -> None:
        for app_id, found in find_processes(self._cli.pid).items():
            known = self._seen.get(app_id, AppProcesses())
            self._seen[app_id] = AppProcesses(app=known.app or found.app, sidecar=known.sidecar or found.sidecar)

    def _find_dead(self) -> Dead | None:
        self._look()
        for app_id, processes in self._seen.items():
            if processes.sidecar and not is_alive(processes.sidecar):
                return Dead(part="sidecar", app_id=app_id)
            if self._is_app_dead(app_id, processes.app):
                return Dead(part="app", app_id=app_id)
        for app_id in self._app_ids:
            if self._has_sidecar_gone_unseen(app_id):
                return Dead(part="sidecar", app_id=app_id)
        return None if self._cli.is_running else Dead(part="cli")

    def _has_sidecar_gone_unseen(self, app_id: str) -> bool:
        """Whether a sidecar has written its log and was never there to be seen: it ended between two looks."""
        if self._seen.get(app_id, AppProcesses()).sidecar or not self._fresh_sidecar_logs(app_id):
            return False
        self._unseen[app_id] += 1
        return self._unseen[app_id] > _MOST_UNSEEN_LOOKS

    def _describe(self, dead: Dead) -> str:
        match dead.part:
            case "sidecar":
                return f"the sidecar of {dead.app_id} has ended.{_indent(self._sidecar_lines(dead.app_id))}"
            case "app":
                return f"{dead.app_id} has ended.{_indent(self._follower.last_lines(dead.app_id))}"
            case "cli":
                return f"`dapr run` has ended.{_indent(tail(self._cli.log))}"

    def _is_app_dead(self, app_id: str, app: psutil.Process | None) -> bool:
        if app is None:
            # The CLI says that it has started one, and it is not there: it ended before it was seen.
            return app_id in self._follower.started
        return not is_alive(app)

    def _everything(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in [*self._named("app"), *self._named("sidecar")]:
            try:
                found += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def _named(self, part: str) -> list[psutil.Process]:
        pairs = [self._seen.get(app_id, AppProcesses()) for app_id in reversed(self._app_ids)]
        chosen = [pair.app if part == "app" else pair.sidecar for pair in pairs]
        return [process for process in chosen if process is not None]

    def _sidecar_lines(self, app_id: str) -> list[str]:
        logs = self._fresh_sidecar_logs(app_id)
        return tail(logs[-1]) if logs else []

    def _fresh_sidecar_logs(self, app_id: str) -> list[Path]:
        logs = sorted(self._project.cli_logs.glob(f"{app_id}_daprd_*.log"))
        # By its name: the sidecar of a run that was killed a moment ago may have written to its log until just now.
        return [log for log in logs if _opened_at(log) >= int(self._began) - 1]


def _opened_at(log: Path) -> float:
    """Return when the CLI has opened a log, which it puts into its name, to the second and in local time."""
    return time.mktime(time.strptime(log.stem.rpartition("_")[2], "%Y%m%d%H%M%S"))


def _indent(lines: Iterable[str]) -> str:
    text = "\n".join(f"  {line}" for line in lines)
    return f" Its last lines:\n{text}" if text else ""
