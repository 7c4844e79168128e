"""The commands of `python -m local`: read the arguments, run one, turn its end into an exit code."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from graph.errors import InvalidSettingsError
from local.clean_data import clean_data
from local.demo import Demo
from local.desk_client import DeskClient
from local.errors import LocalError
from local.launcher import run
from local.project import Project, find_project
from local.run_file import read_run_file
from local.runtime import provide_dapr
from local.settings import chosen_editor, current_environment
from local.stop_signals import StopSignals
from seed.records import SampleDataError, read_sample_data

_BAD_INPUT = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code of the process."""
    options = _parser().parse_args(arguments)
    # Everything is shown as it is: nothing in a path or a log line is taken for a colour.
    console = Console(highlight=False, markup=False)
    # A file or a pipe has no width to wrap lines at.
    console.soft_wrap = not console.is_terminal
    try:
        return _run_command(options, find_project(Path.cwd()), console)
    except (InvalidSettingsError, SampleDataError) as error:
        return _fail(console, error, code=_BAD_INPUT)
    except LocalError as error:
        return _fail(console, error, code=error.exit_code)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _run_command(options: argparse.Namespace, project: Project, console: Console) -> int:
    match options.command:
        case "run":
            return asyncio.run(_run_until_stopped(project, console, is_verbose=options.verbose))
        case "setup":
            asyncio.run(_set_up(project, console))
        case "demo":
            _demonstrate(project, console, url=options.api, is_agreed=options.yes)
        case _:
            clean_data(project, console=console, is_sure=options.yes)
    return 0


async def _run_until_stopped(project: Project, console: Console, *, is_verbose: bool) -> int:
    signals = StopSignals(announce=console.print)
    task = asyncio.create_task(run(project, signals=signals, console=console, is_verbose=is_verbose))
    signals.install(task)
    try:
        await task
    except asyncio.CancelledError:
        if not signals.was_asked:
            raise
        console.print("Stopped.")
    return 0


async def _set_up(project: Project, console: Console) -> None:
    await provide_dapr(project, needs_control_plane=True, console=console, environment=current_environment())


def _demonstrate(project: Project, console: Console, *, url: str | None, is_agreed: bool) -> None:
    tickets = read_sample_data(project.sample_data).tickets
    with DeskClient(url or read_run_file(project.run_file).desk_url) as desk:
        Demo(desk, console=console, editor=chosen_editor(), is_agreed=is_agreed).run(tickets)


def _fail(console: Console, error: Exception, *, code: int) -> int:
    console.print(str(error), style="bold red")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="Run the support desk on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("run", help="run everything until Ctrl-C")
    start.add_argument("--verbose", action="store_true", help="show what the Dapr CLI says, too")
    commands.add_parser("setup", help="find a Dapr runtime, or build one")
    demo = commands.add_parser("demo", help="file a ticket for each sample customer and follow it")
    demo.add_argument("--yes", action="store_true", help="approve every solution without asking")
    demo.add_argument("--api", metavar="URL", help="the desk's API (default: the one of dapr.yaml on this machine)")
    clean = commands.add_parser("clean-data", help="remove all tickets, customers and logs")
    clean.add_argument("--yes", action="store_true", help="do not ask")
    return parser
