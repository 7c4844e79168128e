"""A type that LangGraph's serializer does not know by default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """What somebody is asked to agree to."""

    price: int
