"""Values that a workflow carries by reference, so that its history holds ids only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The name of a value that `DaprSaver.aput_value` has saved."""

    name: str

    def to_json(self) -> dict[str, str]:
        """Return what a workflow's history records."""
        return {"reference": self.name}

    @classmethod
    def from_json(cls, record: Mapping[str, str]) -> Self:
        """Rebuild a reference from history."""
        return cls(name=record["reference"])
