"""The customer directory in Dapr's state stores: read by triage, written by whoever sets up the data."""

import asyncio
from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

from desk.errors import DaprError
from desk.home import HomeLoop
from desk.ports import JsonValue, StateStore
from graph.errors import DirectoryUnavailableError
from graph.ports import Customer, SystemInfo

CUSTOMER_STORE = "customer-state"
SYSTEM_STORE = "system-state"

_INDEX = "index"
_ODD = "a Dapr state store holds {found!r} under {key!r}, which is not a record; load the data again: python -m seed"


class DaprCustomerDirectory:
    """Customers in one state store, what they run in another.

    Dapr state has no listing, so each store keeps the ids it holds under the key `index`. Records are written by one
    writer at a time.

    Args:
        state: where the stores are.
        home: the event loop to which `state` belongs; reads may come from any other.
        customer_store: component with the customers, under `customer-<id>`.
        system_store: component with what they run, under `system-<id>`.
    """

    def __init__(
        self,
        state: StateStore,
        *,
        home: HomeLoop | None = None,
        customer_store: str = CUSTOMER_STORE,
        system_store: str = SYSTEM_STORE,
    ) -> None:
        self._state = state
        self._home = home or HomeLoop()
        self._customer_store = customer_store
        self._system_store = system_store

    async def find_customer(self, customer_id: str) -> Customer | None:
        """Return the customer, or None when nobody has this id."""
        return cast("Customer | None", await self._find(self._customer_store, _customer_key(customer_id)))

    async def find_system_info(self, customer_id: str) -> SystemInfo | None:
        """Return what the customer runs, or None when nothing is on record."""
        return cast("SystemInfo | None", await self._find(self._system_store, _system_key(customer_id)))

    async def save_customer(self, customer: Customer) -> bool:
        """Store a customer; returns whether that changed anything."""
        return await self._save(self._customer_store, _customer_key(customer["customer_id"]), customer)

    async def save_system_info(self, system: SystemInfo) -> bool:
        """Store what a customer runs; returns whether that changed anything."""
        return await self._save(self._system_store, _system_key(system["customer_id"]), system)

    async def count(self) -> dict[str, int]:
        """Count the records that each store really holds, by the store's name."""
        stores = (self._customer_store, self._system_store)
        return dict(zip(stores, await asyncio.gather(*map(self._count, stores)), strict=True))

    async def _find(self, store: str, key: str) -> JsonValue | None:
        try:
            found = await self._home.run(lambda: self._state_read(store, key))
        except DaprError as error:
            raise DirectoryUnavailableError(f"the customer directory did not answer: {error}") from error
        if found is not None and not isinstance(found, dict):
            raise DirectoryUnavailableError(_ODD.format(found=found, key=key))
        return found

    async def _state_read(self, store: str, key: str) -> JsonValue | None:
        return await self._state.read(store, key)

    async def _save(self, store: str, key: str, value: JsonValue) -> bool:
        if await self._state.read(store, key) == value:
            changed = False
        else:
            await self._state.write(store, key, value)
            changed = True
        # After the record, so that the index never names what is not there.
        index = await self._index(store)
        if key not in index:
            await self._state.write(store, _INDEX, sorted([*index, key]))
        return changed

    async def _count(self, store: str) -> int:
        found = await asyncio.gather(*(self._state.read(store, key) for key in await self._index(store)))
        return sum(value is not None for value in found)

    async def _index(self, store: str) -> Sequence[str]:
        return cast("list[str] | None", await self._state.read(store, _INDEX)) or []


def _customer_key(customer_id: str) -> str:
    return f"customer-{quote(customer_id, safe='')}"


def _system_key(customer_id: str) -> str:
    return f"system-{quote(customer_id, safe='')}"
