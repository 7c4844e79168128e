"""Load the sample data once, by the same command that a person would type."""

import asyncio
import hashlib
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from local.dapr_cli import load_sample_data_command
from local.errors import StartError
from local.processes import start_service, tail
from local.project import Project

_STORES = ("customer-state.db", "system-state.db")
_PATIENCE = timedelta(seconds=90)


def is_loaded(project: Project) -> bool:
    """Tell whether the sample data, as it is now, was loaded into the stores that are there now."""
    marker = _marker(project)
    stores_exist = all((project.data / store).is_file() for store in _STORES)
    return stores_exist and marker.is_file() and marker.read_text(encoding="utf-8") == _digest(project)


async def load_sample_data(
    project: Project, *, cli: Path, environment: Mapping[str, str], forced: asyncio.Event
) -> None:
    """Load the sample data and remember which.

    Raises:
        StartError: It could not be loaded; the message has the last lines of the log.
    """
    log = project.logs / "data-setup.log"
    command = load_sample_data_command(cli, Path(sys.executable))
    service = await start_service("data-setup", command, log=log, folder=project.root, environment=environment)
    try:
        await asyncio.wait_for(service.process.wait(), _PATIENCE.total_seconds())
    except TimeoutError as error:
        raise StartError(f"the sample data is not loaded after {_PATIENCE.total_seconds():.0f} s, see {log}") from error
    finally:
        await service.stop(forced=forced, patience=timedelta(seconds=2))
    if service.process.returncode != 0:
        lines = "\n".join(f"  {line}" for line in tail(log) if "level=info" not in line)
        raise StartError(f"the sample data could not be loaded. The last lines of {log}:\n{lines}")
    mark_as_loaded(project)


def mark_as_loaded(project: Project) -> None:
    """Remember that the sample data, as it is now, is loaded."""
    _marker(project).write_text(_digest(project), encoding="utf-8")


def _marker(project: Project) -> Path:
    return project.data / "sample-data.sha256"


def _digest(project: Project) -> str:
    files = sorted(project.sample_data.glob("*.json"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
