"""A customer directory over JSON files, for Studio and for trying things out."""

import asyncio
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from graph.errors import DirectoryUnavailableError
from graph.ports import Customer, SystemInfo

RecordT = TypeVar("RecordT", Customer, SystemInfo)


class FileDirectory:
    """Finds customers and systems in two JSON files, each a list of records.

    The files are read on each look-up, so an edit shows at once.
    """

    def __init__(self, *, customers: Path, systems: Path) -> None:
        self._customers = customers
        self._systems = systems

    async def find_customer(self, customer_id: str) -> Customer | None:
        """Return the customer, or None when nobody has this id."""
        records = await asyncio.to_thread(_read, self._customers, TypeAdapter(list[Customer]))
        return next((record for record in records if record["customer_id"] == customer_id), None)

    async def find_system_info(self, customer_id: str) -> SystemInfo | None:
        """Return what the customer runs, or None when nothing is on record."""
        records = await asyncio.to_thread(_read, self._systems, TypeAdapter(list[SystemInfo]))
        return next((record for record in records if record["customer_id"] == customer_id), None)


def _read(path: Path, adapter: TypeAdapter[list[RecordT]]) -> list[RecordT]:
    try:
        return adapter.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DirectoryUnavailableError(f"cannot read the customer directory {str(path)!r}: {error}") from error
