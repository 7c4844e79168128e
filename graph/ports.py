"""What the graphs need from outside, as records and small Protocols."""

from typing import Literal, Protocol

from typing_extensions import TypedDict

Category = Literal["connectivity", "configuration", "compatibility"]
Plan = Literal["enterprise", "professional", "basic"]
Support = Literal["full", "standard", "none"]


class Customer(TypedDict):
    """A customer as the directory knows them."""

    customer_id: str
    name: str
    plan: Plan
    support: Support
    contact_email: str


class Application(TypedDict):
    """One of a customer's applications that run on Dapr."""

    name: str
    language: str
    replicas: int


class Component(TypedDict):
    """A Dapr component that a customer uses; `type` is Dapr's own, such as `state.redis`."""

    name: str
    type: str
    version: str


class SystemInfo(TypedDict):
    """What a customer runs."""

    customer_id: str
    dapr_version: str
    cloud_provider: str
    kubernetes: bool
    applications: list[Application]
    components: list[Component]


class Passage(TypedDict):
    """A part of a knowledge-base article that matched a query."""

    article_id: str
    title: str
    section: str
    text: str
    score: float
    url: str


class CustomerDirectory(Protocol):
    """Where customers and their systems are looked up.

    An implementation raises `DirectoryUnavailableError` when it cannot be reached; that is retried.
    """

    async def find_customer(self, customer_id: str) -> Customer | None:
        """Return the customer, or None when nobody has this id."""
        ...

    async def find_system_info(self, customer_id: str) -> SystemInfo | None:
        """Return what the customer runs, or None when nothing is on record."""
        ...


class KnowledgeBase(Protocol):
    """Where the expert looks things up."""

    async def search(self, query: str, *, category: Category, limit: int) -> list[Passage]:
        """Return the best passages first; an empty list when nothing fits.

        Raises:
            KnowledgeBaseUnavailableError: it cannot be reached or did not answer properly; that is retried.
        """
        ...
