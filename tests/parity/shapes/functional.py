"""The Functional API."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.func import entrypoint, task
from langgraph.types import RetryPolicy, interrupt

from tests.parity.shape import Answer, AnyGraph, Ask, Shape, fails_times


@task
async def shout(word: str) -> str:
    return word.upper()


@task
def count(word: str) -> int:
    return len(word)


def tasks_one_after_the_other() -> AnyGraph:
    @entrypoint()
    async def run(words: list[str]) -> dict[str, Any]:
        return {"words": [await shout(word) for word in words], "lengths": [await count(word) for word in words]}

    return run


def tasks_side_by_side() -> AnyGraph:
    @entrypoint()
    async def run(words: list[str]) -> list[str]:
        return list(await asyncio.gather(*(shout(word) for word in words)))

    return run


def tasks_that_call_tasks() -> AnyGraph:
    @task
    async def both(word: str) -> str:
        return f"{await shout(word)} {await count(word)}"

    @entrypoint()
    async def run(words: list[str]) -> str:
        return await both(words[0])

    return run


def entrypoint_that_asks() -> AnyGraph:
    @entrypoint()
    async def run(words: list[str]) -> dict[str, Any]:
        loud = await shout(words[0])
        return {"loud": loud, "answer": interrupt({"about": loud})}

    return run


def entrypoint_that_asks_twice() -> AnyGraph:
    @entrypoint()
    async def run(words: list[str]) -> list[str]:
        first = interrupt("first?")
        loud = await shout(words[0])
        return [first, loud, interrupt(f"second, after {loud}?")]

    return run


def task_that_asks() -> AnyGraph:
    @task
    async def ask(word: str) -> str:
        return interrupt(f"what of {word}?")

    @entrypoint()
    async def run(words: list[str]) -> list[str]:
        return list(await asyncio.gather(*(ask(word) for word in words)))

    return run


def entrypoint_that_remembers() -> AnyGraph:
    @entrypoint()
    async def run(number: int, *, previous: int | None = None) -> Any:
        return entrypoint.final(value=f"{number} after {previous}", save=number + (previous or 0))

    return run


def task_that_fails_once() -> AnyGraph:
    maybe_fail = fails_times(1, ValueError("not yet"))

    @task
    async def fragile(word: str) -> str:
        maybe_fail()
        return f"{word} at last"

    @entrypoint()
    async def run(words: list[str]) -> list[str]:
        return [await shout(words[0]), await fragile(words[0])]

    return run


def task_that_is_tried_again() -> AnyGraph:
    maybe_fail = fails_times(2, ValueError("not yet"))

    @task(retry_policy=RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ValueError))
    async def fragile(word: str) -> str:
        maybe_fail()
        return f"{word} at last"

    @entrypoint()
    async def run(words: list[str]) -> str:
        return await fragile(words[0])

    return run


_IN = Ask(["ab", "cde"])

SHAPES = (
    Shape(build=tasks_one_after_the_other, script=[_IN, Ask(["f"])]),
    Shape(build=tasks_side_by_side, script=[_IN]),
    Shape(build=tasks_that_call_tasks, script=[_IN]),
    Shape(build=entrypoint_that_asks, script=[_IN, Answer(["yes"])]),
    Shape(build=entrypoint_that_asks_twice, script=[_IN, Answer(["one"]), Answer(["two"])]),
    Shape(build=task_that_asks, script=[_IN, Answer(["one", "two"])]),
    Shape(build=entrypoint_that_remembers, script=[Ask(1), Ask(10), Ask(100)]),
    Shape(build=task_that_fails_once, script=[_IN, Ask(None)]),
    Shape(build=task_that_is_tried_again, script=[_IN]),
)
