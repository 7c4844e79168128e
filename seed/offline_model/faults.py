"""Faults that tests order: the next calls fail as asked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal["401", "429", "500", "slow", "malformed"]


class FaultOrder(BaseModel):
    """An order for `count` faults; `node` limits it to calls whose node contains that text.

    `slow` answers after `seconds`, `malformed` cuts the answer off half way, the numbers are HTTP statuses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
    node: str | None = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 5.0

    def concerns(self, node: str | None) -> bool:
        """Whether a call from this node is meant."""
        return self.node is None or self.node in (node or "")


class FaultPlan:
    """The orders that are not used up yet, the oldest first."""

    def __init__(self) -> None:
        self._open: list[tuple[FaultOrder, int]] = []

    def order(self, fault: FaultOrder) -> None:
        """Add an order."""
        self._open.append((fault, fault.count))

    def take(self, node: str | None) -> FaultOrder | None:
        """Use up one fault for a call from this node."""
        for position, (fault, left) in enumerate(self._open):
            if fault.concerns(node):
                self._open[position : position + 1] = [(fault, left - 1)] if left > 1 else []
                return fault
        return None

    def clear(self) -> None:
        """Forget every order."""
        self._open.clear()
