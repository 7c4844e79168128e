"""`python -m seed` through a real sidecar."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dapr_bridge.testing import ControlPlane, Sidecar, free_port
from desk.directory import DaprCustomerDirectory
from desk.settings import Settings
from desk.sidecar import Sidecar as DeskSidecar
from seed.cli import set_up
from seed.records import SampleDataError
from tests.kit.local_project import ROOT

pytestmark = pytest.mark.anyio

PATIENCE = timedelta(seconds=30)


def settings_for(http_port: int, grpc_port: int) -> Settings:
    return Settings(_env_file=None, dapr_http_port=http_port, dapr_grpc_port=grpc_port)


async def test_a_second_load_changes_nothing_and_a_changed_record_is_mended(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / ".data").mkdir()
    sidecar = Sidecar("data-setup", control_plane=control_plane, resources=ROOT / "resources", folder=tmp_path)
    with sidecar:
        settings = settings_for(sidecar.http_port, sidecar.grpc_port)
        first = await set_up(settings, patience=PATIENCE)
        second = await set_up(settings, patience=PATIENCE)
        async with DeskSidecar(sidecar.address) as client:
            directory = DaprCustomerDirectory(client)
            customer = await directory.find_customer("CUST001")
            assert customer is not None
            assert (customer["name"], customer["plan"], customer["support"]) == (
                "Acme Corporation",
                "enterprise",
                "full",
            )
            await directory.save_customer({**customer, "name": "Somebody Else"})
            third = await set_up(settings, patience=PATIENCE)
            assert await directory.find_customer("CUST001") == customer
            assert await directory.count() == {"customer-state": 3, "system-state": 3}
    assert (first.records, first.changed, second.changed, third.changed) == (6, 6, 0, 1)


async def test_without_a_sidecar_the_load_ends_with_the_command_that_brings_one() -> None:
    with pytest.raises(SampleDataError, match="dapr run --app-id data-setup"):
        await set_up(settings_for(free_port(), free_port()), patience=timedelta(seconds=0.3))
