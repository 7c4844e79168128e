"""The log of calls that tests and benches count at the far end."""

from collections import deque
from typing import Literal

from pydantic import BaseModel

AnswerKind = Literal["tools", "json", "text"]


class Call(BaseModel):
    """One chat completions request; `status` is null while it is being answered."""

    sequence: int
    node: str | None
    task_id: str | None
    kind: AnswerKind | None = None
    status: int | None = None
    stream: bool
    fault: str | None = None


class CallReport(BaseModel):
    """All calls since the last reset; of very many only the latest are listed."""

    total: int
    calls: list[Call]


class CallLog:
    """Counts calls when they arrive, so that one which is cut off is counted too."""

    def __init__(self, *, keep: int = 10_000) -> None:
        self._calls: deque[Call] = deque(maxlen=keep)
        self._total = 0

    def open(self, *, node: str | None, task_id: str | None, stream: bool) -> Call:
        """Note that a call arrived."""
        self._total += 1
        call = Call(sequence=self._total, node=node, task_id=task_id, stream=stream)
        self._calls.append(call)
        return call

    def report(self) -> CallReport:
        """Return what was counted."""
        return CallReport(total=self._total, calls=list(self._calls))

    def clear(self) -> None:
        """Start counting at zero."""
        self._calls.clear()
        self._total = 0
