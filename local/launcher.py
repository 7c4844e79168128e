"""`make run`: bring everything up in order, keep it up, and take all of it down again."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psutil
from rich.console import Console

from graph.settings import ModelSettings, load_settings
from local.apps import Apps
from local.control_plane import needs_binaries, start_control_plane
from local.dapr_cli import lay_out_runtime, run_apps_command
from local.errors import LocalError
from local.output import Follower
from local.ports import check_ports
from local.processes import Service, start_service
from local.progress import progress, spell
from local.project import Project
from local.readiness import wait_until_ready
from local.run_file import DESK, RunFile, read_run_file
from local.run_record import RunRecord
from local.runtime import Dapr, provide_dapr
from local.sample_data import is_loaded, load_sample_data
from local.settings import child_environment, current_environment
from local.stop_signals import StopSignals

_READY_PATIENCE = timedelta(seconds=120)
_CONTROL_PLANE_PATIENCE = timedelta(seconds=8)
_LAST_THREADS = timedelta(seconds=5)
_READER_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What all steps of one run share."""

    project: Project
    run_file: RunFile
    settings: ModelSettings
    environment: Mapping[str, str]
    record: RunRecord
    signals: StopSignals
    console: Console
    is_verbose: bool


async def run(project: Project, *, signals: StopSignals, console: Console, is_verbose: bool) -> None:
    """Run the project until it is cancelled or one of its processes ends.

    Raises:
        LocalError: It cannot be started, or something has ended; everything that was started has been stopped.
    """
    settings = load_settings(ModelSettings)
    launch = Launch(
        project=project,
        run_file=read_run_file(project.run_file),
        settings=settings,
        environment=child_environment(project, settings),
        record=RunRecord(project.run_record),
        signals=signals,
        console=console,
        is_verbose=is_verbose,
    )
    _claim(launch)
    try:
        await _bring_up(launch)
    finally:
        launch.record.clear()


def _claim(launch: Launch) -> None:
    names = launch.record.claim()
    if names:
        launch.console.print(f"Ended what an earlier run had left behind: {', '.join(names)}")
    try:
        # A killed process can hold its ports for a moment after it has ended, until its last thread has.
        check_ports(launch.run_file.port_needs(), patience=_LAST_THREADS if names else timedelta())
    except LocalError:
        launch.record.clear()
        raise


async def _bring_up(launch: Launch) -> None:
    dapr = await provide_dapr(
        launch.project,
        needs_control_plane=needs_binaries(launch.run_file.common),
        console=launch.console,
        environment=current_environment(),
    )
    lay_out_runtime(launch.project, dapr.runtime)
    async with _control_plane(launch, dapr):
        await _provide_sample_data(launch, dapr)
        async with _apps(launch, dapr) as apps:
            await _serve(launch, apps)


@asynccontextmanager
async def _control_plane(launch: Launch, dapr: Dapr) -> AsyncGenerator[None]:
    services: list[Service] = []

    def keep(service: Service) -> None:
        services.append(service)
        launch.record.add(service.pid)

    try:
        started = await start_control_plane(
            launch.run_file.common,
            runtime=dapr.runtime,
            project=launch.project,
            environment=launch.environment,
            keep=keep,
        )
        launch.console.print(f"Control plane: {_describe(started)}")
        yield
    finally:
        launch.signals.begin_to_stop()
        forced = launch.signals.forced
        await asyncio.gather(*(service.stop(forced=forced, patience=_CONTROL_PLANE_PATIENCE) for service in services))


def _describe(started: list[str]) -> str:
    return f"started {' and '.join(started)}" if started else "placement and scheduler answer already"


async def _provide_sample_data(launch: Launch, dapr: Dapr) -> None:
    if is_loaded(launch.project):
        launch.console.print("Sample data: loaded already")
        return
    async with progress(launch.console, "Loading the sample data"):
        await load_sample_data(
            launch.project, cli=dapr.cli, environment=launch.environment, forced=launch.signals.forced
        )


@asynccontextmanager
async def _apps(launch: Launch, dapr: Dapr) -> AsyncGenerator[Apps]:
    project = launch.project
    log = project.logs / "run.log"
    cli = await start_service(
        "dapr run",
        run_apps_command(dapr.cli),
        log=log,
        folder=project.root,
        environment=launch.environment,
        is_followed=True,
    )
    launch.record.add(cli.pid)
    follower = Follower(launch.console, log=log, is_verbose=launch.is_verbose)
    apps = Apps(cli, launch.run_file.apps, follower=follower, project=project)
    async with AsyncExitStack() as stack:
        reader = asyncio.create_task(follower.follow(cli))
        stack.push_async_callback(_finish, reader)
        stack.push_async_callback(apps.stop, forced=launch.signals.forced)
        stack.callback(follower.be_quiet)
        stack.callback(launch.signals.begin_to_stop)
        yield apps


async def _finish(reader: asyncio.Task[None]) -> None:
    await asyncio.wait([reader], timeout=_READER_SECONDS)
    reader.cancel()


async def _serve(launch: Launch, apps: Apps) -> None:
    url = launch.run_file.desk_url
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(apps.watch())
            await apps.wait_until_started()
            await wait_until_ready(
                f"{url}/health/ready",
                name=DESK,
                log=launch.project.logs / "run.log",
                patience=_READY_PATIENCE,
            )
            _announce(launch, url)
    except ExceptionGroup as errors:
        # One of the two tasks has failed; the other was only cancelled for it.
        raise errors.exceptions[0] from None


def _announce(launch: Launch, url: str) -> None:
    elapsed = spell(timedelta(seconds=time.time() - psutil.Process().create_time()))
    model = "the offline model" if launch.settings.is_offline else launch.settings.model_base_url
    launch.console.print(f"\nReady after {elapsed}. Answers come from {model}.", style="bold green")
    launch.console.print(
        f"  API and its page   {url}/docs\n"
        f"  knowledge base     {launch.settings.knowledge_base_url} (MCP)\n"
        f"  logs               {launch.project.logs}, {launch.project.cli_logs}\n"
        "  `make demo` in another terminal files a ticket for each sample customer; Ctrl-C stops everything.\n"
    )
