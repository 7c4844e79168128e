"""What generated graphs are made of; a counter-example is a few lines of Python over these."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypedDict

from langgraph.types import Command, Send, interrupt

_LONGEST_LOG = 12
_TURNS = 100


def append(old: list[str], new: list[str]) -> list[str]:
    """Add to a log and keep its end: a subgraph gives back what it was given, which would double it in each round."""
    return [*old, *new][-_LONGEST_LOG:]


class State(TypedDict, total=False):
    """A log and a number that are added to, and a value that only one node a step may write."""

    log: Annotated[list[str], append]
    count: Annotated[int, operator.add]
    last: str


BROKEN = "broken"
"""What a node says that fails."""

Condition = Callable[[State], Awaitable[Any]]
"""Says where to go; it is awaited, for LangGraph runs any other in a thread, whose end is a matter of time."""


def node(
    name: str, *, asks: int = 0, fails: int = 0, writes_last: bool = False, goto: Condition | None = None
) -> Callable[..., Any]:
    """Return a node that fails so many times, asks so many questions, and writes what it has seen.

    A failure cuts off what still runs beside it, so a node that fails lets the others go first. None of them waits for
    anything but its turn; so they have ended then, each with its condition, whatever the time. And all fail with the
    same words, for of several failures in one step LangGraph raises any.
    """
    failures = iter([ValueError(BROKEN)] * fails)

    async def run(state: State) -> Any:
        for failure in failures:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            raise failure
        answers = [interrupt(f"{name} saw {_seen(state)}, question {number}") for number in range(asks)]
        update: State = {"log": [f"{name} saw {_seen(state)} {answers or ''}".strip()], "count": 1}
        if writes_last:
            update["last"] = name
        return update if goto is None else Command(update=update, goto=await goto(state))

    return run


def branch(at: int, *, below: Sequence[str], above: Sequence[str]) -> Condition:
    """Return a condition on how much was written."""

    async def choose(state: State) -> list[str]:
        return list(below if _seen(state) < at else above)

    return choose


def sends(at: int, *, target: str, times: int) -> Condition:
    """Return a condition that sends, each time something else, until so much was written.

    What is sent has grown by three lines at least, so that a node that sends to itself comes to an end.
    """

    async def send(state: State) -> list[Send]:
        log = state.get("log") or []
        return [Send(target, {"log": [*log, *["sent"] * (3 + each)]}) for each in range(times)] if len(log) < at else []

    return send


def _seen(state: State) -> int:
    return len(state.get("log") or [])
