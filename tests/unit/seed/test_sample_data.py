"""The sample data, and loading it into a directory that only pretends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from graph.ports import Application, Component, Customer, SystemInfo
from seed.load import load_sample_data
from seed.records import (
    DATA,
    ApplicationRecord,
    ComponentRecord,
    CustomerRecord,
    SampleDataError,
    SystemRecord,
    read_sample_data,
)


class PretendedDirectory:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, Customer | SystemInfo] = {}

    async def save_customer(self, customer: Customer) -> bool:
        return self._save("customer", customer)

    async def save_system_info(self, system: SystemInfo) -> bool:
        return self._save("system", system)

    def _save(self, kind: str, record: Customer | SystemInfo) -> bool:
        key = f"{kind}-{record['customer_id']}"
        changed = self.kept.get(key) != record
        self.kept[key] = record
        return changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "data"))


@pytest.mark.anyio
async def test_all_of_it_is_loaded_and_a_second_time_changes_nothing() -> None:
    directory, data = PretendedDirectory(), read_sample_data()
    first = await load_sample_data(directory, data)
    second = await load_sample_data(directory, data)
    assert (first.records, first.changed) == (6, 6)
    assert str(second) == "All 6 records are there already: nothing changed."
    assert json.loads(json.dumps(directory.kept)) == directory.kept


def test_the_sample_customers_cover_every_plan_and_entitlement() -> None:
    found = {(each.customer_id, each.name, each.plan, each.support) for each in read_sample_data().customers}
    assert found == {
        ("CUST001", "Acme Corporation", "enterprise", "full"),
        ("CUST002", "TechStart Inc", "professional", "standard"),
        ("CUST003", "Basic User LLC", "basic", "none"),
    }


def test_each_customer_has_a_system_and_a_ticket() -> None:
    data = read_sample_data()
    ids = [each.customer_id for each in data.customers]
    assert [each.customer_id for each in data.systems] == ids
    assert [each.customer_id for each in data.tickets] == ids
    assert all(each.applications and each.components for each in data.systems)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (CustomerRecord, Customer),
        (SystemRecord, SystemInfo),
        (ApplicationRecord, Application),
        (ComponentRecord, Component),
    ],
)
def test_records_have_the_fields_that_the_graphs_know(record: type[CustomerRecord], kind: type[Customer]) -> None:
    assert set(record.model_fields) == set(kind.__annotations__)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("customers.json", "[", "customers.json cannot be read"),
        ("customers.json", '[{"customer_id": "CUST001"}]', r"customers.json cannot be used: name"),
        ("customers.json", "[]", "'CUST001', 'CUST002', 'CUST003'"),
        ("systems.json", '[{"customer_id": "CUST001", "dapr_version": "latest"}]', "dapr_version"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_the_place(
    folder: Path, name: str, text: str, message: str
) -> None:
    (folder / name).write_text(text)
    with pytest.raises(SampleDataError, match=message):
        read_sample_data(folder)


def test_a_missing_file_is_an_error(folder: Path) -> None:
    (folder / "tickets.json").unlink()
    with pytest.raises(SampleDataError, match=r"tickets.json cannot be read"):
        read_sample_data(folder)
