"""The customer directory in state stores."""

import asyncio
import threading

import pytest

from desk.directory import DaprCustomerDirectory
from desk.home import HomeLoop
from graph.errors import DirectoryUnavailableError
from graph.ports import Customer, SystemInfo
from tests.kit.desk_fakes import FakeSidecar

pytestmark = pytest.mark.anyio


def customer(customer_id: str, name: str = "Acme Corporation") -> Customer:
    return {
        "customer_id": customer_id,
        "name": name,
        "plan": "enterprise",
        "support": "full",
        "contact_email": "ops@acme.example",
    }


def system(customer_id: str) -> SystemInfo:
    return {
        "customer_id": customer_id,
        "dapr_version": "1.16.2",
        "cloud_provider": "Azure",
        "kubernetes": True,
        "applications": [],
        "components": [],
    }


async def test_what_was_saved_is_found() -> None:
    directory = DaprCustomerDirectory(FakeSidecar())
    await directory.save_customer(customer("CUST001"))
    await directory.save_system_info(system("CUST001"))
    assert await directory.find_customer("CUST001") == customer("CUST001")
    assert await directory.find_system_info("CUST001") == system("CUST001")


async def test_somebody_unknown_is_nobody() -> None:
    directory = DaprCustomerDirectory(FakeSidecar())
    assert await directory.find_customer("CUST999") is None
    assert await directory.find_system_info("CUST999") is None


async def test_saving_the_same_again_changes_nothing() -> None:
    directory = DaprCustomerDirectory(FakeSidecar())
    assert await directory.save_customer(customer("CUST001"))
    assert not await directory.save_customer(customer("CUST001"))
    assert await directory.save_customer(customer("CUST001", name="Acme Inc"))


async def test_records_are_counted_by_store() -> None:
    sidecar = FakeSidecar()
    directory = DaprCustomerDirectory(sidecar)
    assert await directory.count() == {"customer-state": 0, "system-state": 0}
    for number in range(3):
        await directory.save_customer(customer(f"C{number}"))
    await directory.save_system_info(system("C1"))
    assert await directory.count() == {"customer-state": 3, "system-state": 1}
    del sidecar.stores["customer-state"]["customer-C1"]
    assert await directory.count() == {"customer-state": 2, "system-state": 1}


@pytest.mark.parametrize("odd", ["a||b", "../x", "index", "ä €", "x" * 300, "a/b%2Fc"])
async def test_odd_ids_are_keys_of_their_own(odd: str) -> None:
    sidecar = FakeSidecar()
    directory = DaprCustomerDirectory(sidecar)
    await directory.save_customer(customer(odd))
    assert await directory.find_customer(odd) == customer(odd)
    assert not any("|" in key or "/" in key for key in sidecar.stores["customer-state"])


async def test_a_sidecar_that_is_away_is_said_in_the_graphs_words() -> None:
    directory = DaprCustomerDirectory(FakeSidecar(alive=False))
    with pytest.raises(DirectoryUnavailableError):
        await directory.find_customer("CUST001")


async def test_a_key_that_holds_no_record_is_an_error_and_no_customer() -> None:
    sidecar = FakeSidecar()
    sidecar.stores["customer-state"]["customer-CUST001"] = ["odd"]
    with pytest.raises(DirectoryUnavailableError, match="python -m seed"):
        await DaprCustomerDirectory(sidecar).find_customer("CUST001")


async def test_reads_from_another_loop_run_on_the_home_loop() -> None:
    here = threading.get_ident()
    threads: list[int] = []

    class Watched(FakeSidecar):
        async def read(self, store: str, key: str) -> object:
            threads.append(threading.get_ident())
            return await super().read(store, key)

    directory = DaprCustomerDirectory(Watched(), home=HomeLoop())
    await directory.save_customer(customer("CUST001"))
    threads.clear()
    found = await asyncio.to_thread(lambda: asyncio.run(directory.find_customer("CUST001")))
    assert found == customer("CUST001")
    assert threads == [here]


async def test_an_error_on_the_home_loop_comes_back_to_who_asked() -> None:
    directory = DaprCustomerDirectory(FakeSidecar(alive=False), home=HomeLoop())
    with pytest.raises(DirectoryUnavailableError):
        await asyncio.to_thread(lambda: asyncio.run(directory.find_customer("CUST001")))
