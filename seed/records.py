"""The sample data as it is written in seed/data, checked when it is read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.ports import Plan, Support

DATA = Path(__file__).parent / "data"

_Id = Annotated[str, Field(pattern=r"^CUST\d{3}$")]
_Text = Annotated[str, Field(min_length=1)]
RecordT = TypeVar("RecordT", bound=BaseModel)


class SampleDataError(Exception):
    """A file of sample data cannot be used, or the sample data could not be loaded; the message says why."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CustomerRecord(_Record):
    """A sample customer; the fields of `graph.ports.Customer`."""

    customer_id: _Id
    name: _Text
    plan: Plan
    support: Support
    contact_email: Annotated[str, Field(pattern=r"^\S+@\S+\.example$")]


class ApplicationRecord(_Record):
    """One of a sample customer's applications."""

    name: _Text
    language: _Text
    replicas: Annotated[int, Field(ge=1)]


class ComponentRecord(_Record):
    """One of the Dapr components that a sample customer uses."""

    name: _Text
    type: Annotated[str, Field(pattern=r"^(state|pubsub|bindings|secretstores|configuration|lock|conversation)\.\S+$")]
    version: Annotated[str, Field(pattern=r"^v\d$")]


class SystemRecord(_Record):
    """What a sample customer runs; the fields of `graph.ports.SystemInfo`."""

    customer_id: _Id
    dapr_version: Annotated[str, Field(pattern=r"^1\.\d+\.\d+$")]
    cloud_provider: _Text
    kubernetes: bool
    applications: tuple[ApplicationRecord, ...]
    components: tuple[ComponentRecord, ...]


class TicketRecord(_Record):
    """A ticket that a sample customer may file."""

    customer_id: _Id
    description: _Text


@dataclass(frozen=True, kw_only=True)
class SampleData:
    """All of it; every system and ticket belongs to one of the customers."""

    customers: tuple[CustomerRecord, ...]
    systems: tuple[SystemRecord, ...]
    tickets: tuple[TicketRecord, ...]


def read_sample_data(folder: Path = DATA) -> SampleData:
    """Read and check the sample data.

    Raises:
        SampleDataError: A file is missing or holds something unusable; the message names the file and the field.
    """
    data = SampleData(
        customers=_read(folder / "customers.json", CustomerRecord),
        systems=_read(folder / "systems.json", SystemRecord),
        tickets=_read(folder / "tickets.json", TicketRecord),
    )
    known = {customer.customer_id for customer in data.customers}
    strangers = {record.customer_id for record in (*data.systems, *data.tickets)} - known
    if strangers:
        raise SampleDataError(f"{folder} has systems or tickets of {sorted(strangers)!r}, who are no customers there")
    return data


def _read(path: Path, kind: type[RecordT]) -> tuple[RecordT, ...]:
    try:
        items: list[Any] = json.loads(path.read_text(encoding="utf-8"))
        return tuple(kind.model_validate(item) for item in items)
    except (OSError, json.JSONDecodeError) as error:
        raise SampleDataError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SampleDataError(f"{path} cannot be used: {where}: {first['msg']}") from error
