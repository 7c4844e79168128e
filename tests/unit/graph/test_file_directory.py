"""The directory over JSON files that Studio uses."""

import json
from pathlib import Path

import pytest

from graph.errors import DirectoryUnavailableError
from graph.file_directory import FileDirectory
from graph.studio import SAMPLE_DATA
from graph.triage.entitlement import decide_entitlement
from tests.kit.graph_fakes import ACME, ACME_SYSTEM

pytestmark = pytest.mark.anyio


@pytest.fixture
def directory(tmp_path: Path) -> FileDirectory:
    (tmp_path / "customers.json").write_text(json.dumps([ACME]))
    (tmp_path / "systems.json").write_text(json.dumps([ACME_SYSTEM]))
    return FileDirectory(customers=tmp_path / "customers.json", systems=tmp_path / "systems.json")


async def test_what_is_on_record_is_found(directory: FileDirectory) -> None:
    assert await directory.find_customer("CUST001") == ACME
    assert await directory.find_system_info("CUST001") == ACME_SYSTEM


async def test_what_is_not_on_record_is_none(directory: FileDirectory) -> None:
    assert await directory.find_customer("cust001") is None
    assert await directory.find_system_info("") is None


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "customers.json").write_text('[{"customer_id": 1}]')
    directory = FileDirectory(customers=tmp_path / "customers.json", systems=tmp_path / "none.json")
    with pytest.raises(DirectoryUnavailableError, match=r"customers\.json"):
        await directory.find_customer("CUST001")
    with pytest.raises(DirectoryUnavailableError, match=r"none\.json"):
        await directory.find_system_info("CUST001")


@pytest.mark.parametrize(("customer_id", "entitled"), [("CUST001", True), ("CUST002", True), ("CUST003", False)])
async def test_the_sample_customers_have_the_support_of_their_plan(customer_id: str, entitled: bool) -> None:
    sample = FileDirectory(customers=SAMPLE_DATA / "customers.json", systems=SAMPLE_DATA / "systems.json")
    assert decide_entitlement(customer_id, await sample.find_customer(customer_id))["entitled"] is entitled
    assert await sample.find_system_info(customer_id) is not None
