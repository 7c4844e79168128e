"""Load the sample data into the customer directory; a second time changes nothing."""

from dataclasses import dataclass
from typing import Protocol, cast

from graph.ports import Customer, SystemInfo
from seed.records import SampleData


class DirectoryWriter(Protocol):
    """A customer directory that can be written; each method tells whether it changed anything."""

    async def save_customer(self, customer: Customer) -> bool:
        """Store a customer."""
        ...

    async def save_system_info(self, system: SystemInfo) -> bool:
        """Store what a customer runs."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """How many records there are, and how many of them were new or different."""

    records: int
    changed: int

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.changed == 0:
            return f"All {self.records} records are there already: nothing changed."
        return f"{self.changed} of {self.records} records written."


async def load_sample_data(directory: DirectoryWriter, data: SampleData) -> LoadReport:
    """Store every customer and what they run, each only if it differs from what is there."""
    # One after the other: the directory keeps an index, and it has one writer at a time.
    changes = [
        await directory.save_customer(cast("Customer", record.model_dump(mode="json"))) for record in data.customers
    ]
    changes += [
        await directory.save_system_info(cast("SystemInfo", record.model_dump(mode="json"))) for record in data.systems
    ]
    return LoadReport(records=len(changes), changed=sum(changes))
