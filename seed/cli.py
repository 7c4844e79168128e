"""The command `python -m seed`: wait for the sidecar, load the sample data, say what was done."""

import asyncio
import time
from datetime import timedelta

import httpx2
from rich.console import Console

from desk.directory import DaprCustomerDirectory
from desk.errors import DeskError
from desk.settings import Settings
from desk.sidecar import Sidecar
from graph.errors import GraphError, InvalidSettingsError
from graph.settings import load_settings
from seed.load import LoadReport, load_sample_data
from seed.records import SampleDataError, read_sample_data

_PATIENCE = timedelta(seconds=60)
_PAUSE_SECONDS = 0.1
_BAD_INPUT = 2


def main() -> int:
    """Load the sample data and return the exit code of the process."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        report = asyncio.run(set_up(load_settings(Settings), patience=_PATIENCE))
    except InvalidSettingsError as error:
        console.print(str(error), markup=False)
        return _BAD_INPUT
    except (SampleDataError, DeskError, GraphError) as error:
        console.print(f"The sample data was not loaded: {error}", markup=False)
        return 1
    console.print(str(report))
    console.print("Sample data setup completed successfully!")
    return 0


async def set_up(settings: Settings, *, patience: timedelta) -> LoadReport:
    """Load the sample data through the sidecar of this process.

    Raises:
        SampleDataError: The sidecar is not ready in time, or the data cannot be used.
        DeskError: Dapr refused or lost a call.
    """
    data = read_sample_data()
    await _wait_for_sidecar(settings.dapr_http_url, patience=patience)
    async with Sidecar(settings.dapr_address) as sidecar:
        directory = DaprCustomerDirectory(
            sidecar, customer_store=settings.customer_store, system_store=settings.system_store
        )
        return await load_sample_data(directory, data)


async def _wait_for_sidecar(url: str, *, patience: timedelta) -> None:
    """Wait until the sidecar has loaded its components; it need not wait for an app."""
    deadline = time.monotonic() + patience.total_seconds()
    async with httpx2.AsyncClient(timeout=2.0) as client:
        while not await _is_ready(client, f"{url}/v1.0/healthz/outbound"):
            if time.monotonic() > deadline:
                raise SampleDataError(
                    f"no Dapr sidecar is ready at {url} after {patience.total_seconds():.0f} s; start this with "
                    "`dapr run --app-id data-setup --resources-path resources -- python -m seed`"
                )
            await asyncio.sleep(_PAUSE_SECONDS)


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx2.HTTPError:
        return False
